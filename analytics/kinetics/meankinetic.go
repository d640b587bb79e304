package kinetics

import (
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// MeanKinetic computes the mean kinetic temperature over a trailing window (USP <1079.2>):
//
//	T = (ΔH/R) / −ln(mean(exp(−ΔH/(R·T))))
//
// Time is kept in buckets of one hour of readings, so the window is exact to an hour and its memory bounded.
type MeanKinetic struct {
	energy  float64
	buckets []kineticBucket // oldest first; the last one is filling
	window  int
}

// kineticBucket counts time in whole milliseconds, so that an hour fills exactly.
type kineticBucket struct {
	weight float64 // Σ exp(−ΔH/RT) · milliseconds
	millis int64
}

const hourMillis = 3_600_000

// NewMeanKinetic takes the activation energy in J/mol (83 144 by USP's default) and the window in hours.
func NewMeanKinetic(energy int64, windowHours int) *MeanKinetic {
	return &MeanKinetic{energy: float64(energy), window: max(1, windowHours)}
}

// Advance adds hours at a temperature (millionths of a degree); hours beyond the window replace everything.
func (m *MeanKinetic) Advance(temperature int64, hours float64) {
	if hours <= 0 {
		return
	}
	factor := kernel.Exp(-m.energy / float64(gasConstant*(kernel.FromMicro(temperature)+kelvin)))
	for left := int64(math.Round(float64(min(hours, float64(m.window)) * hourMillis))); left > 0; {
		if n := len(m.buckets); n == 0 || m.buckets[n-1].millis == hourMillis {
			m.buckets = append(m.buckets, kineticBucket{})
			if len(m.buckets) > m.window {
				m.buckets = append(m.buckets[:0], m.buckets[1:]...)
			}
		}
		last := &m.buckets[len(m.buckets)-1]
		part := min(left, hourMillis-last.millis)
		last.weight += float64(float64(part) * factor)
		last.millis += part
		left -= part
	}
}

// Temperature returns the mean kinetic temperature in millionths of a degree; ok is false before the first reading.
func (m *MeanKinetic) Temperature() (temperature int64, ok bool) {
	weight, millis := 0.0, int64(0)
	for _, b := range m.buckets {
		weight += b.weight
		millis += b.millis
	}
	if millis == 0 || weight == 0 {
		return 0, false
	}
	return kernel.ToMicro(m.energy/gasConstant/-kernel.Log(weight/float64(millis)) - kelvin), true
}
