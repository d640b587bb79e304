package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// How often the read model is asked: often enough for latencies at a light load, seldom enough not to weigh under a heavy one.
const (
	looksLight = 10 * time.Millisecond
	looksHeavy = 50 * time.Millisecond
)

// chunkHeavy is how many frames a publishing goroutine has unacknowledged at a time.
const chunkHeavy = 128

// drive is one run over the road.
type drive struct {
	window       int     // most frames between publication and projection; or
	rate         float64 // frames a second
	settle, span time.Duration
	expected     float64 // frames a second that are signed for, with room to spare
}

// drive publishes traffic, lets it settle, measures for the span, and waits until all of it is projected.
func (r *run) drive(ctx context.Context, t *traffic, d drive) (*Load, error) {
	if d.rate > 0 {
		d.expected = d.rate
	}
	for {
		if err := t.sign(int(1.6*d.expected*(d.settle+d.span).Seconds()) + 2*parts*chunkHeavy + d.window); err != nil {
			return nil, err
		}
		l, err := r.driveOnce(ctx, t, d)
		if !errors.Is(err, errRanOut) {
			return l, err
		}
		d.expected *= 2
		r.step("%s: faster than expected; signing more", t.name)
	}
}

func (r *run) driveOnce(ctx context.Context, t *traffic, d drive) (*Load, error) {
	looks := looksHeavy
	if d.rate > 0 {
		looks = looksLight
	}
	view, err := r.followProjection(ctx, looks)
	if err != nil {
		return nil, err
	}
	defer view.end() //nolint:errcheck // looked at below
	from, err := r.height(ctx)
	if err != nil {
		return nil, err
	}
	base, sent := view.latest().frames, t.acknowledged.Load()
	var ending atomic.Bool
	chunk, pace := chunkHeavy, windowed(&t.published, func() int64 { return sent + int64(view.latest().frames-base) }, d.window, &ending)
	if d.rate > 0 {
		chunk, pace = max(1, int(d.rate/parts/100)), steadily(d.rate, &ending)
	}
	publishing, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	done := make(chan error, 1)
	go func() {
		err := t.publish(publishing, r.publisher, chunk, pace, &ending)
		giveUp(err)
		done <- err
	}()
	memory := followMemory(ctx, r.group)
	defer memory.end()
	var first, last sample
	before, after, err := r.measure(publishing, d.settle, d.span, func() { first = view.latest() }, func() { last = view.latest() })
	ending.Store(true)
	if published := <-done; published != nil || err != nil {
		if errors.Is(published, errRanOut) {
			err = errors.Join(r.awaitFrames(ctx, view, base, t, sent), published)
		}
		return nil, errors.Join(published, err)
	}
	if err := errors.Join(r.awaitFrames(ctx, view, base, t, sent), view.end()); err != nil {
		return nil, err
	}
	l := &Load{
		ReadingsPerFrame: t.perFrame, InFlight: d.window, PacedAt: d.rate, Seconds: last.at.Sub(first.at).Seconds(), Memory: memory.end(),
	}
	frames := int(last.frames - first.frames)
	l.FramesPerSecond = float64(frames) / l.Seconds
	l.ReadingsPerSecond = float64(last.readings-first.readings) / l.Seconds
	spent, err := before.spent(after)
	if err != nil {
		return nil, err
	}
	l.account(spent, frames, after.at.Sub(before.at))
	return l, r.trace(ctx, t, l, view, from, before.at, after.at)
}

// awaitFrames waits until the read model shows everything that was acknowledged, as long as it gets on.
func (r *run) awaitFrames(ctx context.Context, view *projection, base uint64, t *traffic, sent int64) error {
	const patience = 30 * time.Second
	want := base + uint64(t.acknowledged.Load()-sent)
	seen, moved := view.latest().frames, time.Now()
	for seen < want {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
		if now := view.latest().frames; now > seen {
			seen, moved = now, time.Now()
		} else if time.Since(moved) > patience {
			return &MismatchError{fmt.Sprintf("%s: %d frames were acknowledged, but only %d were projected, and none more for %s", t.name, want-base, seen-base, patience)}
		}
	}
	return nil
}

