//go:build e2e

// Package e2e walks the whole road on a real Fabric network, with a real broker, a real database and, unless SKIP_BROWSER=1, a real
// browser. The tests share one network; each has devices and shipments of its own.
package e2e

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/deploy/broker"
	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/load"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/pki"
)

var (
	program string // bin/trailmark, built for this run
	network *fabric.Network
	netDir  string
	quiet   = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "trailmark-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := start(dir); err != nil {
		fmt.Fprintln(os.Stderr, "starting the network:", err)
		return 1
	}
	defer network.Close()
	return m.Run()
}

func start(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if program = os.Getenv("TRAILMARK_PROGRAM"); program == "" {
		program = filepath.Join(dir, "trailmark")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "../cmd/trailmark")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return err
		}
	}
	say := func(step string) { fmt.Fprintln(os.Stderr, "·", step) }
	netDir = filepath.Join(dir, "net")
	cfg := fabric.Config{Dir: netDir}
	if err := fabric.Build(ctx, cfg, say); err != nil {
		return err
	}
	began := time.Now()
	var err error
	if network, err = fabric.Up(ctx, cfg, fabric.Options{Log: quiet, Progress: say}); err != nil {
		return err
	}
	if err := contracts.Deploy(ctx, network, program); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "· network ready in %.1f s\n", time.Since(began).Seconds())
	return nil
}

// as connects in the name of an organisation.
func as(t testing.TB, name string) node.Contracts {
	t.Helper()
	c, err := node.Dial(netDir, name, quiet)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Client.Close() })
	return c
}

func organisation(t testing.TB, name string) fabric.OrganisationProfile {
	t.Helper()
	o, err := network.Profile().Organisation(name)
	require.NoError(t, err)
	return o
}

// mqtt is a broker for one organisation with what clients need to use it.
type mqttBroker struct {
	url   string
	ca    string
	trust *x509.CertPool
	pki   *pki.Authority
	org   fabric.OrganisationProfile
	dir   string
}

// startBroker runs a broker in this process.
func startBroker(t testing.TB, organisationName string, lanes uint32) *mqttBroker {
	t.Helper()
	o := organisation(t, organisationName)
	authority, err := pki.Load(o.CA.Cert, o.CA.Key)
	require.NoError(t, err)
	dir := t.TempDir()
	server, err := authority.ServerPair(dir, "broker", "127.0.0.1")
	require.NoError(t, err)
	b, err := broker.Start(t.Context(), broker.Config{
		Host: "127.0.0.1", Port: 0, Dir: filepath.Join(dir, "store"), Lanes: map[string]uint32{o.MSPID: lanes}, TLSCert: server.Cert, TLSKey: server.Key,
		ClientCA: map[string]string{o.MSPID: o.CA.Cert}, Sync: "1s", MaxMessage: 128 << 10, MaxConnections: 1000, MaxStore: 4 << 30, MaxInFlight: 4096, AckWait: 5 * time.Second,
	}, broker.Options{Log: quiet})
	require.NoError(t, err)
	t.Cleanup(b.Stop)
	text, err := os.ReadFile(o.CA.Cert)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	return &mqttBroker{url: b.URL(), ca: o.CA.Cert, trust: pool, pki: authority, org: o, dir: dir}
}

// publisher speaks for all of the organisation's devices.
func (b *mqttBroker) publisher(t testing.TB, connections int) *load.Publisher {
	t.Helper()
	p, err := load.Connect(b.url, b.trust, b.pki, b.dir, b.org.MSPID, connections)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}
