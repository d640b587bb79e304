package edge

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/broker"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/pki"
)

const owner = "CarrierMSP"

// world is a plain broker, Trailmark's broker with TLS, an authority, kits, and a reader in the place of ingest.
type world struct {
	t         *testing.T
	dir       string
	plain     string // URL
	store     broker.Config
	trailmark *broker.Broker
	url       string // of Trailmark's broker, kept over restarts
	authority *pki.Authority
	caFile    string
	kits      map[string]*devices.Kit
	records   map[string]*provenance.Device

	mu     sync.Mutex
	frames []*evidence.Frame
	packs  map[string][]provenance.Reading // by device, in order of arrival
}

func newWorld(t *testing.T, units map[string]string) *world {
	w := &world{t: t, dir: t.TempDir(), kits: map[string]*devices.Kit{}, records: map[string]*provenance.Device{}, packs: map[string][]provenance.Reading{}}
	w.makeAuthority()
	for id, unit := range units {
		kit, err := devices.Make(filepath.Join(w.dir, "devices"), id, owner, 0, unit, w.authority)
		require.NoError(t, err)
		enrolment, err := kit.Enrolment("temperature", -100_000_000, 100_000_000, 1)
		require.NoError(t, err)
		w.kits[id] = kit
		w.records[id] = &provenance.Device{
			ID: id, Organisation: owner, Unit: unit, Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: enrolment.Key}}, Attestation: provenance.ByEdge,
		}
	}
	w.plain = startPlain(t, filepath.Join(w.dir, "plain"))
	pair, err := w.authority.ServerPair(w.dir, "broker", "127.0.0.1")
	require.NoError(t, err)
	w.store = broker.Config{
		Host: "127.0.0.1", Dir: filepath.Join(w.dir, "store"), Lanes: map[string]uint32{owner: 1}, TLSCert: pair.Cert, TLSKey: pair.Key,
		ClientCA: map[string]string{owner: w.caFile}, Sync: "1s", MaxMessage: 131072, MaxConnections: 100, MaxStore: 1 << 28, MaxInFlight: 1024, AckWait: time.Second,
	}
	w.startBroker()
	return w
}

func (w *world) makeAuthority() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(w.t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(w.t, err)
	w.caFile = filepath.Join(w.dir, "ca.crt")
	keyFile := filepath.Join(w.dir, "ca.key")
	require.NoError(w.t, os.WriteFile(w.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(w.t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	w.authority, err = pki.Load(w.caFile, keyFile)
	require.NoError(w.t, err)
}

// startPlain starts a broker without accounts: nats-server as anybody would run it.
func startPlain(t *testing.T, dir string) string {
	options := &server.Options{
		ServerName: "plain", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
		MQTT: server.MQTTOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, AckWait: 2 * time.Second},
	}
	ns, err := server.NewServer(options)
	require.NoError(t, err)
	ns.Start()
	require.True(t, ns.ReadyForConnections(20*time.Second))
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	return fmt.Sprintf("tcp://127.0.0.1:%d", options.MQTT.Port)
}

// startBroker starts Trailmark's broker, on the same port as before if there was one, and the reader that stands for ingest.
func (w *world) startBroker() {
	if w.url != "" {
		_, err := fmt.Sscanf(w.url[strings.LastIndex(w.url, ":")+1:], "%d", &w.store.Port)
		require.NoError(w.t, err)
	}
	b, err := broker.Start(context.Background(), w.store, broker.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(w.t, err)
	w.trailmark, w.url = b, b.URL()
	w.t.Cleanup(b.Stop)
	pair, err := w.authority.ClientPair(w.dir, "ingest", owner, "ingest")
	require.NoError(w.t, err)
	config, err := tlsConfig(w.caFile, pair.Cert, pair.Key)
	require.NoError(w.t, err)
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(w.url).SetClientID("tm-ingest-" + owner + "-0").SetTLSConfig(config).SetCleanSession(false).
		SetAutoReconnect(false).SetDefaultPublishHandler(w.receive))
	require.NoError(w.t, await(context.Background(), client.Connect()))
	require.NoError(w.t, await(context.Background(), client.Subscribe("tm/"+owner+"/0/+", 1, nil)))
	w.t.Cleanup(func() { client.Disconnect(10) })
}

// receive judges a frame as ingest and contract do.
func (w *world) receive(_ mqtt.Client, m mqtt.Message) {
	frame, payload, err := evidence.ParseMessage(m.Payload())
	if err != nil {
		w.t.Errorf("frame: %v", err)
		return
	}
	record := w.records[frame.ID.Device]
	key, err := evidence.ParseKey(record.KeyAt(frame.ID.Epoch))
	if err == nil {
		err = evidence.Judge(frame, payload, record, key, evidence.Origin{Organisation: owner, Lane: 0, Now: provenance.TimeOf(time.Now())})
	}
	if err != nil || m.Topic() != "tm/"+owner+"/0/"+frame.ID.Device {
		w.t.Errorf("frame on %s: %v", m.Topic(), err)
		return
	}
	pack, err := evidence.ParsePayload(payload)
	if err != nil {
		w.t.Errorf("payload: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, frame)
	w.packs[frame.ID.Device] = append(w.packs[frame.ID.Device], pack.Readings...)
}

func (w *world) readings(device string) []provenance.Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]provenance.Reading{}, w.packs[device]...)
}

func (w *world) config(mapping string) Config {
	path := filepath.Join(w.dir, "mapping.yaml")
	require.NoError(w.t, os.WriteFile(path, []byte(mapping), 0o600))
	return Config{
		Mapping: path, Devices: filepath.Join(w.dir, "devices"), Dir: filepath.Join(w.dir, "edge"), Source: w.plain, ClientID: "edge-1", Rebirth: true,
		Broker: w.url, CA: w.caFile, PerFrame: 5, MaxDelay: 200 * time.Millisecond, MaxReadings: 100_000, InFlight: 8, Remember: time.Hour, QuarantineBytes: 1 << 20,
	}
}

// run starts an edge and returns how to stop it; stopping waits for its end.
func (w *world) run(config Config) (stop func()) {
	e, err := New(context.Background(), config, Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(w.t, <-done)
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *world) sensor() mqtt.Client {
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(w.plain).SetClientID(fmt.Sprintf("sensor-%d", time.Now().UnixNano())).SetAutoReconnect(false))
	require.NoError(w.t, await(context.Background(), client.Connect()))
	w.t.Cleanup(func() { client.Disconnect(10) })
	return client
}

func (w *world) quarantined(config Config) []refused {
	file, err := os.Open(filepath.Join(config.Dir, "quarantine.ndjson"))
	require.NoError(w.t, err)
	defer file.Close()
	var list []refused
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r refused
		require.NoError(w.t, json.Unmarshal(lines.Bytes(), &r))
		list = append(list, r)
	}
	return list
}

