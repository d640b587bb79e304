package grafana

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"iter"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/edge"
	"github.com/trailmark/trailmark/deploy/pki"
	"github.com/trailmark/trailmark/gateway/checkpoint"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/ingest"
)

// described notes the name and labels of every metric that is registered, series or none.
type described struct {
	prometheus.Registerer
	labels map[string][]string
}

var (
	nameOf   = regexp.MustCompile(`fqName: "([^"]+)"`)
	labelsOf = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)
)

func (d *described) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 1000)
	c.Describe(descriptions)
	close(descriptions)
	for description := range descriptions {
		name := nameOf.FindStringSubmatch(description.String())[1]
		d.labels[name] = strings.FieldsFunc(labelsOf.FindStringSubmatch(description.String())[1], func(r rune) bool { return r == ',' || r == ' ' })
		if _, ok := c.(prometheus.Histogram); ok {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				d.labels[name+suffix] = append(slices.Clone(d.labels[name]), "le")
			}
		}
	}
	return d.Registerer.Register(c)
}

func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

// What the parts are joined to, none of which is called here.
type (
	ingestLedger     struct{ ingest.Ledger }
	ingestDevices    struct{ ingest.Devices }
	scoredProjection struct{ service.Projection }
	scoredLedger     struct{ service.Ledger }
	submitter        struct{ checkpoint.Submitter }
	changes          struct{ checkpoint.Changes }
	noBlocks         struct{}
)

func (noBlocks) Blocks(context.Context, uint64) iter.Seq[*common.Block] {
	return func(func(*common.Block) bool) {}
}

