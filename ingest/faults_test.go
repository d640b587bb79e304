package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
)

var errDown = errors.New("no peer answers")

func sensors(t testing.TB, b *bench, n int) []*sensor {
	list := make([]*sensor, n)
	for i := range list {
		list[i] = newSensor(t, b.ledger, "s"+string(rune('a'+i)), uint32(i)%b.lanes)
	}
	return list
}

// hurried stops without waiting for batches, which is as near to a kill as one process can come to itself.
func hurried(cfg Config) Config {
	cfg.Drain = time.Millisecond
	return cfg
}

func TestAcknowledgedFramesOutliveRestarts(t *testing.T) {
	b := newBench(t, 2)
	s := sensors(t, b, 4)
	b.ledger.set(func() { b.ledger.down = errDown })
	r := b.start(hurried(b.config("one")))
	b.ledger.set(func() { b.ledger.down = nil })
	eventually(t, "owner", owns(r, 0, 1))
	b.ledger.set(func() { b.ledger.down = errDown })
	b.publish(100, s...)
	eventually(t, "everything is spooled", func() bool { return r.pending() == 400 })
	ok, reasons := r.Ready()
	require.False(t, ok)
	require.Contains(t, strings.Join(reasons, "\n"), "no peer answers")
	r.stop()
	require.Zero(t, b.ledger.count())

	r = b.start(hurried(b.config("one")))
	time.Sleep(300 * time.Millisecond)
	r.stop()
	b.ledger.set(func() { b.ledger.down = nil })
	b.start(b.config("one"))
	b.complete(s...)
}

func TestUnknownOutcomeIsLookedUpNotRepeated(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 3)
	var calls atomic.Int64
	b.ledger.set(func() {
		b.ledger.fault = func([]byte) (before, after error) {
			switch calls.Add(1) % 3 {
			case 0:
				return ErrConflict, nil
			case 1:
				return nil, context.DeadlineExceeded // committed, but nobody tells
			default:
				return errDown, nil
			}
		}
	})
	r := b.start(b.config("one"))
	b.publish(100, s...)
	b.complete(s...)
	eventually(t, "drained", func() bool { return r.pending() == 0 })
	page, err := r.Quarantine().List(context.Background(), quarantine.Filter{})
	require.NoError(t, err)
	require.Empty(t, page.Entries, "a batch sent twice would have been refused as a replay")
}

// An endorser that is a block behind refuses the next batch by its number. That is no reason not to be ready, unless it stays so.
func TestLaggingEndorserIsNoAlarmUntilItStays(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 2)
	var calls atomic.Int64
	var stuck atomic.Bool
	b.ledger.set(func() {
		b.ledger.fault = func([]byte) (before, after error) {
			if stuck.Load() || calls.Add(1)%3 != 0 {
				return fmt.Errorf("%w: wrong-number: expected batch 1, got 2", ErrAlreadyCommitted), nil
			}
			return nil, nil
		}
	})
	r := b.start(b.config("one"))
	eventually(t, "ready", func() bool { ready, _ := r.Ready(); return ready })
	for range 5 {
		b.publish(3, s...)
		for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			_, reasons := r.Ready()
			require.NotContains(t, strings.Join(reasons, "\n"), "wrong-number")
		}
	}
	b.complete(s...)
	require.Greater(t, calls.Load(), int64(3))
	stuck.Store(true)
	b.publish(1, s...)
	eventually(t, "readiness says that it stays", func() bool {
		_, reasons := r.Ready()
		return strings.Contains(strings.Join(reasons, "\n"), "wrong-number")
	})
	stuck.Store(false)
	b.complete(s...)
}

