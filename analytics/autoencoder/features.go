package autoencoder

import (
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

const (
	// Window is the number of one-minute readings a score looks at.
	Window = 60
	// Features is the width of the model: Window levels, Window-1 steps, and nine summaries.
	Features = 128

	summaries = Features - Window - (Window - 1)
	levelUnit = 1.5 // °C that count as one
	stepUnit  = 0.3
	softness  = 2.0 // where levels and steps begin to saturate: a door's breath must not drown a compressor's silence
	emphasis  = 2.0 // nine summaries against 119 readings
	cut       = 8.0 // summaries are cut here, so that no reading makes a score infinite
)

// Extract turns a window of one-minute readings (millionths of a degree) and the sensor's own baseline into the features:
// levels about the baseline, steps from minute to minute, and summaries that make visible what a reconstruction error alone
// would reward: the silence of a stuck sensor, a slow slope, a level that left its habit.
func Extract(window *[Window]int64, baseline int64) *[Features]float32 {
	var f [Features]float32
	base := kernel.FromMicro(baseline)
	var level, step [Window]float64
	mean := 0.0
	for i, v := range window {
		level[i] = kernel.FromMicro(v) - base
		mean += level[i]
	}
	mean /= Window
	activity, coarse, roughness, largest, repeated := 0.0, 0.0, 0.0, 0.0, 0.0
	slope, spread, low, high := 0.0, 0.0, level[0], level[0]
	for i, v := range level {
		f[i] = squash(v / levelUnit)
		d := v - mean
		spread += float64(d * d)
		slope += float64(d * (float64(i) - 0.5*(Window-1)))
		low, high = math.Min(low, v), math.Max(high, v)
		if i == 0 {
			continue
		}
		step[i] = v - level[i-1]
		f[Window+i-1] = squash(step[i] / stepUnit)
		activity += math.Abs(step[i])
		largest = math.Max(largest, math.Abs(step[i]))
		if step[i] == 0 {
			repeated++
		}
		if i > 1 {
			roughness += math.Abs(step[i] - step[i-1])
		}
		if i >= 5 {
			coarse += math.Abs(v - level[i-5])
		}
	}
	s := f[Window+Window-1:]
	for i, v := range [summaries]float64{
		mean / levelUnit,
		slope / 17995 * 60 / levelUnit, // °C an hour; Σ(i−29.5)² = 17 995
		logUnit(activity/(Window-1), 0.05),
		logUnit(coarse/(Window-5), 0.2),
		logUnit(roughness/(Window-2), 0.08),
		logUnit(math.Sqrt(spread/Window), 0.5),
		logUnit(largest, 0.3),
		(high - low) / (2 * levelUnit),
		(repeated/(Window-1) - 0.4) * 5,
	} {
		s[i] = float32(emphasis * math.Max(-cut, math.Min(cut, v)))
	}
	return &f
}

// logUnit is the logarithm of a size against its usual value; the floor keeps silence finite.
func logUnit(size, usual float64) float64 {
	return kernel.Log((size + 0.002) / (usual + 0.002))
}

// squash is nearly v while v is small and never more than softness.
func squash(v float64) float32 { return float32(v / (1 + math.Abs(v)/softness)) }
