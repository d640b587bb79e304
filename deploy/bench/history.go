package bench

import (
	"context"
	"time"
)

// history fills the ledger through the road and measures packed throughput once more.
func (r *run) history(ctx context.Context) error {
	now, err := r.projected(ctx)
	if err != nil {
		return err
	}
	window, expected := 4000, 2000.0
	if r.result.Packed != nil && r.result.Packed.ReadingsPerSecond > 0 {
		window, expected = r.result.Packed.InFlight, r.result.Packed.FramesPerSecond
	}
	began := time.Now()
	if missing := r.config.History - int(now.readings); missing > 0 {
		if err := r.fill(ctx, missing, window); err != nil {
			return err
		}
	}
	if now, err = r.projected(ctx); err != nil {
		return err
	}
	h := &History{Readings: int64(now.readings), Seconds: time.Since(began).Seconds()}
	r.result.History = h
	r.step("history: %d readings on the ledger", h.Readings)
	l, t, err := r.steadyState(ctx, "packed-history", readingsPacked, drive{window: window, settle: r.config.warmup(), span: r.config.steady(), expected: expected})
	if err != nil {
		return err
	}
	h.Packed = l
	if r.result.Packed != nil && r.result.Packed.ReadingsPerSecond > 0 {
		h.OverNew = l.ReadingsPerSecond / r.result.Packed.ReadingsPerSecond
	}
	return r.reckon(ctx, t)
}

// fill puts readings on the ledger, as fast as it goes, and counts them.
func (r *run) fill(ctx context.Context, readings, window int) error {
	frames := (readings + readingsPacked - 1) / readingsPacked
	const rounds = 10 // of a minute each: a fleet of this size says it all within what counts as now
	t, err := r.newTraffic(ctx, "history", (frames+rounds-1)/rounds, readingsPacked, time.Now().Add(-liveSince), time.Second)
	if err != nil {
		return err
	}
	if err := t.sign(frames); err != nil {
		return err
	}
	r.step("history: publishing %d frames of %d readings", t.unsent(), readingsPacked)
	return r.publishAll(ctx, t, window)
}

// publishAll publishes every frame that is signed, waits until it is projected, and counts.
func (r *run) publishAll(ctx context.Context, t *traffic, window int) error {
	view, err := r.followProjection(ctx, looksHeavy)
	if err != nil {
		return err
	}
	defer view.end() //nolint:errcheck // looked at below
	if err := r.publishSigned(ctx, t, window, view); err != nil {
		return err
	}
	if err := view.end(); err != nil {
		return err
	}
	return r.reckon(ctx, t)
}
