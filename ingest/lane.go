package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/spool"
)

// lane is one lane as this instance sees it: its part of the spool, and what is being done with it.
type lane struct {
	app     *App
	number  uint32
	name    string // in conditions and logs
	log     *spool.Log
	logger  *slog.Logger
	tracing *tracing

	mu      sync.Mutex
	working bool          // serve or handOver is running
	holding bool          // this instance owns it by the ledger's word
	release chan struct{} // closed: receive no more, commit what there is, and let go
}

// errHeld means that the lane's owner lives and has not let go yet.
var errHeld = errors.New("the lane is held by another instance")

// own takes the lane, works it until it is lost or to be released, and says why it ended.
func (l *lane) own(ctx context.Context, release <-chan struct{}) error {
	state, err := l.claim(ctx)
	if err != nil {
		return err
	}
	l.setHolding(true)
	defer l.setHolding(false)
	l.logger.InfoContext(ctx, "lane is ours", slog.Uint64("fence", state.Fence), slog.Uint64("batches", state.Number))

	b := l.batcher(state, release)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := l.resume(ctx, b); err != nil {
		return err
	}
	receiving, mute := context.WithCancel(ctx)
	defer mute()
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := l.receive(receiving, b.lane.Fence); err != nil {
			stop(err)
		}
	})
	parts.Go(func() {
		defer mute()
		if err := b.run(ctx); err != nil {
			stop(err)
		}
	})
	select {
	case <-release:
		mute() // the batcher ends when it has committed what is spooled
	case <-receiving.Done():
	}
	parts.Wait()
	return context.Cause(ctx)
}

func (l *lane) batcher(state provenance.Lane, release <-chan struct{}) *batcher {
	a := l.app
	return &batcher{
		cfg: &a.cfg, lane: state, name: l.name, ledger: a.deps.Ledger, log: l.log, quarantine: a.quarantine, metrics: a.metrics,
		state: &a.state, logger: l.logger, clock: a.deps.Clock, slots: a.slots, draining: release, tracing: l.tracing,
	}
}

// claim makes us the owner on the ledger. An owner that comes back under the same name need not ask: its fence still holds.
func (l *lane) claim(ctx context.Context) (provenance.Lane, error) {
	ctx, cancel := context.WithTimeout(ctx, l.app.cfg.CommitTimeout)
	defer cancel()
	cfg := &l.app.cfg
	state, err := l.app.deps.Ledger.Lane(ctx, cfg.Organisation, l.number)
	if err != nil {
		return state, fmt.Errorf("reading the lane's state: %w", err)
	}
	if state.Owner == cfg.Instance {
		return state, nil
	}
	if !l.app.members.mayClaim(l.number, state.Owner) {
		return state, fmt.Errorf("%w: %s", errHeld, state.Owner)
	}
	claimed, err := l.app.deps.Ledger.ClaimLane(ctx, cfg.Organisation, l.number, cfg.Instance, state.Fence)
	if err != nil {
		return state, fmt.Errorf("claiming the lane: %w", err)
	}
	if claimed.Owner != cfg.Instance || claimed.Fence <= state.Fence {
		return state, fmt.Errorf("claiming the lane: the ledger answers owner %q, fence %d (it was %d)", claimed.Owner, claimed.Fence, state.Fence)
	}
	return claimed, nil
}

// resume settles the batch that was in flight when this instance last stopped: it is on the ledger, or is sent again byte for
// byte under the same fence, or, where the fence is another now, can never be committed and is made anew.
func (l *lane) resume(ctx context.Context, b *batcher) error {
	p := l.log.Prepared()
	if p == nil {
		l.log.Rewind()
		return nil
	}
	digest := provenance.Hash(sha256.Sum256(p.Argument))
	found, err := b.find(ctx, p, digest)
	switch {
	case found != nil:
		number := b.lane.Number
		err = b.settled(ctx, p, digest, found, time.Now())
		b.lane.Number = max(number, b.lane.Number)
	case err == nil && p.Fence == b.lane.Fence && p.Number == b.lane.Number+1:
		err = b.settle(ctx, p)
	case err == nil || errors.Is(err, errLaneLost):
		l.log.Rewind()
		return nil
	}
	if errors.Is(err, ErrRejected) {
		l.log.Rewind()
		return nil
	}
	if err == nil {
		l.log.Skip(p.Last)
	}
	return err
}

