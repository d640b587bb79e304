package spoilage

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
)

const sharedMilk = "../../../shared/data/milk"

var traceStart = time.Date(2023, 1, 9, 6, 0, 0, 0, time.UTC)

// milkTrace reads the milk temperature of a trace, a reading a minute.
func milkTrace(t *testing.T, name string) []Reading {
	t.Helper()
	file, err := os.Open(filepath.Join(sharedMilk, name))
	if err != nil {
		t.Skipf("the milk data is not here: %v", err)
	}
	defer file.Close() //nolint:errcheck // only read
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	var readings []Reading
	for i, row := range rows[1:] {
		celsius, err := strconv.ParseFloat(row[1], 64)
		require.NoError(t, err)
		readings = append(readings, Reading{"probe", traceStart.Add(time.Duration(i) * time.Minute), kernel.ToMicro(celsius)})
	}
	return readings
}

func TestAlertTimes(t *testing.T) {
	for _, trace := range []struct {
		name    string
		initial int64
	}{{"winter-share-table.csv", 2_400_000}, {"winter-refrigerated.csv", 2_510_000}} {
		g := *kinetics.Milk.Growth
		s := kinetics.NewGrowthState(g, trace.initial, 4_000_000)
		for _, h := range []float64{24, 36, 48} {
			t.Log(trace.name, h, s.SpoiledWithin(h))
		}
		next := map[[2]int]bool{}
		for i, r := range milkTrace(t, trace.name) {
			s.Advance(r.Temperature, 1.0/60)
			if i%10 != 0 {
				continue
			}
			for _, h := range []int{24, 36, 48} {
				for _, p := range []int{10, 20, 25, 33, 50} {
					if k := [2]int{h, p}; !next[k] && s.SpoiledWithin(float64(h)) >= int64(p)*10_000 {
						next[k] = true
						t.Log(trace.name, "within", h, "h P", p, "% at minute", i)
					}
				}
			}
		}
	}
}
