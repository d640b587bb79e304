package ingest

import (
	"context"
	"errors"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
)

// Quarantine is the store of refused messages, to browse, export and purge.
func (a *App) Quarantine() *quarantine.Store { return a.quarantine }

// Replay sends quarantined messages the whole road again, by way of the broker, so that they reach their lane's owner wherever
// that is. It returns how many the broker has taken. They stay in the quarantine, marked; one that is refused again is
// unmarked. Entries marked already are left out, unless one is named by its ID.
func (a *App) Replay(ctx context.Context, f quarantine.Filter) (int, error) {
	f.Waiting = f.ID == ""
	if f.Limit == 0 {
		f.Limit = 256
	}
	n := 0
	err := a.quarantine.Each(ctx, f, func(entries []quarantine.Entry) error {
		messages, ids := make([]outgoing, len(entries)), make([]string, len(entries))
		for i, e := range entries {
			messages[i], ids[i] = outgoing{e.Topic, e.Message}, e.ID
		}
		// Marked first: a message may be back before its mark would be written, and that must win.
		if err := a.quarantine.MarkReplayed(ctx, provenance.TimeOf(a.deps.Clock.Now()), ids...); err != nil {
			return err
		}
		if err := a.members.publish(ctx, messages); err != nil {
			return errors.Join(err, a.quarantine.MarkReplayed(context.WithoutCancel(ctx), 0, ids...))
		}
		n += len(entries)
		return nil
	})
	return n, err
}
