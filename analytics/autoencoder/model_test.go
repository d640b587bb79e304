package autoencoder

import (
	"context"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/thermal"
)

func defaultForTest(t testing.TB) *Model {
	t.Helper()
	m, err := Default()
	require.NoError(t, err)
	return m
}

// TestDefaultModelIsTheOneOfRecord names the bytes of the embedded model: retraining it is a decision, not an accident.
func TestDefaultModelIsTheOneOfRecord(t *testing.T) {
	m := defaultForTest(t)
	hash := m.Hash()
	require.Equal(t, "eebbe2dd8f21393693e0638a27cced12bacb9b31143c058fceec19228f7dc596", hex.EncodeToString(hash[:]))
	require.Equal(t, defaultModel, m.Encode())
	require.Equal(t, int64(10_000), m.FalseAlarms())
	require.Equal(t, DefaultConfig().Seed, m.Seed())
}

// TestKernelHoldsToGorgonia runs the same windows through Gorgonia's own forward pass and through the kernel.
func TestKernelHoldsToGorgonia(t *testing.T) {
	m := defaultForTest(t)
	rows, _, err := trainingSet(context.Background(), Config{Seed: 7, Shipments: 4})
	require.NoError(t, err)
	rows = rows[:batch*Features]
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(batch, Features), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(batch, Features), tensor.WithBacking(append([]float32(nil), rows...)))))
	output, _ := forward(g, x, m.Network())
	machine := gorgonia.NewTapeMachine(g)
	defer machine.Close() //nolint:errcheck // it only stops
	require.NoError(t, machine.RunAll())
	want := output.Value().Data().([]float32)
	got := m.Network().Forward(rows, batch, &kernel.Scratch{})
	require.Len(t, got, len(want))
	for i := range got {
		require.InDelta(t, want[i], got[i], 2e-5, "value %d", i)
	}
}

func TestTrainingIsReproducible(t *testing.T) {
	config := Config{Seed: 3, Shipments: 4, Epochs: 2, LearningRate: 0.002, CalibrationDays: 20, FalseAlarms: 0.1, TestShipments: 3}
	var epochs []Progress
	one, report, err := Train(context.Background(), config, func(p Progress) { epochs = append(epochs, p) })
	require.NoError(t, err)
	require.Len(t, epochs, 2)
	require.Less(t, report.Losses[1], report.Losses[0])
	require.Len(t, report.Faults, len(thermal.Faults()))
	two, second, err := Train(context.Background(), config, nil)
	require.NoError(t, err)
	require.Equal(t, one.Hash(), two.Hash())
	require.Equal(t, report, second)
	config.Seed = 4
	other, _, err := Train(context.Background(), config, nil)
	require.NoError(t, err)
	require.NotEqual(t, one.Hash(), other.Hash())
}

func TestTrainRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"seed": func(c *Config) { c.Seed = 1 << 20 }, "shipments": func(c *Config) { c.Shipments = 0 }, "epochs": func(c *Config) { c.Epochs = 0 },
		"rate": func(c *Config) { c.LearningRate = math.NaN() }, "share": func(c *Config) { c.FalseAlarms = 1 },
		"a promise too few days can keep": func(c *Config) { c.CalibrationDays = 50 },
	} {
		config := DefaultConfig()
		change(&config)
		_, _, err := Train(context.Background(), config, nil)
		require.Error(t, err, name)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := Train(cancelled, DefaultConfig(), nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestThresholdKeepsItsPromise counts alarms on normal sensor-days of seeds nothing has seen: 1 % is promised.
func TestThresholdKeepsItsPromise(t *testing.T) {
	m, scratch, alarms := defaultForTest(t), &kernel.Scratch{}, 0
	const days = 400
	for k := range uint64(days) {
		worst, err := worstOfDay(m, 77<<40+k, scratch)
		require.NoError(t, err)
		if worst > m.threshold {
			alarms++
		}
	}
	t.Logf("%d alarms on %d normal sensor-days", alarms, days)
	require.LessOrEqual(t, alarms, 11, "P(more than 11 | 1 %) is 0.1 %")
}

func TestFaultsAreFound(t *testing.T) {
	m, scratch := defaultForTest(t), &kernel.Scratch{}
	for fault, least := range map[thermal.Fault]int{thermal.SensorStuck: 38, thermal.CompressorFailure: 26, thermal.DoorLeftOpen: 28} {
		found := 0
		for k := range uint64(40) {
			_, ok, err := delayOf(m, 78<<40+k, fault, scratch)
			require.NoError(t, err)
			if ok {
				found++
			}
		}
		t.Logf("%s: %d of 40", fault, found)
		require.GreaterOrEqual(t, found, least, fault)
	}
}

func TestHabitBridgesAndForgets(t *testing.T) {
	var h Habit
	require.False(t, h.Take(100, 5_000_000, false))
	require.False(t, h.Take(104, 5_400_000, false))
	require.Equal(t, []int64{5_000_000, 5_100_000, 5_200_000, 5_300_000, 5_400_000}, h.Minutes)
	h.Take(104, 5_500_000, false)
	require.Equal(t, int64(5_500_000), h.Minutes[4], "of two readings in a minute the last counts")
	for minute := int64(105); minute < 159; minute++ {
		require.False(t, h.Take(minute, 5_000_000, false))
	}
	require.True(t, h.Take(159, 5_000_000, false))
	require.Len(t, h.Minutes, Window)
	require.False(t, h.Take(500, 7_000_000, true), "a long gap starts the hour afresh")
	require.Len(t, h.Minutes, 1)
}

func TestFeaturesAreBounded(t *testing.T) {
	var window [Window]int64
	for i := range window {
		window[i] = int64(i%2*2-1) * 200_000_000
	}
	for _, v := range Extract(&window, 0) {
		require.False(t, math.IsNaN(float64(v)))
		require.LessOrEqual(t, math.Abs(float64(v)), cut*emphasis)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := defaultForTest(t).Encode()
	for name, data := range map[string][]byte{
		"nothing": nil, "other": []byte("GIF89a"), "short": good[:len(good)-1], "long": append(append([]byte(nil), good...), 0),
		"huge": make([]byte, MaxEncodedBytes+1), "version": append([]byte("TMAE\x09"), good[5:]...),
	} {
		_, err := Decode(data)
		require.Error(t, err, name)
	}
	// Every single bit of the head matters: it is another model or none.
	for at := range 60 {
		changed := append([]byte(nil), good...)
		changed[at] ^= 1
		if m, err := Decode(changed); err == nil {
			require.NotEqual(t, defaultForTest(t).Hash(), m.Hash())
		}
	}
}

func FuzzDecode(f *testing.F) {
	// The smallest network there can be, so that the fuzzer spends its time on structure and not on weights.
	small := &Model{threshold: 1, falseAlarms: 10_000}
	for _, shape := range [][2]int{{Features, 1}, {1, Features}} {
		small.network = append(small.network, kernel.Dense{
			In: shape[0], Out: shape[1], Tanh: true, Weights: make([]float32, Features), Bias: make([]float32, shape[1]),
		})
	}
	require.NoError(f, small.validate())
	f.Add(small.Encode())
	f.Add(small.Encode()[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			return
		}
		require.Equal(t, data, m.Encode())
		var window [Window]int64
		score := m.Score(Extract(&window, 0), &kernel.Scratch{})
		require.True(t, score >= 0 && score <= MaxScore)
	})
}
