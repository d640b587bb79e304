package projector_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// Whatever stands in a block, the blocks after it are projected, and what was wrong is on record.
func TestNothingStopsTheProjection(t *testing.T) {
	c := road()
	write := func(key string, value []byte) []evidence.Write { return []evidence.Write{{Key: key, Value: value}} }
	c.Add(ledgertest.Transaction{Function: "a:Lie", Writes: write("m/a/1", []byte{1}), Event: make([]byte, 32)})
	c.Add(ledgertest.Transaction{Function: "a:Mute", Writes: write("m/a/1", []byte{1}), NoEvent: true})
	c.Add(ledgertest.Transaction{Function: "a:Nonsense", Writes: write("m/a/1", []byte("nonsense"))})
	c.Add(ledgertest.Transaction{Function: "a:Kind", Writes: write("z/a/1", []byte{0xa0})})
	c.Add(ledgertest.Transaction{Function: "a:Foreign", Chaincode: "other", Writes: write("m/a/1", []byte{1})})
	c.Put("CarrierMSP", "a:Head", map[string]any{"h/ghost/1": provenance.Head{Last: 1, Gaps: []provenance.Gap{}}})
	manifest := provenance.Manifest{Organisation: "CarrierMSP", Lane: 0, Number: 9, Frames: 1}
	c.Put("CarrierMSP", "readings:Commit", map[string]any{"b/CarrierMSP/0/9": manifest})
	c.Cut()
	c.Commit("CarrierMSP", 0, ledgertest.Frame{Device: "logger-1", Sequence: 4, Readings: ledgertest.Series(start+9*3_600_000, 60_000, 60, 9)})
	c.Cut()

	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, c.Blocks)
	stats, err := store.Stats(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 7, stats.Blocks)
	require.EqualValues(t, 302, stats.Readings)
	require.EqualValues(t, 6+4+1, stats.LogSize, "a wrong or missing digest and a foreign chaincode give no leaf")
	kinds := map[string]int{}
	for _, a := range anomalies(t, store) {
		kinds[a.Kind]++
	}
	require.Equal(t, map[string]int{"digest": 2, "state": 2, "foreign": 1, "content": 1, "batch": 1}, kinds)
}

func TestSubscribersHearOfChanges(t *testing.T) {
	blocks := road().Blocks
	path := filepath.Join(t.TempDir(), "model.db")
	store := open(t, path)
	p, err := projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, store, ledgertest.Source(blocks), quiet(), prometheus.NewRegistry())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	changes := p.Subscribe(ctx)
	require.NoError(t, p.Run(ctx))
	cancel()
	kinds := map[readmodel.ChangeKind]int{}
	var milk readmodel.Change
	for change := range changes {
		kinds[change.Kind]++
		if change.Kind == readmodel.ChangedReadings && change.ID == "milk-1" && (milk.ID == "" || change.To > milk.To) {
			milk = change
		}
	}
	require.Positive(t, kinds[readmodel.ChangedBlock])
	require.Equal(t, 3, kinds[readmodel.ChangedDevice])
	require.Equal(t, start+2*3_600_000+59*60_000, milk.To)
	require.Zero(t, kinds[readmodel.Resync])
}

// A chart says the same as going through the readings one by one, whatever the attachments, the range and the resolution.
func TestChartsAreTheSumOfReadings(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.db")
	c := ledgertest.NewChain(start)
	c.Register("CarrierMSP")
	c.Enrol("CarrierMSP", 0, "d-0", "d-1")
	c.Cut()
	for i := range 60 {
		c.Commit("CarrierMSP", 0,
			ledgertest.Frame{Device: "d-0", Sequence: uint64(i + 1), Late: i%7 == 0, Readings: ledgertest.Series(start+provenance.Time(i)*7_200_000, 71_000, 100, i)},
			ledgertest.Frame{Device: "d-1", Sequence: uint64(i + 1), Readings: ledgertest.Series(start-provenance.Time(i)*3_600_000, 60_000, 60, i)})
		c.Cut()
	}
	run(t, path, ledgertest.Source(c.Blocks))
	store := open(t, path)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) provenance.Time {
			return start + provenance.Time(rapid.Int64Range(-60*3_600_000, 125*3_600_000).Draw(t, "moment"))
		})
		s := shipment(start)
		s.Attachments = nil
		for range rapid.IntRange(1, 3).Draw(t, "attachments") {
			a := provenance.Attachment{Device: rapid.SampledFrom([]string{"d-0", "d-1"}).Draw(t, "device"), From: moment.Draw(t, "from")}
			if rapid.Bool().Draw(t, "ends") {
				a.To = a.From + provenance.Time(rapid.Int64Range(1, 60*3_600_000).Draw(t, "length"))
			}
			s.Attachments = append(s.Attachments, a)
		}
		c.Put("CarrierMSP", "shipments:Attach", map[string]any{"s/milk-1": s})
		c.Cut()
		project(t, store, c.Blocks)
		q := readmodel.ChartQuery{Shipment: "milk-1", Resolution: rapid.SampledFrom([]int64{3_600_000, 7_200_000, 86_400_000, 600_000, 5_400_000}).Draw(t, "resolution")}
		if rapid.Bool().Draw(t, "ranged") {
			q.From = moment.Draw(t, "query from")
			q.To = q.From + provenance.Time(rapid.Int64Range(1, 100*3_600_000).Draw(t, "query length"))
		}
		if rapid.Bool().Draw(t, "as of") {
			q.AsOfBlock = rapid.Uint64Range(1, 60).Draw(t, "block")
		}
		chart, err := store.Chart(ctx, q)
		require.NoError(t, err)
		raw, err := store.RawReadings(ctx, readmodel.RawQuery{Shipment: "milk-1", From: q.From, To: q.To, AsOfBlock: q.AsOfBlock, Paging: readmodel.Paging{Limit: readmodel.MaxRawLimit}})
		require.NoError(t, err)
		want := map[string]map[provenance.Time]*readmodel.Point{}
		for _, r := range raw.Items {
			at := r.Time - r.Time%provenance.Time(q.Resolution)
			if want[r.Device] == nil {
				want[r.Device] = map[provenance.Time]*readmodel.Point{}
			}
			p := want[r.Device][at]
			if p == nil {
				p = &readmodel.Point{Time: at, Min: r.Value, Max: r.Value}
				want[r.Device][at] = p
			}
			p.Min, p.Max = min(p.Min, r.Value), max(p.Max, r.Value)
			p.Count++
			if r.Backfilled {
				p.Backfilled++
			}
		}
		for _, series := range chart.Series {
			require.Len(t, series.Points, len(want[series.Device]), series.Device)
			for _, got := range series.Points {
				p := want[series.Device][got.Time]
				require.NotNil(t, p)
				p.Mean = got.Mean
				require.Equal(t, *p, got)
				require.True(t, got.Mean >= got.Min && got.Mean <= got.Max)
			}
		}
	})
}