func TestBatchInFlightIsSentAgainByteForByte(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 1)
	var mu sync.Mutex
	var sent [][]byte
	b.ledger.set(func() {
		b.ledger.fault = func(argument []byte) (before, after error) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, slices.Clone(argument))
			return errDown, nil
		}
	})
	r := b.start(hurried(b.config("one")))
	b.publish(20, s...)
	eventually(t, "a batch was tried", func() bool { mu.Lock(); defer mu.Unlock(); return len(sent) > 1 })
	r.stop()
	mu.Lock()
	first := sent[0]
	mu.Unlock()
	b.ledger.set(func() { b.ledger.fault = nil })
	b.start(b.config("one"))
	b.complete(s...)
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	require.Equal(t, first, b.ledger.arguments[0])
}

func TestRestartsUnderLoad(t *testing.T) {
	b := newBench(t, 2)
	s := sensors(t, b, 4)
	var publishing sync.WaitGroup
	for _, sensor := range s {
		publishing.Go(func() { // publishes each frame until it is acknowledged, as a device does
			var client mqtt.Client
			for range 300 {
				message := sensor.next(t)
				for {
					if client == nil || !client.IsConnected() {
						client = b.tryPublisher(sensor)
						if client == nil {
							time.Sleep(50 * time.Millisecond)
							continue
						}
					}
					token := client.Publish(sensor.topic(), 1, false, message)
					if token.WaitTimeout(2*time.Second) && token.Error() == nil {
						break
					}
					client.Disconnect(0)
				}
				time.Sleep(2 * time.Millisecond)
			}
			client.Disconnect(10)
		})
	}
	cfg := hurried(b.config("one"))
	r := b.start(cfg)
	for i := range 6 {
		time.Sleep(400 * time.Millisecond)
		if i%3 == 2 {
			b.broker.Stop()
			b.startBroker()
			continue
		}
		r.stop()
		r = b.start(cfg)
	}
	publishing.Wait()
	b.complete(s...)
}

// tryPublisher connects a device, or returns nil while the broker is away.
func (b *bench) tryPublisher(s *sensor) mqtt.Client {
	client := mqtt.NewClient(b.publisherOptions(s))
	if err := await(context.Background(), client.Connect()); err != nil {
		client.Disconnect(0)
		return nil
	}
	return client
}

func TestSpoolFullIsBackPressure(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 2)
	cfg := b.config("one")
	cfg.SegmentBytes, cfg.SpoolBytes = 64<<10, 128<<10
	r := b.start(cfg)
	eventually(t, "owner", owns(r, 0))
	b.ledger.set(func() { b.ledger.down = errDown })
	b.publish(600, s...)
	eventually(t, "not ready because of the spool", func() bool {
		ok, reasons := r.Ready()
		return !ok && strings.Contains(strings.Join(reasons, "\n"), "configured size")
	})
	time.Sleep(1500 * time.Millisecond) // the broker redelivers what is not acknowledged
	require.LessOrEqual(t, r.budget.Used(), cfg.SpoolBytes)
	require.Less(t, r.pending(), float64(1200))
	b.ledger.set(func() { b.ledger.down = nil })
	b.complete(s...)
	eventually(t, "ready again", func() bool { ok, _ := r.Ready(); return ok })
	page, err := r.Quarantine().List(context.Background(), quarantine.Filter{})
	require.NoError(t, err)
	require.Empty(t, page.Entries, "redeliveries are not replays")
}

func TestFullDiskIsBackPressure(t *testing.T) {
	b := newBench(t, 1)
	cfg := b.config("one")
	require.NoError(t, os.MkdirAll(cfg.Dir, 0o700))
	if err := syscall.Mount("tmpfs", cfg.Dir, "tmpfs", 0, "size=2560k"); err != nil {
		t.Skipf("a small filesystem cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(cfg.Dir, syscall.MNT_DETACH) })
	s := sensors(t, b, 2)
	r := b.start(cfg)
	eventually(t, "owner", owns(r, 0))
	b.ledger.set(func() { b.ledger.down = errDown })
	b.publish(1500, s...)
	eventually(t, "not ready because of the disk", func() bool {
		ok, reasons := r.Ready()
		return !ok && strings.Contains(strings.Join(reasons, "\n"), "no space left")
	})
	b.ledger.set(func() { b.ledger.down = nil })
	b.complete(s...)
	eventually(t, "ready again", func() bool { ok, _ := r.Ready(); return ok })
}

// cable is a network between an instance and the broker that can be cut without either end noticing.
type cable struct {
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	mended   *sync.Cond
	open     []net.Conn
}

func newCable(t testing.TB, target string) *cable {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{listener: listener}
	c.mended = sync.NewCond(&c.mu)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.open = append(c.open, near, far)
			c.mu.Unlock()
			go c.carry(near, far)
			go c.carry(far, near)
		}
	}()
	t.Cleanup(func() {
		c.set(false)
		listener.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, conn := range c.open {
			conn.Close()
		}
	})
	return c
}

