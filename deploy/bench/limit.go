package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/deploy/load"
)

// Limit is the rate that no implementation of this road could exceed on these cores. Three things cannot be left out for a frame,
// whoever writes the software: it comes over MQTT with QoS 1, its signature is verified by ingest and by two endorsers, and its bytes
// are ordered and committed by Fabric. Each is measured alone, as CPU time of all processes that take part, and the sum is what a frame
// costs at least:
//
//	frames/s = cores / (3 · verification + MQTT hop + bytes of a frame · ledger's CPU time of a byte)
//
// The bytes are the message's, frame and payload, before any compression of ours; the ledger stores them as an opaque argument with its
// digest in the state, in transactions of the size and number in flight that cost least. CPU time, and not elapsed time, so
// that a core that waits does not make the limit lower than it is.
type Limit struct {
	Cores                  int                `json:"cores"`
	VerificationMicros     float64            `json:"verificationMicros"` // one signature
	VerificationsPerFrame  int                `json:"verificationsPerFrame"`
	LedgerMicrosPerKiB     float64            `json:"ledgerMicrosPerKiB"`
	LedgerBytesPerSecond   float64            `json:"ledgerBytesPerSecond"`
	LedgerTransactionBytes int                `json:"ledgerTransactionBytes"`
	LedgerInFlight         int                `json:"ledgerInFlight"`
	LedgerTried            []Opaque           `json:"ledgerTried"`
	LedgerCPU              map[string]float64 `json:"ledgerCoresBusy"` // by process
	Single                 FrameCost          `json:"single"`
	Packed                 FrameCost          `json:"packed"`
}

// Opaque is a size of transaction and a number in flight that was tried.
type Opaque struct {
	Bytes        int     `json:"bytes"`
	InFlight     int     `json:"inFlight"`
	BytesPerSec  float64 `json:"bytesPerSecond"`
	MicrosPerKiB float64 `json:"cpuMicrosPerKiB"`
	cpu          map[string]float64
	seconds      float64
}

// FrameCost is the limit's sum for a kind of frame.
type FrameCost struct {
	Bytes              float64 `json:"bytes"`
	VerificationMicros float64 `json:"verificationMicros"` // all three
	HopMicros          float64 `json:"hopMicros"`
	HopPerSecond       float64 `json:"hopMessagesPerSecond"` // how fast it went, alone
	LedgerMicros       float64 `json:"ledgerMicros"`
	FramesPerSecond    float64 `json:"framesPerSecond"`
	ReadingsPerSecond  float64 `json:"readingsPerSecond"`
}

// verifications of a frame: ingest once and two endorsers.
const verifications = 3

// add works the sum out.
func (c *FrameCost) add(cores int, verification, ledgerPerKiB float64, readings int) {
	c.VerificationMicros = verifications * verification
	c.LedgerMicros = c.Bytes / 1024 * ledgerPerKiB
	c.FramesPerSecond = float64(cores) * 1e6 / (c.VerificationMicros + c.HopMicros + c.LedgerMicros)
	c.ReadingsPerSecond = c.FramesPerSecond * float64(readings)
}

// limit measures the three alone. Ingest and gateway node stand still meanwhile, so that they do not follow what is no batch of theirs.
func (r *run) limit(ctx context.Context) (err error) {
	for _, name := range []string{ingestProcess, gatewayProcess} {
		if err := r.group.Pause(ctx, name); err != nil {
			return err
		}
	}
	defer func() {
		for _, name := range []string{gatewayProcess, ingestProcess} {
			err = errors.Join(err, r.group.Resume(ctx, name))
		}
		if err == nil {
			err = r.awaitNodes(ctx, r)
		}
	}()
	l := &Limit{Cores: cores(), VerificationsPerFrame: verifications}
	single, err := r.specimens("limit-1", 1)
	if err != nil {
		return err
	}
	packed, err := r.specimens("limit-60", readingsPacked)
	if err != nil {
		return err
	}
	if l.VerificationMicros, err = r.verification(single); err != nil {
		return err
	}
	r.step("limit: a signature is verified in %.1f µs of a core", l.VerificationMicros)
	if err := r.ledgerLimit(ctx, l); err != nil {
		return err
	}
	for _, kind := range []struct {
		t    *traffic
		cost *FrameCost
	}{{single, &l.Single}, {packed, &l.Packed}} {
		kind.cost.Bytes = kind.t.bytesPerFrame()
		if err := r.hop(ctx, kind.t, kind.cost); err != nil {
			return fmt.Errorf("MQTT hop: %w", err)
		}
		kind.cost.add(l.Cores, l.VerificationMicros, l.LedgerMicrosPerKiB, kind.t.perFrame)
		r.step("limit: %.0f B a frame: verification %.0f + MQTT %.0f + ledger %.0f µs on %d cores: %.0f frames/s, %.0f readings/s", kind.cost.Bytes,
			kind.cost.VerificationMicros, kind.cost.HopMicros, kind.cost.LedgerMicros, l.Cores, kind.cost.FramesPerSecond, kind.cost.ReadingsPerSecond)
	}
	r.result.Limit = l
	return nil
}

