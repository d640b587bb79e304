//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/load"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/ingest"
)

// startIngest runs an ingest instance in this process.
func startIngest(t testing.TB, contracts node.Contracts, b *mqttBroker, instance string, lanes uint32, serve []uint32) *ingest.App {
	t.Helper()
	pair, err := b.pki.ClientPair(b.dir, instance, b.org.MSPID, "ingest")
	require.NoError(t, err)
	var config ingest.Config
	require.NoError(t, kong.ApplyDefaults(&config))
	config.Organisation, config.Instance, config.Dir = b.org.MSPID, instance, filepath.Join(t.TempDir(), instance)
	config.Lanes, config.Serve, config.MaxInFlight = lanes, serve, int(lanes)
	config.Broker, config.CA, config.Cert, config.Key = b.url, b.ca, pair.Cert, pair.Key
	ctx, cancel := context.WithCancel(t.Context())
	app, follow, err := node.NewIngest(ctx, config, contracts, ingest.Deps{Log: quiet, Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	done := make(chan error, 2)
	go func() { done <- follow(ctx) }()
	go func() { done <- app.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		<-done
	})
	return app
}

// TestLanesNeverCollide is the proof of the lanes: two ingest instances, 40 lanes with a batch in flight each, 200 devices that every
// batch shares with the ones before it. No transaction is invalid, no frame is recorded twice, none is lost.
func TestLanesNeverCollide(t *testing.T) {
	const lanes, devices, rounds = 40, 200, 60
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	contracts := as(t, "carrier")
	b := startBroker(t, "carrier", lanes)
	from, err := contracts.Client.Height(ctx)
	require.NoError(t, err)

	fleet, err := load.NewFleet(b.org.MSPID, "lane", devices, lanes, time.Now().Add(-24*time.Hour))
	require.NoError(t, err)
	enrolments, err := fleet.Enrolments()
	require.NoError(t, err)
	_, err = contracts.Enrol(ctx, enrolments, nil)
	require.NoError(t, err)
	startIngest(t, contracts, b, "ingest-a", lanes, nil)
	startIngest(t, contracts, b, "ingest-b", lanes, nil)

	messages, err := fleet.Sign(rounds, 60, time.Minute/6)
	require.NoError(t, err)
	audit := load.NewAudit()
	var acknowledged atomic.Int64
	began := time.Now()
	err = b.publisher(t, 2).Publish(ctx, messages, 500, 0, func(i int) { acknowledged.Add(1); audit.Expect(&messages[i]) })
	require.NoError(t, err)
	require.Equal(t, int64(len(messages)), acknowledged.Load())

	require.Eventually(t, func() bool {
		height, err := contracts.Client.Height(ctx)
		if err != nil || height <= from {
			return false
		}
		err = audit.Read(ctx, contracts.Client, from, height-1)
		from = height
		return err == nil && audit.Frames >= len(messages)
	}, 2*time.Minute, 200*time.Millisecond, "not every frame was recorded in time")
	t.Logf("%d frames of 60 readings in %.1f s, %d batches; %s", len(messages), time.Since(began).Seconds(), audit.Batches, audit.Summary())
	require.Equal(t, "lost 0, duplicated 0, altered 0", audit.Summary())
	require.Empty(t, audit.Invalid, "MVCC conflicts or other invalid commits")
	delete(audit.Refused, provenance.Replay) // QoS 1 may deliver twice; the ledger records once
	require.Empty(t, audit.Refused)
	owners := map[string]int{}
	for lane := range uint32(lanes) {
		argument, _ := json.Marshal(map[string]any{"organisation": b.org.MSPID, "lane": lane})
		response, err := contracts.Client.Evaluate(ctx, "lanes", "Get", argument)
		require.NoError(t, err)
		var l struct{ Owner string }
		require.NoError(t, json.Unmarshal(response, &l))
		owners[l.Owner[:len("ingest-a")]]++
	}
	require.Len(t, owners, 2, "both instances own lanes: %v", owners)
	perReading := float64(audit.Bytes) / float64(audit.Frames*60)
	t.Logf("%.2f bytes of block per reading; lanes by owner %v", perReading, owners)
	require.LessOrEqual(t, perReading, 14.0)
}
