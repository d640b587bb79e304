package ingest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/broker"
)

const org = "Org.MSP"

// ledger stands in for Fabric with the contract's rules: fences, numbers, heads, verdicts.
type ledger struct {
	mu        sync.Mutex
	latency   time.Duration
	lanes     map[uint32]provenance.Lane
	manifests map[string]*provenance.Manifest
	devices   map[string]*provenance.Device
	heads     map[string]*provenance.Head
	recorded  map[provenance.FrameID]int
	arguments [][]byte // of committed batches
	fault     func(argument []byte) (before, after error)
	down      error // every call fails
}

func newLedger() *ledger {
	return &ledger{
		latency: 5 * time.Millisecond, lanes: map[uint32]provenance.Lane{}, manifests: map[string]*provenance.Manifest{},
		devices: map[string]*provenance.Device{}, heads: map[string]*provenance.Head{}, recorded: map[provenance.FrameID]int{},
	}
}

func (l *ledger) Lane(_ context.Context, organisation string, lane uint32) (provenance.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lane(organisation, lane), l.down
}

func (l *ledger) lane(organisation string, lane uint32) provenance.Lane {
	state, ok := l.lanes[lane]
	if !ok {
		state = provenance.Lane{Organisation: organisation, Lane: lane}
	}
	return state
}

func (l *ledger) ClaimLane(_ context.Context, organisation string, lane uint32, instance string, fence uint64) (provenance.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.lane(organisation, lane)
	if l.down != nil {
		return state, l.down
	}
	if state.Fence != fence {
		return state, ErrConflict
	}
	state.Owner, state.Fence = instance, fence+1
	l.lanes[lane] = state
	return state, nil
}

func (l *ledger) Manifest(_ context.Context, organisation string, lane uint32, number uint64) (*provenance.Manifest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.manifests[fmt.Sprintf("%s/%d/%d", organisation, lane, number)], l.down
}

func (l *ledger) Device(_ context.Context, id string) (*provenance.Device, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.devices[id], l.down
}

// registry is what blocks have brought: here as much as the ledger has, unless empty.
type devices struct{ *ledger }

func (d devices) Device(id string) (*provenance.Device, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	device, ok := d.devices[id]
	return device, ok
}

func (l *ledger) CommitBatch(ctx context.Context, argument []byte) (*provenance.Manifest, error) {
	l.mu.Lock()
	latency, fault, down := l.latency, l.fault, l.down
	l.mu.Unlock()
	if down != nil {
		return nil, down
	}
	var before, after error
	if fault != nil {
		before, after = fault(argument)
	}
	if before != nil {
		return nil, before
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := l.apply(argument)
	if err == nil && after != nil {
		return nil, after
	}
	return m, err
}

func (l *ledger) apply(argument []byte) (*provenance.Manifest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := evidence.DecodeBatch(argument)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRejected, err)
	}
	state, digest := l.lane(b.Organisation, b.Lane), provenance.Hash(sha256.Sum256(argument))
	key := fmt.Sprintf("%s/%d/%d", b.Organisation, b.Lane, b.Number)
	if known := l.manifests[key]; known != nil && known.Argument == digest {
		return nil, ErrAlreadyCommitted
	}
	if b.Fence != state.Fence {
		return nil, ErrStaleFence
	}
	if b.Number != state.Number+1 {
		return nil, fmt.Errorf("%w: number %d after %d", ErrConflict, b.Number, state.Number)
	}
	m := &provenance.Manifest{Organisation: b.Organisation, Lane: b.Lane, Number: b.Number, Fence: b.Fence, Argument: digest}
	for i, f := range b.Frames {
		parsed, err := evidence.ParseFrame(f.Raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRejected, err)
		}
		var verdict provenance.Verdict
		var refused *evidence.FrameError
		if err := evidence.Judge(parsed, f.Payload, l.devices[parsed.ID.Device], nil, evidence.Origin{Organisation: b.Organisation, Lane: b.Lane, Now: f.Received}); errors.As(err, &refused) {
			verdict = refused.Verdict
		} else {
			at := fmt.Sprintf("%s/%d", parsed.ID.Device, parsed.ID.Epoch)
			if l.heads[at] == nil {
				l.heads[at] = &provenance.Head{}
			}
			verdict, _ = l.heads[at].Accept(parsed.ID.Sequence)
		}
		if verdict != provenance.Accepted {
			m.Refused = append(m.Refused, provenance.Refusal{Position: uint32(i), Leaf: evidence.LeafHash(f.Raw), Verdict: verdict})
			continue
		}
		m.Frames++
		l.recorded[parsed.ID]++
	}
	state.Number, state.Digest = b.Number, digest
	l.lanes[b.Lane], l.manifests[key] = state, m
	l.arguments = append(l.arguments, bytes.Clone(argument))
	return m, nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.recorded)
}

func (l *ledger) set(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

// sensor is a device with its key.
type sensor struct {
	id       string
	lane     uint32
	signer   crypto.Signer
	sequence uint64
}

func newSensor(t testing.TB, l *ledger, id string, lane uint32) *sensor {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	key, err := evidence.EncodeKey(public)
	require.NoError(t, err)
	l.set(func() {
		l.devices[id] = &provenance.Device{
			ID: id, Organisation: org, Quantity: "temperature", Unit: "Cel", Min: -40e6, Max: 85e6, CalibrationDue: 1, Epoch: 1,
			Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: key}}, Lane: lane,
		}
	})
	return &sensor{id: id, lane: lane, signer: private}
}

func (s *sensor) topic() string { return fmt.Sprintf("tm/%s/%d/%s", org, s.lane, s.id) }

