package projector_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = provenance.Time(1_790_000_000_000)

func open(t testing.TB, path string) *readmodel.Store {
	t.Helper()
	store, err := readmodel.Open(context.Background(), path, ledgertest.Channel)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func project(t require.TestingT, store *readmodel.Store, blocks []*common.Block) *projector.Projector {
	p, err := projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, store, ledgertest.Source(blocks),
		slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background()))
	return p
}

// road is a small ledger with one of everything.
func road() *ledgertest.Chain {
	c := ledgertest.NewChain(start)
	c.Register("CarrierMSP")
	c.Register("MakerMSP")
	c.Cut()
	c.Enrol("CarrierMSP", 0, "logger-1", "logger-2", "logger-3")
	c.Cut()
	c.Put("MakerMSP", "shipments:Open", map[string]any{provenance.ShipmentKey("milk-1"): shipment(start)})
	c.Commit("CarrierMSP", 0,
		ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: ledgertest.Series(start, 60_000, 60, 0)},
		ledgertest.Frame{Device: "logger-2", Sequence: 1, Readings: ledgertest.Series(start, 60_000, 60, 5), Forged: true},
		ledgertest.Frame{Device: "logger-2", Sequence: 2, Readings: ledgertest.Series(start, 60_000, 60, 5)},
		ledgertest.Frame{Device: "logger-3", Sequence: 1, Readings: ledgertest.Series(start, 60_000, 2, 5), Private: true},
	)
	c.Cut()
	c.Commit("CarrierMSP", 0,
		ledgertest.Frame{Device: "logger-1", Sequence: 3, Readings: ledgertest.Series(start+2*3_600_000, 60_000, 60, 9)},
		ledgertest.Frame{Device: "logger-2", Sequence: 1, Readings: ledgertest.Series(start-3_600_000, 60_000, 60, 2), Late: true},
	)
	c.Cut()
	return c
}

func shipment(from provenance.Time) *provenance.Shipment {
	return &provenance.Shipment{
		ID: "milk-1", Organisation: "MakerMSP", Parties: []string{"CarrierMSP", "MakerMSP"}, Profile: "milk-pseudomonas",
		Goods:  []provenance.Goods{{GTIN: "09506000134352", Lot: "L1", Description: "Whole milk", Quantity: 1200}},
		Limits: provenance.Limits{Min: 0, Max: 6e6, AllowedMinutes: 30}, Opened: from - 7_200_000, Changed: from, Origin: "Graz", Destination: "Vienna",
		Attachments: []provenance.Attachment{{Device: "logger-1", From: from}, {Device: "logger-2", From: from - 1_800_000, To: from + 1_800_000}},
	}
}

func TestProjectsTheRoad(t *testing.T) {
	ctx := context.Background()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, road().Blocks)

	stats, err := store.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 5, stats.Blocks)
	require.EqualValues(t, 6, stats.LogSize)
	require.EqualValues(t, 5, stats.Frames)
	require.EqualValues(t, 242, stats.Readings)
	require.EqualValues(t, 1, stats.Refused)
	require.EqualValues(t, 60, stats.Backfilled)
	require.EqualValues(t, 1, stats.Gaps)
	require.Zero(t, stats.Anomalies, anomalies(t, store))

	chart, err := store.Chart(ctx, readmodel.ChartQuery{Shipment: "milk-1", Resolution: 3_600_000})
	require.NoError(t, err)
	require.Len(t, chart.Series, 2)
	require.EqualValues(t, 120, sum(chart.Series[0]), "all of logger-1's")
	require.EqualValues(t, 60, sum(chart.Series[1]), "half an hour of either frame of logger-2")
	var late uint32
	for _, p := range chart.Series[1].Points {
		late += p.Backfilled
	}
	require.EqualValues(t, 30, late)

	fine, err := store.Chart(ctx, readmodel.ChartQuery{Shipment: "milk-1", Resolution: 60_000})
	require.NoError(t, err)
	require.EqualValues(t, 120, sum(fine.Series[0]))
	require.Equal(t, start-start%60_000, fine.Series[0].Points[0].Time)
	require.EqualValues(t, 4_320_000, fine.Series[0].Points[0].Mean)

	asOf, err := store.Chart(ctx, readmodel.ChartQuery{Shipment: "milk-1", Resolution: 3_600_000, AsOfBlock: 3})
	require.NoError(t, err)
	require.EqualValues(t, 60, sum(asOf.Series[0]))
	require.EqualValues(t, 30, sum(asOf.Series[1]))

	gaps, err := store.Gaps(ctx, "logger-1")
	require.NoError(t, err)
	require.Equal(t, []readmodel.Gap{{Device: "logger-1", Epoch: 1, From: 2, To: 2, After: start + 59*60_000, Before: start + 2*3_600_000}}, gaps)

	frame, err := store.Frame(ctx, provenance.FrameID{Device: "logger-2", Epoch: 1, Sequence: 2})
	require.NoError(t, err)
	require.EqualValues(t, 1, frame.Leaf, "the forged one before it is no leaf")
	require.EqualValues(t, 60, frame.Readings)

	item, err := store.Shipment(ctx, "milk-1")
	require.NoError(t, err)
	require.Equal(t, start+2*3_600_000+59*60_000, item.LastAt)
	device, err := store.Device(ctx, "logger-2")
	require.NoError(t, err)
	require.EqualValues(t, 120, device.Readings)
	require.Equal(t, start+59*60_000, device.LastAt)
}

func sum(s readmodel.Series) (n uint32) {
	for _, p := range s.Points {
		n += p.Count
	}
	return n
}

func anomalies(t testing.TB, store *readmodel.Store) []readmodel.Anomaly {
	page, err := store.Anomalies(context.Background(), readmodel.Paging{})
	require.NoError(t, err)
	return page.Items
}

func TestRawReadingsPageThrough(t *testing.T) {
	ctx := context.Background()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, road().Blocks)
	all, err := store.RawReadings(ctx, readmodel.RawQuery{Shipment: "milk-1", Paging: readmodel.Paging{Limit: 1000}})
	require.NoError(t, err)
	require.Len(t, all.Items, 180)
	require.Empty(t, all.Next)
	var paged []readmodel.Reading
	q := readmodel.RawQuery{Shipment: "milk-1", Paging: readmodel.Paging{Limit: 7}}
	for {
		page, err := store.RawReadings(ctx, q)
		require.NoError(t, err)
		paged = append(paged, page.Items...)
		if page.Next == "" {
			break
		}
		q.After = page.Next
	}
	require.Equal(t, all.Items, paged)
	for i := 1; i < len(paged); i++ {
		require.LessOrEqual(t, paged[i-1].Time, paged[i].Time)
	}
	_, err = store.RawReadings(ctx, readmodel.RawQuery{Shipment: "milk-1", Paging: readmodel.Paging{After: "nonsense"}})
	refused := new(provenance.Error)
	require.True(t, errors.As(err, &refused))
	require.Equal(t, provenance.Invalid, refused.Code)
}