const plainMapping = `
version: 1
rules:
- {device: cold-1, unit: Cel, from: Far, senml: {topic: "sensors/+/data", name: "urn:dev:1:temp"}}
- {device: cold-2, unit: Cel, senml: {topic: "sensors/#", name: "urn:dev:2:temp"}}
- {device: truck-7, unit: Cel, from: degF, sparkplug: {group: plant, edge: gw1, device: truck7, metric: Temperature/Front}}
`

var units = map[string]string{"cold-1": "Cel", "cold-2": "Cel", "truck-7": "Cel"}

// await the session: a message published before the edge has subscribed for the first time is nobody's.
func (w *world) listening(config Config) {
	probe := w.sensor()
	require.Eventually(w.t, func() bool {
		probe.Publish("sensors/probe", 1, false, "?").Wait()
		time.Sleep(20 * time.Millisecond)
		return len(w.quarantined(config)) > 0
	}, 20*time.Second, 50*time.Millisecond)
}

func TestPlainSensorsBecomeSignedFrames(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	stop := w.run(config)
	w.listening(config)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	sensor := w.sensor()
	publish := func(topic string, body any) {
		require.NoError(t, await(context.Background(), sensor.Publish(topic, 1, false, body)))
	}
	want1, want2 := []provenance.Reading{}, []provenance.Reading{}
	for i := range 23 {
		at := base.Add(time.Duration(i) * time.Minute)
		publish("sensors/a/data", fmt.Sprintf(`[{"bn":"urn:dev:1:","bt":%d,"n":"temp","v":39.2},{"n":"temp","t":30,"v":32}]`, at.Unix()))
		publish("sensors/b/data", fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"K","v":277.65,"t":%d}]`, at.Unix()))
		want1 = append(want1, provenance.Reading{Time: provenance.TimeOf(at), Value: 4_000_000}, provenance.Reading{Time: provenance.TimeOf(at.Add(30 * time.Second)), Value: 0})
		want2 = append(want2, provenance.Reading{Time: provenance.TimeOf(at), Value: 4_500_000})
	}
	publish("sensors/b/data", fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"K","v":277.65,"t":%d}]`, base.Unix())) // sent again
	publish("sensors/b/data", fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"K","v":270,"t":%d}]`, base.Unix()))    // contradicts
	publish("sensors/b/data", `[{"n":"urn:dev:2:temp","u":"%RH","v":50}]`)
	publish("sensors/b/data", fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"Cel","v":1,"t":%d}]`, time.Now().Add(time.Hour).Unix()))
	publish("sensors/b/data", `[{"n":"urn:dev:2:temp","u":"Cel","v":1,"t":300000000}]`)
	publish("sensors/b/data", `[{"n":"urn:dev:2:temp","u":"Cel","vb":true}]`)
	publish("sensors/b/data", `[{"n":"urn:dev:9:temp","u":"Cel","v":1}]`)
	publish("sensors/b/data", `[{"n":"urn:dev:9:temp","u":"Cel","v":2}]`)
	publish("sensors/b/data", `{`)
	require.Eventually(t, func() bool { return len(w.readings("cold-1")) == 46 && len(w.readings("cold-2")) == 23 }, 20*time.Second, 20*time.Millisecond)
	stop()
	require.Equal(t, want1, w.readings("cold-1"), "39.2 °F is 4 °C exactly")
	require.Equal(t, want2, w.readings("cold-2"))
	var reasons []string
	for _, r := range w.quarantined(config) {
		if r.Topic != "sensors/probe" {
			reasons = append(reasons, r.Reason)
		}
	}
	require.Len(t, reasons, 7)
	for i, want := range []string{"measured 4.5 at", `no conversion from "%RH" to "Cel"`, "in the future", "more than nine years ago", "holds a boolean, not a number", "no rule maps", "SenML:"} {
		require.Contains(t, reasons[i], want)
	}
	w.checkSequences()
}

