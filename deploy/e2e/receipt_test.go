//go:build e2e

package e2e

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/load"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/gateway/checkpoint"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/gateway/receipt"
)

// startGateway projects the ledger for an organisation, in this process, and signs checkpoints of its log.
func startGateway(t testing.TB, name string) *readmodel.Store {
	t.Helper()
	contracts := as(t, name)
	dir := t.TempDir()
	store, err := readmodel.Open(t.Context(), filepath.Join(dir, "readmodel.db"), contracts.Client.Channel())
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	projection, err := projector.New(projector.Config{Channel: contracts.Client.Channel(), Chaincode: contracts.Client.Chaincode()}, store, contracts.Client, quiet, registry)
	require.NoError(t, err)
	o := organisation(t, name)
	signer, err := checkpoint.New(checkpoint.Config{KeyFile: filepath.Join(netDir, "log-"+name+".key"), Name: o.Title, Interval: 500 * time.Millisecond}, o.MSPID, store, contracts.Client, projection, quiet, registry)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = projection.Run(ctx) })
	parts.Go(func() { _ = signer.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		parts.Wait()
		_ = store.Close()
	})
	return store
}

// TestReceiptOfAnInvalidTransactionFails: endorsed by two organisations, in a block, and found invalid there: no receipt can be made
// for it, and one forged from a valid transaction's is caught.
func TestReceiptOfAnInvalidTransactionFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stores := map[string]*readmodel.Store{}
	for _, o := range network.Profile().Organisations {
		stores[o.Name] = startGateway(t, o.Name)
	}
	carrier, manufacturer := as(t, "carrier"), as(t, "manufacturer")
	var parties []string
	for _, o := range network.Profile().Organisations {
		parties = append(parties, o.MSPID)
		awaitRegistered(t, manufacturer, o.MSPID)
	}
	fleet, err := load.NewFleet(organisation(t, "carrier").MSPID, "invalid", 20, 1, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	enrolments, err := fleet.Enrolments()
	require.NoError(t, err)
	_, err = carrier.Enrol(ctx, enrolments, nil)
	require.NoError(t, err)
	opened := provenance.TimeOf(time.Now().Add(-time.Hour))
	_, err = manufacturer.OpenShipment(ctx, provenance.Opening{
		ID: "invalid-1", Parties: parties, Profile: "food-chilled", Opened: opened, Limits: provenance.Limits{Min: 0, Max: 7_000_000, AllowedMinutes: 30},
		Goods: []provenance.Goods{{Description: "Cheese", Quantity: 1}},
	})
	require.NoError(t, err)

	// All of these read and write the same shipment: in one block, one of them wins.
	var mu sync.Mutex
	var invalid []string
	var group sync.WaitGroup
	for i, e := range enrolments {
		group.Go(func() {
			argument, _ := json.Marshal(provenance.AttachRequest{Shipment: "invalid-1", Device: e.ID, From: opened + provenance.Time(i)})
			var conflict *ledger.ConflictError
			if _, err := manufacturer.Client.Submit(ctx, "shipments", "Attach", argument); errors.As(err, &conflict) {
				mu.Lock()
				defer mu.Unlock()
				invalid = append(invalid, conflict.TransactionID)
			}
		})
	}
	group.Wait()
	require.NotEmpty(t, invalid, "no transaction was found invalid, so this test shows nothing")

	store := stores["manufacturer"]
	builder := receipt.New(store, 2)
	var made []byte
	require.Eventually(t, func() bool {
		made, err = builder.Record(ctx, provenance.ShipmentKey("invalid-1"))
		return err == nil
	}, 30*time.Second, 200*time.Millisecond)
	trustFile, err := builder.TrustExport(ctx, 2)
	require.NoError(t, err)
	trust, err := evidence.ParseTrust(trustFile)
	require.NoError(t, err)
	_, err = evidence.Verify(made, trust)
	require.NoError(t, err)

	for _, id := range invalid {
		_, err := store.FindTransaction(ctx, id)
		require.Error(t, err, "the log must not hold an invalid transaction")
		forged, err := evidence.DecodeReceipt(made)
		require.NoError(t, err)
		leaf, err := evidence.DecodeLogLeaf(forged.Entries[0].Leaf)
		require.NoError(t, err)
		leaf.TransactionID, err = hex.DecodeString(id)
		require.NoError(t, err)
		forged.Entries[0].Leaf = leaf.Encode()
		data, err := forged.Encode()
		require.NoError(t, err)
		_, err = evidence.Verify(data, trust)
		var broken *evidence.VerifyError
		require.ErrorAs(t, err, &broken)
		require.Contains(t, broken.Part, "log proof")
	}
	t.Logf("%d of %d endorsed transactions were invalid; none has a receipt", len(invalid), len(enrolments))
	requireOneLog(t, stores)
}

func awaitRegistered(t testing.TB, contracts node.Contracts, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		all, err := contracts.Organisations(t.Context())
		for _, o := range all {
			if err == nil && o.ID == id {
				return true
			}
		}
		return false
	}, 30*time.Second, 100*time.Millisecond, "%s has not registered", id)
}

// requireOneLog holds the organisations' logs against each other: they have the same root at the same size.
func requireOneLog(t testing.TB, stores map[string]*readmodel.Store) {
	t.Helper()
	size := ^uint64(0)
	for _, s := range stores {
		position, err := s.Position(t.Context())
		require.NoError(t, err)
		size = min(size, position.LogSize)
	}
	roots := map[string][]string{}
	for name, s := range stores {
		root, err := s.LogRoot(t.Context(), size)
		require.NoError(t, err)
		roots[root.String()] = append(roots[root.String()], name)
	}
	require.Len(t, roots, 1, fmt.Sprint(roots))
}
