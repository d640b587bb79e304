package thermal

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func run(t *testing.T, c Config, minutes int) []Sample {
	t.Helper()
	c.Start = start
	s, err := New(c)
	require.NoError(t, err)
	var out []Sample
	for range minutes {
		out = append(out, s.Step())
	}
	return out
}

func TestSameSeedSameReadings(t *testing.T) {
	c := Config{Seed: 5, Setpoint: 5, Probes: 3}
	require.Equal(t, run(t, c, 3000), run(t, c, 3000))
	c2 := c
	c2.Seed = 6
	require.NotEqual(t, run(t, c, 100), run(t, c2, 100))
}

func TestFaultChangesNothingBeforeItBegins(t *testing.T) {
	good := run(t, Config{Seed: 9, Setpoint: 5, Probes: 2}, 600)
	for _, fault := range Faults() {
		bad := run(t, Config{Seed: 9, Setpoint: 5, Probes: 2, Fault: fault, FaultAt: 5 * time.Hour}, 600)
		require.Equal(t, good[:300], bad[:300], fault)
		require.NotEqual(t, good[300:], bad[300:], fault)
	}
}

func TestNormalLifeStaysInBand(t *testing.T) {
	out, total, cycles := 0, 0, 0
	for seed := range uint64(40) {
		samples := run(t, Config{Seed: seed, Setpoint: 5, Ambient: 18}, 2880)
		for i, s := range samples {
			require.False(t, math.IsNaN(s.Air))
			total++
			if s.Product < 2 || s.Product > 8 {
				out++
			}
			if i > 0 && s.Cooling && !samples[i-1].Cooling {
				cycles++
			}
			require.Zero(t, s.Readings[0]%100_000)
		}
	}
	require.Less(t, float64(out)/float64(total), 0.001, "product out of 2 to 8 °C")
	perDay := float64(cycles) / 80
	require.InDelta(t, 60, perDay, 40, "compressor cycles a day")
}

func TestFaultsShow(t *testing.T) {
	at := func(f Fault, minute int) Sample {
		return run(t, Config{Seed: 3, Setpoint: 5, Ambient: 25, Fault: f, FaultAt: time.Hour}, minute+1)[minute]
	}
	require.Greater(t, at(CompressorFailure, 600).Air, 9.0)
	require.Greater(t, at(CompressorWeak, 600).Air, 6.5)
	require.Greater(t, at(DoorLeftOpen, 200).Air, 8.2)
	require.Equal(t, at(SensorStuck, 60).Readings[0], at(SensorStuck, 600).Readings[0])
	require.Greater(t, at(SensorDrift, 660).Readings[0]-at(NoFault, 660).Readings[0], int64(2_500_000))
}

func TestBadConfigsAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"probes": {Probes: 65}, "negative probes": {Probes: -1}, "setpoint": {Setpoint: 90}, "not a number": {Setpoint: math.NaN()},
		"resolution": {Resolution: -1}, "ambient": {Ambient: 100}, "fault": {Fault: "elephant"}, "early fault": {FaultAt: -1},
	} {
		_, err := New(c)
		require.Error(t, err, name)
	}
}