// checkSequences holds each device to its numbers: from 1, in order, without a gap.
func (w *world) checkSequences() {
	last := map[string]uint64{}
	for _, f := range w.frames {
		require.Equal(w.t, last[f.ID.Device]+1, f.ID.Sequence)
		last[f.ID.Device] = f.ID.Sequence
	}
}

func TestNothingIsLostOrDoubledWhileTheBrokerIsAway(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	stop := w.run(config)
	w.listening(config)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	sensor, sent := w.sensor(), 0
	publish := func(n int) {
		for range n {
			body := fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"Cel","v":%d,"t":%d}]`, sent%40, base.Unix()+int64(sent))
			require.NoError(t, await(context.Background(), sensor.Publish("sensors/b/data", 1, false, body)))
			sent++
		}
	}
	publish(40)
	require.Eventually(t, func() bool { return len(w.readings("cold-2")) == 40 }, 20*time.Second, 10*time.Millisecond)
	w.trailmark.Stop()
	publish(60)
	before := time.Now()
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	w.startBroker() // while the edge tries to give the last away
	<-stopped
	require.Less(t, time.Since(before), 15*time.Second)
	publish(30) // while no edge runs: its session with the plain broker waits
	stop = w.run(config)
	publish(10)
	require.Eventually(t, func() bool { return len(w.readings("cold-2")) >= 140 }, 30*time.Second, 20*time.Millisecond)
	stop()
	seen := map[uint64]bool{}
	byTime := map[provenance.Time]bool{}
	for _, f := range w.frames {
		seen[f.ID.Sequence] = true // a frame may come twice: ingest knows it
	}
	for _, r := range w.readings("cold-2") {
		byTime[r.Time] = true
	}
	require.Len(t, byTime, 140)
	for i := range len(seen) {
		require.True(t, seen[uint64(i+1)], "frame %d", i+1)
	}
}

func TestALostOutboxUsesNoNumberTwice(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	round := func(second int64) {
		stop := w.run(config)
		w.listening(config)
		body := fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"Cel","v":1,"t":%d}]`, time.Now().Unix()-3600+second)
		before := len(w.readings("cold-2"))
		require.NoError(t, await(context.Background(), w.sensor().Publish("sensors/b/data", 1, false, body)))
		require.Eventually(t, func() bool { return len(w.readings("cold-2")) > before }, 20*time.Second, 10*time.Millisecond)
		stop()
	}
	round(0)
	round(1)
	require.NoError(t, os.RemoveAll(config.Dir))
	round(2)
	require.Equal(t, []uint64{1, 2, reserve + 1}, []uint64{w.frames[0].ID.Sequence, w.frames[1].ID.Sequence, w.frames[2].ID.Sequence})
}

// sparkplugPayload writes a payload of float metrics.
func sparkplugPayload(published, sequence uint64, metrics ...[]byte) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), published)
	for _, m := range metrics {
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), m)
	}
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), sequence)
}

func floatMetric(name string, alias uint64, at time.Time, bits uint32) []byte {
	var b []byte
	if name != "" {
		b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), name)
		b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), 9)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), alias)
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(at.UnixMilli()))
	return protowire.AppendFixed32(protowire.AppendTag(b, 12, protowire.Fixed32Type), bits)
}

