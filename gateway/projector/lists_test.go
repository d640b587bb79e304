package projector_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// pages goes through a list one item at a time.
func pages[T any](t *testing.T, list func(readmodel.Paging) (readmodel.Page[T], error)) (items []T) {
	for p := (readmodel.Paging{Limit: 1}); ; {
		page, err := list(p)
		require.NoError(t, err)
		items = append(items, page.Items...)
		if page.Next == "" {
			return items
		}
		require.Len(t, page.Items, 1)
		p.After = page.Next
	}
}

func TestListsFilterAndPage(t *testing.T) {
	ctx := context.Background()
	c := road()
	second := shipment(start)
	second.ID, second.Opened, second.Closed, second.Origin = "fish-2", start, start+5, "Tromsø 100%"
	second.Attachments, second.Parties = nil, []string{"MakerMSP"}
	c.Put("MakerMSP", "shipments:Open", map[string]any{"s/fish-2": second})
	for i, id := range []string{"a1", "a2", "a3"} {
		alert := provenance.Alert{ID: id, Shipment: "milk-1", Kind: provenance.KindSpoilage, Raised: start + provenance.Time(i/2)}
		if id == "a2" {
			alert.Kind, alert.Acknowledgement = provenance.KindAnomaly, &provenance.Acknowledgement{Comment: "seen"}
		}
		c.Put("MakerMSP", "alerts:Raise", map[string]any{provenance.AlertKey("milk-1", id): alert})
	}
	c.Cut()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, c.Blocks)

	shipments := func(f readmodel.ShipmentFilter) (ids []string) {
		for _, s := range pages(t, func(p readmodel.Paging) (readmodel.Page[readmodel.Shipment], error) {
			f.Paging = p
			return store.Shipments(ctx, f)
		}) {
			ids = append(ids, s.ID)
		}
		return ids
	}
	yes, no := true, false
	require.Equal(t, []string{"fish-2", "milk-1"}, shipments(readmodel.ShipmentFilter{}))
	require.Equal(t, []string{"milk-1"}, shipments(readmodel.ShipmentFilter{Party: "CarrierMSP"}))
	require.Equal(t, []string{"milk-1"}, shipments(readmodel.ShipmentFilter{Open: &yes}))
	require.Equal(t, []string{"fish-2"}, shipments(readmodel.ShipmentFilter{Open: &no}))
	require.Equal(t, []string{"fish-2"}, shipments(readmodel.ShipmentFilter{Text: "tromsø 100%"}))
	require.Empty(t, shipments(readmodel.ShipmentFilter{Text: "100_"}), "no wildcard")

	alerts := func(f readmodel.AlertFilter) (ids []string) {
		for _, a := range pages(t, func(p readmodel.Paging) (readmodel.Page[readmodel.Alert], error) {
			f.Paging = p
			return store.Alerts(ctx, f)
		}) {
			ids = append(ids, a.ID)
		}
		return ids
	}
	require.Equal(t, []string{"a3", "a1", "a2"}, alerts(readmodel.AlertFilter{}))
	require.Equal(t, []string{"a2"}, alerts(readmodel.AlertFilter{Acknowledged: &yes}))
	require.Equal(t, []string{"a3", "a1"}, alerts(readmodel.AlertFilter{Kind: provenance.KindSpoilage}))
	require.Equal(t, []string{"a1", "a2"}, alerts(readmodel.AlertFilter{To: start + 1}))
	require.Empty(t, alerts(readmodel.AlertFilter{Shipment: "fish-2"}))
	milk, err := store.Shipment(ctx, "milk-1")
	require.NoError(t, err)
	require.Equal(t, [2]int{3, 2}, [2]int{milk.Alerts, milk.OpenAlerts})

	devices := pages(t, func(p readmodel.Paging) (readmodel.Page[readmodel.Device], error) {
		return store.Devices(ctx, readmodel.DeviceFilter{Paging: p, Shipment: "milk-1"})
	})
	require.Len(t, devices, 2)
	require.Equal(t, "milk-1", devices[0].Shipment)
	require.Empty(t, devices[1].Shipment, "its attachment has an end")

	history := pages(t, func(p readmodel.Paging) (readmodel.Page[readmodel.Version], error) {
		return store.History(ctx, "d/logger-1", p)
	})
	require.Len(t, history, 1)
	require.Equal(t, "CarrierMSP", history[0].Creator)
	batches := pages(t, func(p readmodel.Paging) (readmodel.Page[readmodel.Batch], error) {
		return store.Batches(ctx, readmodel.BatchFilter{Paging: p})
	})
	require.Len(t, batches, 2)
	require.EqualValues(t, 2, batches[0].Number)
}

func TestTheLogProvesItself(t *testing.T) {
	ctx := context.Background()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, longRoad(20))
	position, err := store.Position(ctx)
	require.NoError(t, err)
	leaves := make([]provenance.Hash, position.LogSize)
	for i := range leaves {
		transaction, err := store.Transaction(ctx, uint64(i))
		require.NoError(t, err)
		leaves[i] = evidence.LeafHash(transaction.LeafData)
		found, err := store.FindTransaction(ctx, transaction.Stamp.TransactionID)
		require.NoError(t, err)
		require.Equal(t, transaction, found)
	}
	for size := uint64(1); size <= position.LogSize; size++ {
		root, err := store.LogRoot(ctx, size)
		require.NoError(t, err)
		require.Equal(t, evidence.Root(leaves[:size]), root)
		for index := range size {
			path, err := store.InclusionProof(ctx, index, size)
			require.NoError(t, err)
			got, err := evidence.Proof{Size: size, Index: index, Path: path}.Root(leaves[index])
			require.NoError(t, err)
			require.Equal(t, root, got)
		}
	}
	for from := uint64(1); from <= position.LogSize; from++ {
		path, err := store.ConsistencyProof(ctx, from, position.LogSize)
		require.NoError(t, err)
		hashes := make([][]byte, len(path))
		for i := range path {
			hashes[i] = path[i][:]
		}
		before, after := evidence.Root(leaves[:from]), evidence.Root(leaves)
		require.NoError(t, proof.VerifyConsistency(rfc6962.DefaultHasher, from, position.LogSize, hashes, before[:], after[:]))
	}
	_, err = store.LogRoot(ctx, position.LogSize+1)
	require.Error(t, err)
	_, err = store.InclusionProof(ctx, 5, 5)
	require.Error(t, err)
	_, err = readmodel.Open(ctx, filepath.Join(t.TempDir(), "nowhere", "model.db"), ledgertest.Channel)
	require.Error(t, err)
}