// metricsOfAll makes every part of an installation that has metrics, as node and edge do.
func metricsOfAll(t *testing.T) map[string][]string {
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	d := &described{prometheus.NewRegistry(), map[string][]string{}}
	d.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	authority := newAuthority(t, dir)
	profile := `{"channel":"c","organisations":[{"name":"own","mspID":"OwnMSP","tlsCA":"ca.crt","node":{"cert":"ca.crt","key":"ca.key"},"peers":[{"name":"p","address":"127.0.0.1:1","serverName":"p"}]}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profile.json"), []byte(profile), 0o600))
	client, err := ledger.Dial(ledger.Config{Profile: filepath.Join(dir, "profile.json"), Organisation: "own"}, quiet, d)
	require.NoError(t, err)
	defer client.Close()

	store, err := readmodel.Open(context.Background(), filepath.Join(dir, "model.db"), "c")
	require.NoError(t, err)
	defer store.Close()
	_, err = projector.New(projector.Config{Channel: "c", Chaincode: "trailmark"}, store, noBlocks{}, quiet, d)
	require.NoError(t, err)
	_, err = checkpoint.New(checkpoint.Config{KeyFile: filepath.Join(dir, "log.key")}, "OwnMSP", store, submitter{}, changes{}, quiet, d)
	require.NoError(t, err)
	_, err = service.New(service.Config{}, scoredProjection{}, scoredLedger{}, quiet, d)
	require.NoError(t, err)

	app, err := ingest.New(ingest.Config{
		Organisation: "OwnMSP", Instance: "one", Dir: filepath.Join(dir, "ingest"), Lanes: 1, Broker: "tcp://127.0.0.1:1", BatchBytes: 65536, MaxLinger: 1, MaxInFlight: 1,
		CommitTimeout: 1, SpoolBytes: 1 << 24, SegmentBytes: 1 << 20, LaneHeld: 1 << 20, QuarantineEntries: 10, QuarantineBytes: 1 << 20, ArchiveBytes: 1 << 20,
		Heartbeat: time.Second, Lease: 10 * time.Second, Drain: time.Second,
	}, ingest.Deps{Ledger: ingestLedger{}, Devices: ingestDevices{}, Log: quiet, Registerer: d})
	require.NoError(t, err)
	defer app.Close()

	_, err = devices.Make(filepath.Join(dir, "devices"), "d", "OwnMSP", 0, "Cel", authority)
	require.NoError(t, err)
	mapping := filepath.Join(dir, "mapping.yaml")
	require.NoError(t, os.WriteFile(mapping, []byte("version: 1\nrules:\n- {device: d, unit: Cel, senml: {topic: t, name: n}}\n"), 0o600))
	signing, err := edge.New(context.Background(), edge.Config{
		Mapping: mapping, Devices: filepath.Join(dir, "devices"), Dir: filepath.Join(dir, "edge"), Source: "tcp://127.0.0.1:1", Broker: "tcp://127.0.0.1:1", PerFrame: 1,
		MaxDelay: 1, MaxReadings: 1, InFlight: 1, Remember: 1, QuarantineBytes: 1 << 20,
	}, edge.Options{Log: quiet, Registerer: d})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, signing.Run(ended))
	return d.labels
}

func newAuthority(t *testing.T, dir string) *pki.Authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, private := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	authority, err := pki.Load(cert, private)
	require.NoError(t, err)
	return authority
}

var (
	metricName = regexp.MustCompile(`\b(?:trailmark|process|go)_[a-z0-9_]+`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`\{([a-z_]+)(?:=~|=|!=|!~)`)
	shownLabel = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
)

func TestEveryQueryAsksForWhatExistsAndNothingIsLeftOut(t *testing.T) {
	text, err := os.ReadFile("trailmark.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	known := metricsOfAll(t)
	asked, ids := map[string]bool{}, map[int]bool{}
	for _, panel := range dashboard.Panels {
		require.False(t, ids[panel.ID], "panel %q has the number of another", panel.Title)
		ids[panel.ID] = true
		require.Equal(t, panel.Type == "row", len(panel.Targets) == 0, panel.Title)
		require.LessOrEqual(t, panel.GridPos.X+panel.GridPos.W, 24, panel.Title)
		for _, target := range panel.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			require.NotEmpty(t, names, target.Expr)
			labels := []string{"instance", "job"} // every series has them from the scrape
			for _, name := range names {
				require.Contains(t, known, name, "panel %q asks for a metric that does not exist: %s", panel.Title, target.Expr)
				labels = append(labels, known[name]...)
				asked[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")] = true
			}
			var used []string
			for _, found := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				used = append(used, strings.Split(strings.ReplaceAll(found[1], " ", ""), ",")...)
			}
			for _, found := range append(matcher.FindAllStringSubmatch(target.Expr, -1), shownLabel.FindAllStringSubmatch(target.LegendFormat, -1)...) {
				used = append(used, found[1])
			}
			for _, label := range used {
				require.Contains(t, labels, label, "panel %q: %s", panel.Title, target.Expr)
			}
		}
	}
	// Said in OPERATIONS.md rather than drawn.
	undrawn := []string{"trailmark_ingest_quarantine_bytes", "trailmark_ingest_quarantine_archived", "trailmark_checkpoint_size", "trailmark_edge_messages_total"}
	operations, err := os.ReadFile("../OPERATIONS.md")
	require.NoError(t, err)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !strings.HasPrefix(name, "trailmark_") || base != name && known[base] != nil {
			continue
		}
		require.True(t, asked[name] || slices.Contains(undrawn, name) || asked[base], "no panel shows %s", name)
		require.Contains(t, string(operations), "`"+name+"`", "OPERATIONS.md does not say what %s means", name)
	}
	// Reasons and kinds have their lines too.
	for v := provenance.Malformed; v.String() != "unknown"; v++ {
		require.Contains(t, string(operations), "`"+v.String()+"`")
	}
	for _, kind := range []string{provenance.KindDeviceSilent, provenance.KindDeviceClock, provenance.KindDeviceBattery, provenance.KindDeviceCalibration} {
		require.Contains(t, string(operations), "`"+kind+"`")
	}
}