// trace goes over the drive's blocks: how large they are, and when each frame of the span was committed and shown.
func (r *run) trace(ctx context.Context, t *traffic, l *Load, view *projection, from uint64, begin, end time.Time) error {
	to, err := r.height(ctx)
	if err != nil {
		return err
	}
	readings, size, batches, argument := 0, 0, 0, 0
	var committed, shown []time.Duration
	for raw := range r.contracts.Client.Blocks(ctx, from) {
		block, err := ledger.DecodeBlock(raw, r.contracts.Client.Channel(), r.contracts.Client.Chaincode())
		if err != nil {
			return err
		}
		size += proto.Size(raw)
		for i := range block.Transactions {
			tx := &block.Transactions[i]
			if !tx.Valid() || tx.Function != "readings:Commit" {
				continue
			}
			batch, err := evidence.DecodeBatch(tx.Args[0])
			if err != nil {
				return fmt.Errorf("block %d: %w", block.Number, err)
			}
			batches++
			argument += len(tx.Args[0])
			inBlock, known := r.blocks.of(block.Number)
			inView, visible := view.shown(block.Number)
			for j := range batch.Frames {
				frame, err := evidence.ParseFrame(batch.Frames[j].Raw)
				if err != nil {
					return fmt.Errorf("block %d: %w", block.Number, err)
				}
				readings += frame.Count
				p, at, ours := t.place(frame.ID)
				if !ours || p.sent[at].Before(begin) || !p.sent[at].Before(end) {
					continue
				}
				if known {
					committed = append(committed, inBlock.Sub(p.sent[at]))
				}
				if visible {
					shown = append(shown, inView.Sub(p.sent[at]))
				}
			}
		}
		if block.Number+1 >= to {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.PublishToCommit, l.PublishToProjected = latencyOf(committed), latencyOf(shown)
	l.BlockBytesPerReading = float64(size) / float64(max(readings, 1))
	l.FramesPerBatch = float64(readings) / float64(t.perFrame) / float64(max(batches, 1))
	l.ArgumentBytesPerFrame = float64(argument) / float64(max(readings/t.perFrame, 1))
	return nil
}

// single and packed drive the whole road with one and with sixty readings a frame.
func (r *run) single(ctx context.Context) (err error) {
	r.result.Single, r.result.SingleQuarter, err = r.road(ctx, "single", 1, []int{4000, 8000, 16000})
	return err
}

func (r *run) packed(ctx context.Context) (err error) {
	r.result.Packed, r.result.PackedQuarter, err = r.road(ctx, "packed", readingsPacked, []int{2000, 4000, 8000})
	return err
}

const readingsPacked = 60

// road finds the best window, measures a steady state with it, and then latencies at a quarter of that load.
func (r *run) road(ctx context.Context, name string, perFrame int, windows []int) (full, quarter *Load, err error) {
	if r.config.Short {
		windows = windows[:1]
	}
	t, err := r.live(ctx, name+"-a", perFrame)
	if err != nil {
		return nil, nil, err
	}
	if err := r.introduce(ctx, t, windows[0]); err != nil {
		return nil, nil, err
	}
	expected := 3000.0 // a first guess
	if r.config.Short {
		expected /= 2
	}
	window, tried, err := best(windows, func(n int) (float64, error) {
		l, err := r.drive(ctx, t, drive{window: n, settle: r.config.settle(), span: r.config.trial(), expected: expected})
		if err != nil {
			return 0, err
		}
		r.step("%s: %d in flight: %.0f frames/s, %.0f readings/s", name, n, l.FramesPerSecond, l.ReadingsPerSecond)
		expected = max(expected, l.FramesPerSecond)
		return l.FramesPerSecond, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := r.reckon(ctx, t); err != nil {
		return nil, nil, err
	}
	full, t, err = r.steadyState(ctx, name, perFrame, drive{window: window, settle: r.config.warmup(), span: r.config.steady(), expected: expected})
	if err != nil {
		return full, nil, err
	}
	full.Tried = tried
	rate := full.FramesPerSecond / 4
	r.step("%s: a quarter of that, %.0f frames/s, for %s", name, rate, r.config.steady())
	if quarter, err = r.drive(ctx, t, drive{rate: rate, settle: r.config.settle(), span: r.config.steady()}); err != nil {
		return full, quarter, err
	}
	r.step("%s: publish to commit p50 %.0f ms, p99 %.0f ms", name, quarter.PublishToCommit.P50, quarter.PublishToCommit.P99)
	return full, quarter, r.reckon(ctx, t)
}

// introduce sends the first frame of every sensor, which is part of the warm-up: a node parses a key when it first meets it.
func (r *run) introduce(ctx context.Context, t *traffic, window int) error {
	if err := t.sign(len(t.fleet.Devices)); err != nil {
		return err
	}
	view, err := r.followProjection(ctx, looksHeavy)
	if err != nil {
		return err
	}
	defer view.end() //nolint:errcheck // looked at below
	return errors.Join(r.publishSigned(ctx, t, window, view), view.end())
}

// publishSigned publishes every frame that is signed, and waits until all are projected.
func (r *run) publishSigned(ctx context.Context, t *traffic, window int, view *projection) error {
	base, sent := view.latest().frames, t.acknowledged.Load()
	if err := t.publishOnce(ctx, r.publisher, window, func() int64 { return sent + int64(view.latest().frames-base) }); err != nil {
		return err
	}
	return r.awaitFrames(ctx, view, base, t, sent)
}

// steadyState measures a fleet of its own.
func (r *run) steadyState(ctx context.Context, name string, perFrame int, d drive) (*Load, *traffic, error) {
	t, err := r.live(ctx, name, perFrame)
	if err != nil {
		return nil, nil, err
	}
	if err := r.introduce(ctx, t, d.window); err != nil {
		return nil, nil, err
	}
	if err := t.sign(int(1.6 * d.expected * (d.settle + d.span).Seconds())); err != nil {
		return nil, nil, err
	}
	r.step("%s: %d in flight for %s", name, d.window, d.span)
	stop := r.profile(ctx, name, d.settle+d.span)
	l, err := r.drive(ctx, t, d)
	stop()
	if err != nil {
		return l, t, err
	}
	r.step("%s: %.0f frames/s, %.0f readings/s", name, l.FramesPerSecond, l.ReadingsPerSecond)
	return l, t, nil
}
