package node

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/ingest"
	"github.com/trailmark/trailmark/ingest/quarantine"
)

// quarantined is ingest's quarantine as the API wants it.
type quarantined struct{ app *ingest.App }

func (q quarantined) List(ctx context.Context, f api.QuarantineFilter) ([]api.QuarantinedMessage, string, error) {
	filter := quarantine.Filter{Reason: f.Verdict, Device: f.Device, Limit: f.Limit}
	if f.After != "" {
		before, err := strconv.ParseInt(f.After, 10, 64)
		if err != nil || before <= 0 {
			return nil, "", provenance.Invalidf("after: %q is not the token of a page", f.After)
		}
		filter.Before = before
	}
	page, err := q.app.Quarantine().List(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	messages := make([]api.QuarantinedMessage, len(page.Entries))
	for i := range page.Entries {
		messages[i] = messageOf(&page.Entries[i])
	}
	if page.Next == 0 {
		return messages, "", nil
	}
	return messages, strconv.FormatInt(page.Next, 10), nil
}

func messageOf(e *quarantine.Entry) api.QuarantinedMessage {
	return api.QuarantinedMessage{
		ID: e.ID, Received: e.Received, Last: e.Last, Times: e.Times, Topic: e.Topic, Device: e.Device, Verdict: e.Reason, Reason: e.Detail, Message: e.Message,
	}
}

func (q quarantined) Get(ctx context.Context, id string) (api.QuarantinedMessage, error) {
	e, err := q.app.Quarantine().Get(ctx, id)
	if errors.Is(err, quarantine.ErrNotFound) {
		return api.QuarantinedMessage{}, provenance.NotFoundf("the quarantine holds no message %q", id)
	}
	if err != nil {
		return api.QuarantinedMessage{}, err
	}
	return messageOf(e), nil
}

func (q quarantined) Count(ctx context.Context) (map[string]int64, error) {
	return q.app.Quarantine().Count(ctx)
}

// replaySettles is how long a replayed message is watched: it goes round by the broker, and comes back within this if ingest refuses
// it again. What the contract refuses later shows in the list.
const replaySettles = 2 * time.Second

// Replay sends a message round again and tells whether ingest took it.
func (q quarantined) Replay(ctx context.Context, id string) (api.Replayed, error) {
	if _, err := q.Get(ctx, id); err != nil {
		return api.Replayed{}, err
	}
	if _, err := q.app.Replay(ctx, quarantine.Filter{ID: id}); err != nil {
		return api.Replayed{}, err
	}
	for deadline := time.Now().Add(replaySettles); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		e, err := q.app.Quarantine().Get(ctx, id)
		if errors.Is(err, quarantine.ErrNotFound) {
			break // purged meanwhile
		}
		if err != nil {
			return api.Replayed{}, err
		}
		if e.Replayed == 0 {
			return api.Replayed{Verdict: e.Reason, Reason: e.Detail}, nil
		}
	}
	return api.Replayed{Accepted: true, Verdict: provenance.Accepted.String(), Reason: "ingest has taken it; it is on its way to the ledger"}, nil
}

// apiClock is the node's clock as the API shows it.
type apiClock struct{ file *clock.File }

func (c apiClock) Now() time.Time { return c.file.Now() }

func (c apiClock) Simulated() (speed float64, simulated bool) {
	shown := c.file.Clock()
	if !shown.Simulated() {
		return 1, false
	}
	if !shown.Running(time.Now()) {
		return 1, true
	}
	return shown.Speed, true
}
