package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/spool"
)

// judged is a message with what was found about it.
type judged struct {
	arrival
	received provenance.Time
	verdict  provenance.Verdict // Accepted: frame is set; else detail says why not
	detail   string
	frame    spool.Frame
	leaf     provenance.Hash
	unknown  error // the ledger could not be asked about the device: try again later
}

// judge decides about messages of one lane.
type judge struct {
	organisation string
	lane         uint32
	prefix       string // of the lane's topics
	registry     *registry
	heads        Heads // may be nil
	clock        Clock
}

func newJudge(organisation string, lane uint32, registry *registry, heads Heads, clock Clock) *judge {
	return &judge{organisation, lane, fmt.Sprintf("tm/%s/%d/", organisation, lane), registry, heads, clock}
}

// chunk is how many messages a goroutine takes at a time: about a millisecond of work.
const chunk = 16

// all judges messages in parallel and returns them in their order.
func (j *judge) all(ctx context.Context, arrivals []arrival) []judged {
	results := make([]judged, len(arrivals))
	now := provenance.TimeOf(j.clock.Now())
	var next atomic.Int64
	work := func() {
		for {
			from := int(next.Add(chunk)) - chunk
			if from >= len(arrivals) {
				return
			}
			for i := from; i < min(from+chunk, len(arrivals)); i++ {
				j.one(ctx, now, arrivals[i], &results[i])
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(arrivals)+chunk-1)/chunk) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return results
}

func (j *judge) one(ctx context.Context, now provenance.Time, a arrival, r *judged) {
	r.arrival, r.received = a, now
	err := j.examine(ctx, now, a, r)
	var refused *evidence.FrameError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		r.verdict, r.detail = refused.Verdict, refused.Detail
	default:
		r.unknown = err
	}
}

func refuse(verdict provenance.Verdict, format string, args ...any) error {
	return &evidence.FrameError{Verdict: verdict, Detail: fmt.Sprintf(format, args...)}
}

// examine returns nil for a frame to record, an *evidence.FrameError for one to refuse, another error if it cannot tell.
func (j *judge) examine(ctx context.Context, now provenance.Time, a arrival, r *judged) error {
	name, ok := strings.CutPrefix(a.topic, j.prefix)
	if !ok || strings.Contains(name, "/") {
		return refuse(provenance.WrongTopic, "topic %q: want %s{device}", a.topic, j.prefix)
	}
	if n := len(a.message.Payload()); n > provenance.MaxMessage {
		return refuse(provenance.Oversize, "%d bytes, a message may have %d (the first %d are kept)", n, provenance.MaxMessage, len(a.body))
	}
	frame, payload, err := evidence.ParseMessage(a.body)
	if err != nil {
		return err
	}
	if frame.ID.Device != name {
		return refuse(provenance.WrongTopic, "a frame of device %s on the topic of %s", frame.ID.Device, name)
	}
	device, err := j.registry.device(ctx, name)
	if err != nil {
		return err
	}
	err = j.hold(frame, payload, device, now)
	if err != nil && device != nil && mayHaveChanged(err) {
		if newer := j.registry.newer(ctx, device); newer != nil {
			err = j.hold(frame, payload, newer, now)
		}
	}
	if err != nil {
		return err
	}
	if j.heads != nil && j.heads.Recorded(frame.ID) {
		return refuse(provenance.Replay, "frame %d of epoch %d of device %s was recorded before", frame.ID.Sequence, frame.ID.Epoch, name)
	}
	r.frame = spool.Frame{Received: now, Envelope: frame.Raw, Payload: payload}
	r.leaf = evidence.LeafHash(frame.Raw)
	return nil
}

// hold applies the one rule to a frame and a device record.
func (j *judge) hold(frame *evidence.Frame, payload []byte, device *provenance.Device, now provenance.Time) error {
	var key *evidence.PublicKey
	if device != nil {
		key = j.registry.key(device, frame.ID.Epoch)
	}
	return evidence.Judge(frame, payload, device, key, evidence.Origin{Organisation: j.organisation, Lane: j.lane, Now: now})
}

// mayHaveChanged tells whether a refusal may come from a device record that the ledger has changed meanwhile: a frame of a new
// epoch can be here before the block that starts it.
func mayHaveChanged(err error) bool {
	var refused *evidence.FrameError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Verdict {
	case provenance.EpochNotStarted, provenance.DeviceSuspended, provenance.WrongLane, provenance.WrongOrganisation:
		return true
	}
	return false
}

// memory knows the frames taken lately, so that what the broker delivers again is not recorded as a replay. It holds between
// one and two generations of them; what it has forgotten the contract still refuses.
type memory struct{ young, old map[provenance.Hash]struct{} }

const generation = 1 << 14

// isNew tells whether a frame was not seen lately, and remembers it.
func (m *memory) isNew(leaf provenance.Hash) bool {
	if _, ok := m.young[leaf]; ok {
		return false
	}
	if _, ok := m.old[leaf]; ok {
		return false
	}
	if m.young == nil || len(m.young) >= generation {
		m.old, m.young = m.young, make(map[provenance.Hash]struct{}, generation)
	}
	m.young[leaf] = struct{}{}
	return true
}