func (s *sensor) pack(at time.Time) *evidence.Pack {
	return &evidence.Pack{Device: s.id, Unit: "Cel", Readings: []provenance.Reading{{Time: provenance.TimeOf(at), Value: 4_500_000}}}
}

func (s *sensor) next(t testing.TB) []byte {
	t.Helper()
	s.sequence++
	now := time.Now()
	message, err := evidence.SignFrame(s.signer, 1, s.sequence, s.pack(now), provenance.TimeOf(now))
	require.NoError(t, err)
	return message
}

// bench is a broker, a ledger, and what is connected to them.
type bench struct {
	t      testing.TB
	dir    string
	cfg    broker.Config
	broker *broker.Broker
	ledger *ledger
	lanes  uint32
	url    string
	secret *broker.Secret
}

func newBench(t testing.TB, lanes uint32) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), ledger: newLedger(), lanes: lanes}
	b.cfg = broker.Config{
		Host: "127.0.0.1", Port: freePort(t), Dir: filepath.Join(b.dir, "broker"), Lanes: map[string]uint32{org: lanes},
		SecretFile: filepath.Join(b.dir, "secret"), Sync: "1s", MaxMessage: 128 << 10, MaxConnections: 1000, MaxStore: 1 << 30,
		MaxInFlight: 1024, AckWait: time.Second,
	}
	b.startBroker()
	b.url, b.secret = b.broker.URL(), b.broker.Secret() // they stay the same when it restarts
	t.Cleanup(func() { b.broker.Stop() })
	return b
}

func freePort(t testing.TB) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func quiet(t testing.TB) *slog.Logger {
	if os.Getenv("INGEST_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func (b *bench) startBroker() {
	b.t.Helper()
	started, err := broker.Start(context.Background(), b.cfg, broker.Options{Log: quiet(b.t)})
	require.NoError(b.t, err)
	b.broker = started
}

func (b *bench) config(instance string) Config {
	p := broker.Principal{Role: broker.IngestRole, Organisation: org, Name: instance}
	return Config{
		Organisation: org, Instance: instance, Dir: filepath.Join(b.dir, instance), Lanes: b.lanes,
		Broker: b.url, Username: p.Username(), Password: b.secret.Token(p, time.Time{}),
		BatchBytes: 64 << 10, MaxLinger: 50 * time.Millisecond, MinLinger: 5 * time.Millisecond, MaxInFlight: 8, CommitTimeout: 5 * time.Second,
		SpoolBytes: 64 << 20, SegmentBytes: 1 << 20, LaneMemory: 1 << 20, LaneHeld: 4 << 20,
		QuarantineEntries: 10_000, QuarantineBytes: 16 << 20, ArchiveBytes: 16 << 20,
		Heartbeat: 200 * time.Millisecond, Lease: time.Second, Drain: 3 * time.Second,
	}
}

// running is an instance that runs; stop ends it gracefully, and kill without ado: spool and broker session stay as they are.
type running struct {
	*App
	stop func()
}

func (b *bench) start(cfg Config) *running {
	b.t.Helper()
	return b.startWith(cfg, Deps{})
}

func (b *bench) startWith(cfg Config, deps Deps) *running {
	b.t.Helper()
	if deps.Ledger == nil {
		deps.Ledger = b.ledger
	}
	if deps.Devices == nil {
		deps.Devices = devices{b.ledger}
	}
	deps.Log, deps.Registerer = quiet(b.t), prometheus.NewRegistry()
	app, err := New(cfg, deps)
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	var once sync.Once
	r := &running{App: app, stop: func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				require.NoError(b.t, err)
			case <-time.After(30 * time.Second):
				b.t.Error("ingest does not stop")
			}
		})
	}}
	b.t.Cleanup(r.stop)
	return r
}

func (b *bench) publisherOptions(s *sensor) *mqtt.ClientOptions {
	p := broker.Principal{Role: broker.DeviceRole, Organisation: org, Name: s.id}
	return mqtt.NewClientOptions().AddBroker(b.url).SetClientID(broker.ClientID(s.id)).
		SetUsername(p.Username()).SetPassword(b.secret.Token(p, time.Time{})).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
}

func (b *bench) publisher(s *sensor) mqtt.Client {
	b.t.Helper()
	client := mqtt.NewClient(b.publisherOptions(s))
	require.NoError(b.t, await(context.Background(), client.Connect()))
	b.t.Cleanup(func() { client.Disconnect(10) })
	return client
}

// publish sends n frames of each sensor and waits for their PUBACKs.
func (b *bench) publish(n int, sensors ...*sensor) {
	b.t.Helper()
	for _, s := range sensors {
		client := b.publisher(s)
		tokens := make([]mqtt.Token, n)
		for i := range tokens {
			tokens[i] = client.Publish(s.topic(), 1, false, s.next(b.t))
		}
		for _, token := range tokens {
			require.NoError(b.t, await(context.Background(), token))
		}
		client.Disconnect(10)
	}
}

// complete waits until everything that the sensors sent is on the ledger, exactly once.
func (b *bench) complete(sensors ...*sensor) {
	b.t.Helper()
	want := 0
	for _, s := range sensors {
		want += int(s.sequence)
	}
	require.Eventually(b.t, func() bool { return b.ledger.count() >= want }, 30*time.Second, 10*time.Millisecond,
		"want %d frames on the ledger", want)
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	for _, s := range sensors {
		for sequence := range s.sequence {
			require.Equal(b.t, 1, b.ledger.recorded[provenance.FrameID{Device: s.id, Epoch: 1, Sequence: sequence + 1}], "%s %d", s.id, sequence+1)
		}
	}
}

func owns(r *running, lanes ...uint32) func() bool {
	return func() bool { return slices.Equal(r.Lanes(), lanes) }
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 10*time.Millisecond, what)
}
