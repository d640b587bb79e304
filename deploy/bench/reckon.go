package bench

import (
	"context"
	"fmt"

	"github.com/trailmark/trailmark/deploy/load"
)

// MismatchError says that what was published, committed and projected is not the same.
type MismatchError struct{ Detail string }

func (e *MismatchError) Error() string { return "counts do not agree: " + e.Detail }

// reckon compares what was acknowledged to the publishers with the ledger and the read model, frame by frame. Nothing else may have
// been published since the fleet was enrolled.
func (r *run) reckon(ctx context.Context, t *traffic) error {
	to, err := r.height(ctx)
	if err != nil {
		return err
	}
	if err := r.awaitHeight(ctx, to); err != nil {
		return err
	}
	audit := load.NewAudit()
	for p := range t.part {
		for i, acked := range t.part[p].acked {
			if acked {
				audit.Expect(&t.part[p].messages[i])
			}
		}
	}
	if err := audit.Read(ctx, r.contracts.Client, t.firstBlock, to-1); err != nil {
		return err
	}
	now, err := r.projected(ctx)
	if err != nil {
		return err
	}
	c := Counts{
		Traffic: t.name, Published: t.published.Load(), Acknowledged: t.acknowledged.Load(), Committed: int64(audit.Frames), Projected: int64(now.frames - t.before.frames),
		ProjectedReadings: int64(now.readings - t.before.readings), Lost: len(audit.Lost()), Duplicated: len(audit.Duplicated), Altered: len(audit.Altered),
	}
	for _, n := range audit.Refused {
		c.Refused += n
	}
	for _, n := range audit.Invalid {
		c.Invalid += n
	}
	r.result.Counts = append(r.result.Counts, c)
	r.step("%s: %d frames published, %d acknowledged, %d committed, %d projected; %s", t.name, c.Published, c.Acknowledged, c.Committed, c.Projected, audit.Summary())
	return c.check(t.perFrame)
}

// check returns a *MismatchError where the counts differ.
func (c Counts) check(perFrame int) error {
	if c.Published == c.Acknowledged && c.Acknowledged == c.Committed && c.Committed == c.Projected && c.ProjectedReadings == c.Projected*int64(perFrame) &&
		c.Lost+c.Duplicated+c.Altered+c.Refused == 0 {
		return nil
	}
	return &MismatchError{fmt.Sprintf("%s: %d frames published, %d acknowledged, %d committed, %d projected with %d readings of %d each; lost %d, duplicated %d, altered %d, refused %d",
		c.Traffic, c.Published, c.Acknowledged, c.Committed, c.Projected, c.ProjectedReadings, perFrame, c.Lost, c.Duplicated, c.Altered, c.Refused)}
}