func TestSparkplugKeepsTheTimeOfAcquisitionAndAliasesOverARestart(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	stop := w.run(config)
	w.listening(config)
	host := w.sensor()
	commands := make(chan string, 10)
	require.NoError(t, await(context.Background(), host.Subscribe("spBv1.0/plant/NCMD/#", 0, func(_ mqtt.Client, m mqtt.Message) { commands <- m.Topic() })))
	gateway := w.sensor()
	publish := func(kind string, body []byte) {
		topic := "spBv1.0/plant/" + kind + "/gw1"
		if kind[0] == 'D' {
			topic += "/truck7"
		}
		require.NoError(t, await(context.Background(), gateway.Publish(topic, 1, false, body)))
	}
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Millisecond)
	now := uint64(time.Now().UnixMilli())
	publish("DDATA", sparkplugPayload(now, 7, floatMetric("", 3, base, 0x42200000))) // before any birth
	require.Equal(t, "spBv1.0/plant/NCMD/gw1", <-commands)
	publish("NBIRTH", sparkplugPayload(now, 0))
	publish("DBIRTH", sparkplugPayload(now, 1, floatMetric("Temperature/Front", 3, base, 0x42000000))) // 32 °F
	publish("DDATA", sparkplugPayload(now, 2, floatMetric("", 3, base.Add(time.Minute), 0x42240000)))  // 41 °F, published two hours later
	require.Eventually(t, func() bool { return len(w.readings("truck-7")) == 2 }, 20*time.Second, 10*time.Millisecond)
	stop()
	stop = w.run(config)
	publish("DDATA", sparkplugPayload(now, 3, floatMetric("", 3, base.Add(2*time.Minute), 0xc2200000))) // -40 °F
	require.Eventually(t, func() bool { return len(w.readings("truck-7")) == 3 }, 20*time.Second, 10*time.Millisecond)
	stop()
	require.Equal(t, []provenance.Reading{
		{Time: provenance.TimeOf(base), Value: 0}, {Time: provenance.TimeOf(base.Add(time.Minute)), Value: 5_000_000}, {Time: provenance.TimeOf(base.Add(2 * time.Minute)), Value: -40_000_000},
	}, w.readings("truck-7"))
	w.checkSequences()
}

func TestAFullOutboxTakesNoMore(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	config.MaxReadings = 20
	w.trailmark.Stop()
	e, err := New(context.Background(), config, Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	w.listening(config)
	sensor := w.sensor()
	base := time.Now().Unix() - 36000
	for i := range 1000 {
		require.NoError(t, await(context.Background(), sensor.Publish("sensors/b/data", 1, false, fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"Cel","v":1,"t":%d}]`, base+int64(i)))))
	}
	time.Sleep(500 * time.Millisecond)
	require.LessOrEqual(t, e.unpublished(), config.MaxReadings+groupMessages)
	ready, reasons := e.Ready()
	require.False(t, ready)
	require.Contains(t, strings.Join(reasons, "\n"), "as many as allowed")
	w.startBroker()
	require.Eventually(t, func() bool { return len(w.readings("cold-2")) >= 1000 }, 60*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, units)
	try := func(mapping string, change func(*Config)) error {
		config := w.config(mapping)
		if change != nil {
			change(&config)
		}
		_, err := New(context.Background(), config, Options{})
		return err
	}
	require.ErrorContains(t, try("version: 1\nrules:\n- {device: none, unit: Cel, senml: {topic: a, name: n}}", nil), "trailmark device enrol none --attestation edge")
	require.ErrorContains(t, try("version: 1\nrules:\n- {device: cold-1, unit: K, senml: {topic: a, name: n}}", nil), `enrolled with unit "Cel", not "K"`)
	require.ErrorContains(t, try(plainMapping, func(c *Config) { c.PerFrame = 0 }), "readings in a frame")
	require.ErrorContains(t, try(plainMapping, func(c *Config) { c.CA = filepath.Join(w.dir, "none") }), "reading broker CA")
}

func TestQuarantineIsBounded(t *testing.T) {
	dir := t.TempDir()
	q, err := openQuarantine(dir, 1<<16)
	require.NoError(t, err)
	for range 200 {
		require.NoError(t, q.add([]refused{{Topic: "t", Reason: "r", Body: make([]byte, 1000)}}))
	}
	require.NoError(t, q.close())
	total := int64(0)
	for _, name := range []string{"quarantine.ndjson", "quarantine.old.ndjson"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		total += info.Size()
	}
	require.LessOrEqual(t, total, int64(1<<16))
	require.Greater(t, total, int64(1<<15))
}