// receive keeps the lane's session up until ctx ends (then nil) or the lane is lost.
func (l *lane) receive(ctx context.Context, fence uint64) error {
	a := l.app
	in := &intake{
		name: l.name, judge: newJudge(a.cfg.Organisation, l.number, a.registry, a.deps.Heads, a.deps.Clock), log: l.log,
		quarantine: a.quarantine, metrics: a.metrics, state: &a.state, logger: l.logger, arrivals: make(chan arrival, maxQueued),
		group: int(min(groupBytes, a.cfg.SpoolBytes/4)), tracing: l.tracing,
	}
	room := semaphore.NewWeighted(a.cfg.LaneHeld)
	var working sync.WaitGroup
	working.Go(func() { in.run(ctx) })
	defer working.Wait()
	defer a.state.clear(l.name + " broker")
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		s, err := openSession(ctx, &a.cfg, a.tls, l.number, in.arrivals, room)
		if err == nil {
			a.state.clear(l.name + " broker")
			pause.Reset()
			select {
			case err = <-s.lost:
			case <-ctx.Done():
				s.close()
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if a.state.set(l.name+" broker", fmt.Sprint(err)) {
			l.logger.WarnContext(ctx, "lane has no connection to the broker", slog.Any("error", err))
		}
		if l.lost(ctx, fence) {
			return errLaneLost
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return nil
		}
	}
}

// lost asks the ledger whether the lane is another's. Where the ledger cannot be asked we keep it: what we spool then is
// given back when it turns out otherwise.
func (l *lane) lost(ctx context.Context, fence uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	state, err := l.app.deps.Ledger.Lane(ctx, l.app.cfg.Organisation, l.number)
	return err == nil && state.Fence != fence
}

func (l *lane) setHolding(holding bool) {
	l.mu.Lock()
	l.holding = holding
	l.mu.Unlock()
	if holding {
		l.app.metrics.lanesOwned.Inc()
	} else {
		l.app.metrics.lanesOwned.Dec()
	}
	l.app.members.changed()
}

// handOver gives the frames that are left in the spool of a lane that another owns back to the broker, for that owner. They
// certify themselves, and what was recorded already the contract tells apart.
func (l *lane) handOver(ctx context.Context) error {
	if err := l.resolve(ctx); err != nil {
		return err
	}
	total := 0
	for {
		frames, err := l.log.Read(256, 1<<20)
		if err != nil {
			return err
		}
		if len(frames) == 0 {
			if total > 0 {
				l.logger.InfoContext(ctx, "gave frames back for the lane's new owner", slog.Int("frames", total))
			}
			return nil
		}
		if err := l.republish(ctx, frames); err != nil {
			l.log.Rewind()
			return err
		}
		if err := l.log.Forget(frames[len(frames)-1].Sequence); err != nil {
			return fmt.Errorf("releasing frames handed over: %w", err)
		}
		total += len(frames)
		l.app.metrics.handedOver.Add(float64(len(frames)))
	}
}

// resolve finds out whether our last batch was committed before the lane was taken over. After that it cannot be any more.
func (l *lane) resolve(ctx context.Context) error {
	p := l.log.Prepared()
	if p == nil {
		l.log.Rewind()
		return nil
	}
	b := l.batcher(provenance.Lane{Organisation: l.app.cfg.Organisation, Lane: l.number}, nil)
	digest := provenance.Hash(sha256.Sum256(p.Argument))
	switch found, err := b.find(ctx, p, digest); {
	case found != nil:
		if err := b.settled(ctx, p, digest, found, time.Now()); err != nil {
			return err
		}
		l.log.Skip(p.Last)
	case err == nil || errors.Is(err, errLaneLost):
		l.log.Rewind()
	default:
		return err
	}
	return nil
}

func (l *lane) republish(ctx context.Context, frames []spool.Frame) error {
	messages := make([]outgoing, len(frames))
	for i, f := range frames {
		messages[i] = outgoing{topicOf(l.app.cfg.Organisation, l.number, f.Envelope), append(append([]byte{}, f.Envelope...), f.Payload...)}
	}
	return l.app.members.publish(ctx, messages)
}