func (c *cable) carry(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		c.mu.Lock()
		for c.cut {
			c.mended.Wait()
		}
		c.mu.Unlock()
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	c.mended.Broadcast()
}

// severed is a ledger that one instance cannot reach for a while.
type severed struct {
	Ledger
	cut atomic.Bool
}

func (s *severed) CommitBatch(ctx context.Context, argument []byte) (*provenance.Manifest, error) {
	if s.cut.Load() {
		return nil, errDown
	}
	return s.Ledger.CommitBatch(ctx, argument)
}

func TestInstancesShareTakeOverAndFence(t *testing.T) {
	b := newBench(t, 4)
	s := sensors(t, b, 8)
	wire := newCable(t, strings.TrimPrefix(b.url, "tcp://"))
	access := &severed{Ledger: b.ledger}
	cfg := b.config("one")
	cfg.Broker, cfg.Lease = "tcp://"+wire.listener.Addr().String(), 3*time.Second // a busy machine must not look like a dead one
	one := b.startWith(cfg, Deps{Ledger: access})
	eventually(t, "one has all", owns(one, 0, 1, 2, 3))
	b.publish(20, s...)

	second := b.config("two")
	second.Lease = cfg.Lease
	two := b.start(second)
	eventually(t, "they share", func() bool { return len(one.Lanes()) == 2 && len(two.Lanes()) == 2 })
	b.publish(20, s...)
	b.complete(s...)

	// One can no longer commit, then loses the broker without noticing: a stale owner with frames in its spool.
	access.cut.Store(true)
	b.publish(20, s...)
	eventually(t, "one has spooled its share", func() bool { return one.pending() == 80 })
	wire.set(true)
	eventually(t, "two takes over", owns(two, 0, 1, 2, 3))
	b.publish(20, s...)
	require.NotEmpty(t, one.Lanes(), "one has not noticed")

	// It wakes up: what it submits is fenced off, and what it has spooled finds its way to the new owner.
	access.cut.Store(false)
	eventually(t, "one is fenced", func() bool { return len(one.Lanes()) == 0 })
	wire.set(false)
	b.complete(s...)
	eventually(t, "they share again", func() bool { return len(one.Lanes()) == 2 && len(two.Lanes()) == 2 })
	b.publish(20, s...)
	b.complete(s...)
	eventually(t, "one's spool is empty", func() bool { return one.pending() == 0 })

	one.stop() // says good-bye: no lease to wait for
	eventually(t, "two has all", owns(two, 0, 1, 2, 3))
	b.publish(5, s...)
	b.complete(s...)
}

func TestContractsRefusalsAreQuarantined(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 2)
	before := newLedger() // the projection lags: it has not seen the revocation
	for id, device := range b.ledger.devices {
		old := *device
		before.devices[id] = &old
	}
	b.ledger.devices[s[1].id].Status = provenance.Revoked
	r := b.startWith(b.config("one"), Deps{Devices: devices{before}})
	b.publish(5, s...)
	b.complete(s[0])
	var page quarantine.Page
	eventually(t, "refusals", func() bool {
		var err error
		page, err = r.Quarantine().List(context.Background(), quarantine.Filter{Reason: "device-revoked"})
		return err == nil && len(page.Entries) == 5
	})
	e := page.Entries[0]
	require.Equal(t, s[1].topic(), e.Topic)
	require.Contains(t, e.Batch, org+"/0/")
	require.Contains(t, e.Detail, "refused by the contract")
	_, _, err := evidence.ParseMessage(e.Message)
	require.NoError(t, err, "the bytes are the message's")
}

