package health

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Source gives what is recorded of the devices of open shipments.
type Source interface {
	// Facts lists them, as of a block.
	Facts(ctx context.Context) (all []Attached, asOfBlock uint64, err error)
}

// Attached is a device with the shipment it watches.
type Attached struct {
	Shipment string
	Facts    Facts
}

// Ledger is what the watch writes.
type Ledger interface {
	RegisterModel(ctx context.Context, model provenance.ModelRequest) error
	// RaiseAlert returns nil where the alert stands already. A refusal is a *provenance.Error.
	RaiseAlert(ctx context.Context, alert provenance.AlertRequest) error
}

// Watch looks at every device of an open shipment, again and again until ctx ends, and puts what is wrong on the ledger, once for each
// incident. now and limits are asked at every look: a demonstration's clock is not the machine's.
type Watch struct {
	Source Source
	Ledger Ledger
	Now    func() provenance.Time
	Limits func() Limits
	Every  time.Duration
	Log    *slog.Logger

	registered bool
	raised     map[string]bool // shipment/alert that stand; asking again would find so too, but costs an endorsement
}

// Run watches until ctx ends. What fails is logged and tried again at the next look.
func (w *Watch) Run(ctx context.Context) error {
	w.raised = map[string]bool{}
	ticker := time.NewTicker(w.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("the devices could not all be looked at; trying again", slog.Any("error", err))
		}
	}
}

func (w *Watch) look(ctx context.Context) error {
	if !w.registered {
		if err := w.Ledger.RegisterModel(ctx, Model()); err != nil {
			return err
		}
		w.registered = true
	}
	all, block, err := w.Source.Facts(ctx)
	if err != nil {
		return err
	}
	var failed error
	for i := range all {
		for _, finding := range Assess(&all[i].Facts, w.Limits(), w.Now()) {
			failed = errors.Join(failed, w.raise(ctx, all[i].Shipment, &finding, block))
		}
	}
	return failed
}

// raise puts a finding on the ledger; a refusal is final, for the ledger has its reasons.
func (w *Watch) raise(ctx context.Context, shipment string, finding *Finding, block uint64) error {
	incident := shipment + "/" + finding.ID()
	if w.raised[incident] {
		return nil
	}
	err := w.Ledger.RaiseAlert(ctx, finding.Alert(shipment, block))
	var refused *provenance.Error
	if errors.As(err, &refused) {
		w.Log.Warn("the ledger refuses an alert about a device", slog.String("alert", incident), slog.Any("error", err))
		err = nil
	}
	if err == nil {
		w.raised[incident] = true
	}
	return err
}
