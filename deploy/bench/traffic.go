package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/load"
)

// parts is how many goroutines publish; each has devices of its own, so a device's frames stay in order.
const parts = 4

// liveFor is how much sensor time a fleet has before its frames are old or of the future: it begins nine minutes ago, at ten a frame
// counts as back-filled, and at five minutes ahead it is refused.
const (
	liveSince = 9 * time.Minute
	liveFor   = 13 * time.Minute
)

// traffic is a fleet with its signed frames and what became of each.
type traffic struct {
	name     string
	perFrame int
	step     time.Duration
	backfill bool
	fleet    *load.Fleet
	index    map[string]int // device → its place in the fleet
	rounds   int            // signed
	bytes    int            // of all messages
	part     [parts]partOfTraffic

	published, acknowledged atomic.Int64
	firstBlock              uint64
	before                  readModelCounts
}

// partOfTraffic is what one goroutine publishes. Its frames are in order of rounds, and within a round of devices.
type partOfTraffic struct {
	devices  int
	messages []load.Message
	sent     []time.Time // when each was due, or handed over
	acked    []bool
	block    []uint64 // that holds it; 0: none seen
	next     int
}

type readModelCounts struct{ frames, readings uint64 }

// newTraffic makes a fleet and enrols it.
func (r *run) newTraffic(ctx context.Context, name string, devices, perFrame int, start time.Time, step time.Duration) (*traffic, error) {
	r.step("%s: enrolling %d sensors", name, devices)
	t := &traffic{name: name, perFrame: perFrame, step: step, backfill: time.Since(start) > liveFor, index: make(map[string]int, devices)}
	var err error
	if t.fleet, err = load.NewFleet(r.carrier.MSPID, name, devices, r.config.Lanes, start); err != nil {
		return nil, err
	}
	for i, d := range t.fleet.Devices {
		t.index[d.ID] = i
	}
	for p := range t.part {
		t.part[p].devices = (devices - p + parts - 1) / parts
	}
	enrolments, err := t.fleet.Enrolments()
	if err != nil {
		return nil, err
	}
	if _, err := r.contracts.Enrol(ctx, enrolments, nil); err != nil {
		return nil, err
	}
	if t.firstBlock, err = r.height(ctx); err != nil {
		return nil, err
	}
	// Ingest follows the blocks for devices; the projection must have them for its counts to stand still.
	if err := r.awaitHeight(ctx, t.firstBlock); err != nil {
		return nil, err
	}
	t.before, err = r.projected(ctx)
	return t, err
}

// live is a fleet whose readings are being made now.
func (r *run) live(ctx context.Context, name string, perFrame int) (*traffic, error) {
	return r.newTraffic(ctx, name, r.config.Devices, perFrame, time.Now().Add(-liveSince), time.Second)
}

// unsent counts the signed frames that are still to be published.
func (t *traffic) unsent() (n int) {
	for p := range t.part {
		n += len(t.part[p].messages) - t.part[p].next
	}
	return n
}

// sign makes sure that so many frames wait to be published.
func (t *traffic) sign(frames int) error {
	need := frames - t.unsent()
	if need <= 0 {
		return nil
	}
	devices := len(t.fleet.Devices)
	rounds := (need + devices - 1) / devices
	if most := int(liveFor / (time.Duration(t.perFrame) * t.step)); !t.backfill && t.rounds+rounds > most {
		return fmt.Errorf("%d sensors have no more than %d frames of now; --devices %d would do", devices, devices*most, devices*(t.rounds+rounds)/most+1)
	}
	messages, err := t.fleet.Sign(rounds, t.perFrame, t.step)
	if err != nil {
		return err
	}
	t.rounds += rounds
	for i, m := range messages {
		p := &t.part[i%devices%parts]
		p.messages = append(p.messages, m)
		t.bytes += len(m.Body)
	}
	for i := range t.part {
		p := &t.part[i]
		more := len(p.messages) - len(p.sent)
		p.sent, p.acked, p.block = append(p.sent, make([]time.Time, more)...), append(p.acked, make([]bool, more)...), append(p.block, make([]uint64, more)...)
	}
	return nil
}

