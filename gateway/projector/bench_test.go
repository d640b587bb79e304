package projector_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// fleet is a ledger of devices that each publish frames, in blocks of a few batches.
func fleet(devices, frames, perFrame int, step int64) []*common.Block {
	c := ledgertest.NewChain(start)
	c.Register("CarrierMSP")
	names := make([]string, devices)
	s := shipment(start)
	s.Attachments = nil
	for i := range names {
		names[i] = ledgertest.Name("device", i)
		if i < 10 {
			s.Attachments = append(s.Attachments, provenance.Attachment{Device: names[i], From: start})
		}
	}
	for i := 0; i < devices; i += 1000 {
		c.Enrol("CarrierMSP", 0, names[i:min(i+1000, devices)]...)
	}
	c.Put("CarrierMSP", "shipments:Open", map[string]any{"s/milk-1": s})
	c.Cut()
	var batch []ledgertest.Frame
	for f := range frames {
		from := start + provenance.Time(int64(f)*int64(perFrame)*step)
		for i, name := range names {
			batch = append(batch, ledgertest.Frame{Device: name, Sequence: uint64(f + 1), Readings: ledgertest.Series(from, step, perFrame, i+f)})
			if len(batch) == 250 {
				c.Commit("CarrierMSP", 0, batch...)
				batch = nil
				if len(c.Blocks)%2 == 0 {
					c.Cut()
				}
			}
		}
		c.Cut()
	}
	if len(batch) > 0 {
		c.Commit("CarrierMSP", 0, batch...)
	}
	c.Cut()
	return c.Blocks
}

func benchmarkProjection(b *testing.B, devices, frames, perFrame int) {
	blocks := fleet(devices, frames, perFrame, 60_000)
	b.ResetTimer()
	for range b.N {
		run(b, filepath.Join(b.TempDir(), "model.db"), ledgertest.Source(blocks))
	}
	b.ReportMetric(float64(devices*frames*perFrame*b.N)/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64(devices*frames*b.N)/b.Elapsed().Seconds(), "frames/s")
}

func BenchmarkProjectPacked(b *testing.B) { benchmarkProjection(b, 500, 40, 60) }

func BenchmarkProjectSingle(b *testing.B) { benchmarkProjection(b, 500, 40, 1) }

// BenchmarkChart30Days is the chart of 30 days of one-minute readings from ten devices, 432 000 readings.
func BenchmarkChart30Days(b *testing.B) {
	path := filepath.Join(b.TempDir(), "model.db")
	run(b, path, ledgertest.Source(fleet(10, 30*24, 60, 60_000)))
	store := open(b, path)
	for _, resolution := range []int64{0, 10 * 60_000} {
		b.Run(fmt.Sprintf("resolution-%dmin", resolution/60_000), func(b *testing.B) {
			var took []float64
			for b.Loop() {
				begun := time.Now()
				chart, err := store.Chart(context.Background(), readmodel.ChartQuery{Shipment: "milk-1", Resolution: resolution})
				took = append(took, float64(time.Since(begun).Microseconds())/1000)
				require.NoError(b, err)
				require.Len(b, chart.Series, 10)
				require.EqualValues(b, 43_200, sum(chart.Series[9]))
			}
			sort.Float64s(took)
			b.ReportMetric(took[len(took)*99/100], "p99-ms")
		})
	}
}
