package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
	"github.com/trailmark/trailmark/ingest/spool"
)

const (
	groupMessages = 1024 // most messages that share a sync
	groupBytes    = 1 << 20
	recordCost    = 256 // bytes that the spool may add to a message
	maxAside      = 512 // messages set aside because the ledger or the quarantine cannot be reached
	retryEvery    = time.Second
)

// intake is the first half of a lane: messages in, spooled or quarantined, acknowledged. Groups form by themselves: while one
// is being synced the next gathers, so one message alone does not wait and many share a sync.
type intake struct {
	name       string // of the lane, in conditions
	judge      *judge
	log        *spool.Log
	quarantine *quarantine.Store
	metrics    *metrics
	state      *conditions
	logger     *slog.Logger
	arrivals   chan arrival
	group      int // most bytes that share a sync: a group that is larger than the whole spool could never be stored
	seen       memory
	tracing    *tracing
}

// run works until ctx ends; what is not acknowledged by then stays with the broker.
func (in *intake) run(ctx context.Context) {
	groups := make(chan []judged, 1)
	go func() {
		defer close(groups)
		in.verify(ctx, groups)
	}()
	in.store(ctx, groups)
	for range groups { // lets verify end
	}
	in.state.clear(in.name + " spool")
	in.state.clear(in.name + " quarantine")
	in.state.clear(in.name + " registry")
}

// verify gathers what has arrived, judges it in parallel, and passes it on in order.
func (in *intake) verify(ctx context.Context, groups chan<- []judged) {
	var aside []arrival // of devices that the ledger could not be asked about
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		arrivals := in.arrivals
		if len(aside) >= maxAside {
			arrivals = nil
		}
		var group []arrival
		select {
		case <-ctx.Done():
			return
		case first := <-arrivals:
			group = in.gather(first)
		case <-ticker.C:
			if len(aside) == 0 {
				continue
			}
			group, aside = aside, nil
		}
		results := in.judge.all(ctx, group)
		known := results[:0]
		for i := range results {
			if r := &results[i]; r.unknown == nil {
				known = append(known, *r)
			} else {
				aside = append(aside, r.arrival)
				in.state.set(in.name+" registry", r.unknown.Error())
			}
		}
		if len(aside) == 0 {
			in.state.clear(in.name + " registry")
		}
		select {
		case groups <- known:
		case <-ctx.Done():
			return
		}
	}
}

// gather takes what is waiting, without waiting for more.
func (in *intake) gather(first arrival) []arrival {
	group, size := append(make([]arrival, 0, min(groupMessages, len(in.arrivals)+1)), first), len(first.body)+recordCost
	for len(group) < groupMessages && size < in.group {
		select {
		case a := <-in.arrivals:
			group, size = append(group, a), size+len(a.body)+recordCost
		default:
			return group
		}
	}
	return group
}

// store makes groups durable and then acknowledges them.
func (in *intake) store(ctx context.Context, groups <-chan []judged) {
	var owed []judged // refused messages that the quarantine could not take yet
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		var group []judged
		if len(owed) < maxAside {
			select {
			case <-ctx.Done():
				return
			case group = <-groups:
			case <-ticker.C:
			}
		} else {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
		var frames []spool.Frame
		var done []judged
		var fresh []int // which of done each frame is
		for i := range group {
			switch r := &group[i]; {
			case r.verdict != provenance.Accepted:
				owed = append(owed, *r)
			case in.seen.isNew(r.leaf):
				frames, fresh, done = append(frames, r.frame), append(fresh, len(done)), append(done, *r)
			default:
				in.metrics.redelivered.Inc()
				done = append(done, *r)
			}
		}
		in.metrics.received.Add(float64(len(group)))
		if !in.spool(ctx, frames) {
			return
		}
		in.metrics.accepted.Add(float64(len(frames)))
		for i := range done {
			done[i].acknowledge()
		}
		for i := range frames {
			in.tracing.received(ctx, &done[fresh[i]], frames[i].Sequence)
		}
		owed = in.refuse(ctx, owed)
	}
}

// spool appends until it succeeds; false if ctx ended first.
func (in *intake) spool(ctx context.Context, frames []spool.Frame) bool {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, retryEvery) {
		err := in.log.Append(frames)
		if err == nil {
			in.state.clear(in.name + " spool")
			return true
		}
		if in.state.set(in.name+" spool", err.Error()) {
			in.logger.WarnContext(ctx, "not acknowledging: the spool takes nothing", slog.Any("error", err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// refuse puts messages in the quarantine and acknowledges them; it returns those that are still owed.
func (in *intake) refuse(ctx context.Context, owed []judged) []judged {
	if len(owed) == 0 {
		return owed
	}
	entries := make([]quarantine.Entry, len(owed))
	for i := range owed {
		r := &owed[i]
		entries[i] = quarantine.NewEntry(r.received, r.topic, r.body, r.verdict, r.detail)
	}
	if err := in.quarantine.Add(ctx, entries); err != nil {
		if !errors.Is(err, context.Canceled) && in.state.set(in.name+" quarantine", err.Error()) {
			in.logger.WarnContext(ctx, "not acknowledging refused messages: the quarantine takes nothing", slog.Any("error", err))
		}
		return owed
	}
	in.state.clear(in.name + " quarantine")
	for i := range owed {
		in.metrics.quarantined.WithLabelValues(owed[i].verdict.String()).Inc()
		owed[i].acknowledge()
		in.tracing.received(ctx, &owed[i], 0)
	}
	return nil
}
