package spoilage

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/trailmark/trailmark/analytics/autoencoder"
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

// TestMilkIsCalledSpoiledInTime: the counts cross 6.0 log10 near minute 3985 on the share table and 5164 in the refrigerator
// (between the plates of days 3 to 4 and 4 to 5). The alert must come 12 h before, and no earlier than its horizon of 48 h.
func TestMilkIsCalledSpoiledInTime(t *testing.T) {
	model, err := autoencoder.Default()
	require.NoError(t, err)
	for _, trace := range []struct {
		name    string
		initial int64
		crosses int
	}{{"winter-share-table.csv", 2_400_000, 3985}, {"winter-refrigerated.csv", 2_510_000, 5164}} {
		readings := milkTrace(t, trace.name)
		s, err := New(kinetics.Milk, model, Config{InitialCount: &trace.initial})
		require.NoError(t, err)
		alert := -1
		for i, r := range readings {
			require.NoError(t, s.Observe(r.Device, r.Time, r.Temperature))
			if i%10 != 0 || alert >= 0 {
				continue
			}
			for _, f := range s.Assess(r.Time) {
				if f.Kind == SpoilagePredicted {
					alert = i
					t.Logf("%s: minute %d, %.1f h before 6.0 log10: %s", trace.name, i, float64(trace.crosses-i)/60, f.Sentence)
				}
			}
		}
		require.GreaterOrEqual(t, alert, trace.crosses-SpoilageHorizonHours*60, trace.name)
		require.LessOrEqual(t, alert, trace.crosses-12*60, trace.name)
		counts := map[Kind]int{}
		for _, f := range s.Assess(readings[len(readings)-1].Time) {
			counts[f.Kind]++
			t.Logf("  %s from minute %d to %d: %s", f.Kind, int(f.From.Sub(traceStart).Minutes()), int(f.To.Sub(traceStart).Minutes()), f.Sentence)
		}
		require.Equal(t, 1, counts[SpoilagePredicted], "one incident is one alert")
	}
}
