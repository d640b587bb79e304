package projector_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// What events, custody and recalls write is part of the log, and no anomaly.
func TestProjectsGoods(t *testing.T) {
	c := road()
	const item, pallet = "https://id.gs1.org/01/09506000134352/21/7", "https://id.gs1.org/00/195060001343520003"
	states := map[string]any{
		provenance.LicenceKey("9506000"):          &provenance.Licence{Key: "9506000"},
		provenance.RolesKey("MakerMSP"):           &provenance.Roles{Organisation: "MakerMSP"},
		provenance.CaptureKey("MakerMSP", "job"):  &provenance.Capture{Organisation: "MakerMSP", ID: "job"},
		provenance.EventKey(provenance.Hash{1}):   &provenance.Event{Hash: provenance.Hash{1}},
		provenance.ItemKey(item):                  &provenance.Item{ID: item},
		provenance.LinkKey(pallet, item):          &provenance.Link{From: pallet, To: item},
		provenance.HandoverKey("h"):               &provenance.Handover{ID: "h"},
		provenance.ShipmentCustodyKey("shipment"): &provenance.ShipmentCustody{Shipment: "shipment"},
		provenance.RecallKey("r"):                 &provenance.Recall{ID: "r"},
		provenance.RecalledKey("r", item):         &provenance.Recalled{Recall: "r", ID: item},
	}
	c.Put("MakerMSP", "events:Capture", states)
	c.Cut()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, c.Blocks)
	require.Empty(t, anomalies(t, store))
	stats, err := store.Stats(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 6+1, stats.LogSize)
	for key, state := range states {
		versions, err := store.History(context.Background(), key, readmodel.Paging{Limit: 1})
		require.NoError(t, err)
		require.Len(t, versions.Items, 1, key)
		want, err := evidence.Marshal(state)
		require.NoError(t, err)
		require.Equal(t, want, versions.Items[0].Value)
	}
}
