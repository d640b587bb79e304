package spoilage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/thermal"
)

func truckReadings(t testing.TB, c thermal.Config, hours int) []Reading {
	t.Helper()
	c.Start = traceStart
	s, err := thermal.New(c)
	require.NoError(t, err)
	var out []Reading
	for range hours * 60 {
		sample := s.Step()
		for k, v := range sample.Readings {
			out = append(out, Reading{string(rune('a' + k)), sample.Time, v})
		}
	}
	return out
}

// TestForecastLead measures the forecast on truck seeds nothing was tuned on (9000… and 19000… were).
func TestForecastLead(t *testing.T) {
	model, err := autoencoder.Default()
	require.NoError(t, err)
	profile := kinetics.Pharma2To8
	week, alarms := 7*24, map[Kind]int{}
	const shipments = 30
	for seed := range uint64(shipments) {
		s, err := New(profile, model, Config{})
		require.NoError(t, err)
		for _, r := range truckReadings(t, thermal.Config{Seed: 29000 + seed, Setpoint: 5, Ambient: 15 + float64(seed%3)*4, Probes: 1}, week) {
			require.NoError(t, s.Observe(r.Device, r.Time, r.Temperature))
		}
		for _, f := range s.Assess(traceStart.Add(1000 * time.Hour)) {
			alarms[f.Kind]++
		}
	}
	t.Logf("normal: %v in %d shipment-weeks", alarms, shipments)
	require.LessOrEqual(t, alarms[ExcursionForecast], shipments*3/2, "about one false forecast a shipment-week")
	require.LessOrEqual(t, alarms[Anomaly], shipments*7/25, "the model promises one sensor-day in a hundred; allow four")
	require.LessOrEqual(t, alarms[SpoilagePredicted], 0)
	for _, fault := range []thermal.Fault{thermal.CompressorFailure, thermal.CompressorWeak, thermal.DoorLeftOpen} {
		leads, found, left := []int64{}, 0, 0
		for seed := range uint64(60) {
			c := thermal.Config{Seed: 39000 + seed, Setpoint: 5, Ambient: 15 + float64(seed%3)*4, Probes: 1, Fault: fault, FaultAt: 12 * time.Hour}
			s, err := New(profile, nil, Config{})
			require.NoError(t, err)
			var out time.Time
			stretch := 0
			for _, r := range truckReadings(t, c, 36) {
				require.NoError(t, s.Observe(r.Device, r.Time, r.Temperature))
				if r.Time.Sub(traceStart) > 12*time.Hour && r.Temperature > profile.Band.High {
					stretch++
				} else {
					stretch = 0
				}
				if stretch == 20 {
					out = r.Time.Add(-19 * time.Minute)
					break
				}
			}
			if out.IsZero() {
				continue
			}
			left++
			for _, f := range s.Assess(traceStart.Add(100 * time.Hour)) {
				if f.Kind == ExcursionForecast && f.From.Sub(traceStart) >= 12*time.Hour && f.From.Before(out) {
					found++
					leads = append(leads, int64(out.Sub(f.From).Minutes()))
					break
				}
			}
		}
		over20 := 0
		for _, l := range leads {
			if l >= 20 {
				over20++
			}
		}
		if fault != thermal.DoorLeftOpen { // an open door gives little notice
			require.GreaterOrEqual(t, over20*5, left*2, "%s", fault)
		}
		t.Logf("%s: left band %d, forecast %d, %d at least 20 min ahead: %v", fault, left, found, over20, leads)
	}
}