func TestFrameThatSpoilsItsBatchIsFound(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 2)
	b.ledger.set(func() {
		b.ledger.fault = func(argument []byte) (before, after error) {
			batch, err := evidence.DecodeBatch(argument)
			if err != nil {
				return err, nil
			}
			for _, f := range batch.Frames {
				if parsed, err := evidence.ParseFrame(f.Raw); err == nil && parsed.ID.Device == s[1].id && parsed.ID.Sequence == 7 {
					return ErrRejected, nil
				}
			}
			return nil, nil
		}
	})
	r := b.start(b.config("one"))
	b.publish(30, s...)
	eventually(t, "all others are recorded", func() bool { return b.ledger.count() == 59 })
	page, err := r.Quarantine().List(context.Background(), quarantine.Filter{})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	require.Contains(t, page.Entries[0].Detail, "refuses any batch with it")
}

func TestReplayAfterTheCauseIsMended(t *testing.T) {
	b, ctx := newBench(t, 1), context.Background()
	s := sensors(t, b, 2)
	device := b.ledger.devices[s[1].id]
	b.ledger.set(func() { delete(b.ledger.devices, s[1].id) })
	r := b.start(b.config("one"))
	b.publish(10, s...)
	b.complete(s[0])
	waiting := func(n int) func() bool {
		return func() bool {
			page, err := r.Quarantine().List(ctx, quarantine.Filter{Reason: "unknown-device", Waiting: true})
			return err == nil && len(page.Entries) == n
		}
	}
	eventually(t, "quarantined", waiting(10))
	n, err := r.Replay(ctx, quarantine.Filter{Device: s[1].id})
	require.NoError(t, err)
	require.Equal(t, 10, n)
	eventually(t, "they come back, the cause is not mended", waiting(10))

	b.ledger.set(func() { b.ledger.devices[s[1].id] = device })
	time.Sleep(answerHolds)
	n, err = r.Replay(ctx, quarantine.Filter{Reason: "unknown-device"})
	require.NoError(t, err)
	require.Equal(t, 10, n)
	b.complete(s...)
	require.True(t, waiting(0)())
}

func TestUnreachableLedgerHoldsBackOnlyStrangers(t *testing.T) {
	b := newBench(t, 1)
	s := sensors(t, b, 2)
	known := newLedger()
	known.devices[s[0].id] = b.ledger.devices[s[0].id]
	r := b.startWith(b.config("one"), Deps{Devices: devices{known}})
	eventually(t, "owner", owns(r, 0))
	b.ledger.set(func() { b.ledger.down = errDown })
	b.publish(10, s[1], s[0])
	eventually(t, "known device's frames are spooled", func() bool { return r.pending() == 10 })
	b.ledger.set(func() { b.ledger.down = nil })
	b.complete(s...)
}

func TestCableCarries(t *testing.T) { // the tool must not be what passes the test
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	}()
	c := newCable(t, listener.Addr().String())
	conn, err := net.Dial("tcp", c.listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	c.set(true)
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	c.set(false)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
}

// A burst that is larger than the whole spool must go through it in parts; taken as one group it would never fit.
func TestGroupsFitIntoASmallSpool(t *testing.T) {
	in := &intake{arrivals: make(chan arrival, maxQueued), group: 32 << 10}
	for range maxQueued {
		in.arrivals <- arrival{body: make([]byte, 200)}
	}
	group := in.gather(<-in.arrivals)
	require.LessOrEqual(t, len(group)*(200+recordCost), 32<<10+200+recordCost)
}
