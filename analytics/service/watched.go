package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// watched is a shipment with its scorer, fed with all that was recorded up to a block. Exported fields are the snapshot.
type watched struct {
	Plan   provenance.Hash `json:"plan"` // digest of what the ledger says of the shipment: another plan is another scorer
	Block  uint64          `json:"block"`
	Latest provenance.Time `json:"latest"`          // of the readings scored
	State  []byte          `json:"state,omitempty"` // the scorer's snapshot
	Raised []string        `json:"raised"`          // alerts that stand, one for each incident

	scorer *spoilage.Scorer // nil: all has to be scored from the first reading
	queue  []Reading        // what was recorded in (Block, queued], by (block, time, device)
	queued uint64
	assess bool      // something was scored, or waits for others, since findings were last all dealt with
	due    time.Time // when it may be scored from the first reading again
	attest bool      // we are no party: we may attest what a party has raised, nothing else
	saved  time.Time
}

// rescorePerReading bounds how much of its time the service spends on scoring a shipment again from its first reading, which late
// readings ask for, and a device that means harm could ask for with every frame: after a shipment of n readings was scored again it
// is not for n times this. Reading and scoring one takes a tenth of it, or less. What comes in between is scored when it is due.
const rescorePerReading = 200 * time.Microsecond

// follow brings a shipment up to a block, done tells whether it is there, with all that was found on the ledger.
func (s *Service) follow(ctx context.Context, shipment *provenance.Shipment, height uint64) (done bool, err error) {
	w, err := s.watch(shipment, height)
	if err != nil {
		return false, err
	}
	if w.scorer == nil {
		if time.Now().Before(w.due) {
			return false, nil
		}
		w.queue = nil
		return true, s.rescore(ctx, w, shipment, height)
	}
	if w.assess {
		if err := s.raise(ctx, w, shipment, nil); err != nil {
			return false, err
		}
	}
	if w.Block >= height {
		return true, nil
	}
	if w.queued <= w.Block {
		if err := s.fetch(ctx, w, shipment.ID, height); err != nil {
			return false, err
		}
	}
	for len(w.queue) > 0 {
		block := w.queue[0].Block
		n := slices.IndexFunc(w.queue, func(r Reading) bool { return r.Block != block })
		if n < 0 {
			n = len(w.queue)
		}
		fresh := w.queue[:n]
		w.queue = w.queue[n:]
		err := s.observe(w, fresh, false)
		switch {
		case err == nil:
			w.Block = block
			err = s.raise(ctx, w, shipment, nil)
		case !errors.Is(err, spoilage.ErrOutOfOrder):
			w.scorer = nil
			return false, err
		case time.Now().Before(w.due):
			w.scorer, w.queue = nil, nil
			return false, nil
		default:
			err = s.rescore(ctx, w, shipment, block)
		}
		if err != nil {
			return false, err
		}
	}
	w.Block = max(w.Block, w.queued)
	if time.Since(w.saved) > saveEvery {
		s.save(w, shipment.ID)
	}
	return w.Block >= height, nil
}

// watch finds the shipment's scorer, restores it, or begins anew.
func (s *Service) watch(shipment *provenance.Shipment, height uint64) (*watched, error) {
	plan, err := s.plan(shipment)
	if err != nil {
		return nil, err
	}
	before := s.shipments[shipment.ID]
	if before != nil && before.Plan == plan {
		return before, nil
	}
	var w *watched
	if before == nil {
		if w, err = s.restore(shipment, plan, height); err != nil {
			s.log.Warn("a snapshot is not used; the shipment is scored from its first reading", slog.String("shipment", shipment.ID), slog.Any("error", err))
		}
	}
	if w == nil {
		w = &watched{Plan: plan}
		if before != nil { // what was raised stands, and a plan that keeps changing costs no more than late readings do
			w.Raised, w.due = before.Raised, before.due
		}
	}
	w.saved = time.Now()
	s.shipments[shipment.ID] = w
	return w, nil
}

// fetch asks for what was recorded since.
func (s *Service) fetch(ctx context.Context, w *watched, shipment string, height uint64) error {
	fresh, err := s.projection.Recorded(ctx, shipment, w.Block, height)
	if err != nil {
		return fmt.Errorf("reading what was recorded: %w", err)
	}
	for i := range fresh {
		if fresh[i].Block == 0 {
			fresh[i].Block = height
		}
	}
	slices.SortFunc(fresh, func(a, b Reading) int { return cmp.Or(cmp.Compare(a.Block, b.Block), byTime(a, b)) })
	w.queue, w.queued = fresh, height
	return nil
}

// byTime is the order in which readings are scored: of several of a device for one moment the lowest comes first, and it counts.
func byTime(a, b Reading) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Value, b.Value))
}

// observe feeds readings, which must be in order, later ones for a moment that has one left out where again is set. After an error
// the scorer must not be used any more.
func (s *Service) observe(w *watched, readings []Reading, again bool) error {
	for _, r := range readings {
		switch err := w.scorer.Observe(r.Device, r.Time.Time(), int64(r.Value)); {
		case errors.Is(err, spoilage.ErrImplausible), again && errors.Is(err, spoilage.ErrOutOfOrder):
			// recorded, shown and bundled, but no temperature that a score could use
		case err != nil:
			return fmt.Errorf("scoring a reading of device %s: %w", r.Device, err)
		default:
			s.metrics.readings.Inc()
		}
		w.Latest, w.assess = max(w.Latest, r.Time), true
	}
	return nil
}

// rescore scores all that was recorded up to a block, in order of time, and raises what is found.
func (s *Service) rescore(ctx context.Context, w *watched, shipment *provenance.Shipment, block uint64) error {
	w.scorer = nil
	profile, config, err := Profile(shipment)
	if err != nil {
		return err
	}
	scorer, err := spoilage.New(profile, s.model, config)
	if err != nil {
		return err
	}
	all, err := s.projection.Recorded(ctx, shipment.ID, 0, block)
	if err != nil {
		return fmt.Errorf("reading all that was recorded: %w", err)
	}
	if w.Block > 0 {
		s.metrics.rebuilds.Inc()
	}
	w.due = time.Now().Add(time.Duration(len(all)) * rescorePerReading)
	w.scorer, w.Latest = scorer, 0
	slices.SortFunc(all, byTime)
	if err := s.observe(w, all, true); err != nil {
		w.scorer = nil
		return err
	}
	w.Block, w.queued = block, max(w.queued, block)
	return s.raise(ctx, w, shipment, all)
}