// bytesPerFrame is the mean size of a message: frame and payload, before any compression.
func (t *traffic) bytesPerFrame() float64 {
	return float64(t.bytes) / float64(max(t.rounds*len(t.fleet.Devices), 1))
}

// place finds a frame by its identity.
func (t *traffic) place(id provenance.FrameID) (*partOfTraffic, int, bool) {
	device, known := t.index[id.Device]
	if !known || id.Sequence == 0 || id.Sequence > uint64(t.rounds) {
		return nil, 0, false
	}
	p := &t.part[device%parts]
	return p, (int(id.Sequence)-1)*p.devices + device/parts, true
}

// errRanOut means that frames were published faster than was expected when they were signed.
var errRanOut = errors.New("ran out of signed frames")

// pace decides when the next n frames may be published: it returns the moment that counts as their publication, or false to end.
type pace func(ctx context.Context, n int) (time.Time, bool)

// publish publishes until ending is set, which it does itself when it runs out of frames. Every frame it has sent is acknowledged when
// it returns.
func (t *traffic) publish(ctx context.Context, publisher *load.Publisher, chunk int, pace func() pace, ending *atomic.Bool) error {
	var group sync.WaitGroup
	errs := make([]error, parts)
	for i := range t.part {
		next := pace()
		group.Go(func() {
			errs[i] = t.part[i].publish(ctx, t, publisher, chunk, next)
			ending.Store(true)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (p *partOfTraffic) publish(ctx context.Context, t *traffic, publisher *load.Publisher, chunk int, next pace) error {
	for ctx.Err() == nil && p.devices > 0 {
		n := min(chunk, len(p.messages)-p.next)
		if n == 0 {
			if _, goOn := next(ctx, 1); goOn {
				return errRanOut
			}
			return nil
		}
		due, goOn := next(ctx, n)
		if !goOn {
			return nil
		}
		from := p.next
		p.next += n
		for i := from; i < p.next; i++ {
			p.sent[i] = due
		}
		t.published.Add(int64(n))
		if err := publisher.Publish(ctx, p.messages[from:p.next], n, 0, func(i int) {
			p.acked[from+i] = true
			t.acknowledged.Add(1)
		}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// windowed keeps at most so many frames between publication and projection.
func windowed(published *atomic.Int64, arrived func() int64, window int, ending *atomic.Bool) func() pace {
	return func() pace {
		return func(ctx context.Context, n int) (time.Time, bool) {
			for !ending.Load() && published.Load()+int64(n)-arrived() > int64(window) {
				if sleep(ctx, 2*time.Millisecond) != nil {
					return time.Time{}, false
				}
			}
			return time.Now(), !ending.Load()
		}
	}
}

// steadily publishes at a rate, whatever becomes of it: what is late counts from when it was due.
func steadily(rate float64, ending *atomic.Bool) func() pace {
	begun, started := time.Now(), 0
	return func() pace {
		share := rate / parts
		sent := float64(started) / parts // so that the parts do not all publish at the same moment
		started++
		return func(ctx context.Context, n int) (time.Time, bool) {
			due := begun.Add(time.Duration(sent / share * float64(time.Second)))
			sent += float64(n)
			if wait := time.Until(due); wait > 0 && sleep(ctx, wait) != nil {
				return due, false
			}
			return due, !ending.Load()
		}
	}
}

// publishOnce publishes every frame that is signed, with at most window of them between publication and projection.
func (t *traffic) publishOnce(ctx context.Context, publisher *load.Publisher, window int, arrived func() int64) error {
	var never, ended atomic.Bool
	if err := t.publish(ctx, publisher, chunkHeavy, windowed(&t.published, arrived, window, &never), &ended); t.unsent() > 0 || !errors.Is(err, errRanOut) {
		return err
	}
	return ctx.Err() // it ran out, which is what was wanted
}