// specimens are frames like those of the road, of a fleet that nobody knows.
func (r *run) specimens(name string, perFrame int) (*traffic, error) {
	fleet, err := load.NewFleet(r.carrier.MSPID, name, 2000, r.config.Lanes, time.Now().Add(-liveSince))
	if err != nil {
		return nil, err
	}
	t := &traffic{name: name, perFrame: perFrame, step: time.Second, fleet: fleet}
	for p := range t.part {
		t.part[p].devices = len(fleet.Devices) / parts
	}
	return t, t.sign(4 * len(fleet.Devices))
}

// verification measures what verifying one frame costs, on all cores at once.
func (r *run) verification(t *traffic) (micros float64, err error) {
	type signed struct {
		frame *evidence.Frame
		key   *evidence.PublicKey
	}
	enrolments, err := t.fleet.Enrolments()
	if err != nil {
		return 0, err
	}
	keys := map[string]*evidence.PublicKey{}
	for _, e := range enrolments {
		if keys[e.ID], err = evidence.ParseKey(e.Key); err != nil {
			return 0, err
		}
	}
	var all []signed
	for p := range t.part {
		for _, m := range t.part[p].messages {
			frame, _, err := evidence.ParseMessage(m.Body)
			if err != nil {
				return 0, err
			}
			all = append(all, signed{frame, keys[m.ID.Device]})
		}
	}
	span := min(r.config.steady(), 10*time.Second)
	before, err := takeUsage(r.group)
	if err != nil {
		return 0, err
	}
	var count, bad atomic.Int64
	var workers sync.WaitGroup
	for w := range cores() {
		workers.Go(func() {
			for i := w; time.Since(before.at) < span; {
				for range 64 {
					if !all[i%len(all)].frame.Verify(all[i%len(all)].key) {
						bad.Add(1)
					}
					i++
				}
				count.Add(64)
			}
		})
	}
	workers.Wait()
	after, err := takeUsage(r.group)
	if err != nil {
		return 0, err
	}
	if bad.Load() > 0 {
		return 0, fmt.Errorf("%d of our own signatures do not verify", bad.Load())
	}
	return (after.cpu[ourselves] - before.cpu[ourselves]) * 1e6 / float64(count.Load()), nil
}

// ledgerLimit finds the size of transaction and number in flight at which a byte costs least, and measures them.
func (r *run) ledgerLimit(ctx context.Context, l *Limit) error {
	sizes, flights := []int{64 << 10, 128 << 10, 256 << 10}, []int{8, 32}
	if r.config.Short {
		sizes, flights = sizes[1:2], nil
	}
	try := func(bytes, inFlight int, settle, span time.Duration) (Opaque, error) {
		o, err := r.opaque(ctx, bytes, inFlight, settle, span)
		if err == nil {
			r.step("limit: %d KiB a transaction, %d in flight: %.1f MB/s, %.1f µs of a core for 1 KiB", bytes>>10, inFlight, o.BytesPerSec/1e6, o.MicrosPerKiB)
			l.LedgerTried = append(l.LedgerTried, o)
		}
		return o, err
	}
	cheapest := func(all []Opaque) Opaque {
		return slices.MinFunc(all, func(a, b Opaque) int { return cmp.Compare(a.MicrosPerKiB, b.MicrosPerKiB) })
	}
	for _, size := range sizes {
		if _, err := try(size, 16, r.config.settle(), r.config.trial()); err != nil {
			return err
		}
	}
	size := cheapest(l.LedgerTried).Bytes
	for _, inFlight := range flights {
		if _, err := try(size, inFlight, r.config.settle(), r.config.trial()); err != nil {
			return err
		}
	}
	chosen := cheapest(l.LedgerTried)
	o, err := try(chosen.Bytes, chosen.InFlight, r.config.warmup(), r.config.steady())
	if err != nil {
		return err
	}
	l.LedgerMicrosPerKiB, l.LedgerBytesPerSecond, l.LedgerTransactionBytes, l.LedgerInFlight = o.MicrosPerKiB, o.BytesPerSec, o.Bytes, o.InFlight
	l.LedgerCPU = map[string]float64{}
	for name, seconds := range o.cpu {
		if seconds > 0 {
			l.LedgerCPU[name] = math.Round(seconds/o.seconds*1000) / 1000
		}
	}
	return nil
}

// opaque has bytes committed that nobody looks at.
func (r *run) opaque(ctx context.Context, size, inFlight int, settle, span time.Duration) (Opaque, error) {
	argument := make([]byte, size)
	if _, err := rand.Read(argument); err != nil {
		return Opaque{}, err
	}
	began := time.Now().UnixNano()
	loop, err := r.closedLoop(ctx, inFlight, settle, span, func(ctx context.Context, n int64) error {
		return r.plain.submit(ctx, opaqueFunction, fmt.Appendf(nil, "opaque/%d/%d", began, n), argument)
	})
	if err != nil {
		return Opaque{}, err
	}
	bytes := float64(loop.done * size)
	o := Opaque{Bytes: size, InFlight: inFlight, BytesPerSec: bytes / loop.span.Seconds(), cpu: loop.cpu, seconds: loop.span.Seconds()}
	// The broker has nothing to do with it.
	o.MicrosPerKiB = total(loop.cpu, func(name string) bool { return name != brokerProcess }) * 1e6 / (bytes / 1024)
	return o, nil
}
