package kinetics

import (
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

type kineticBucket struct{ weight, hours float64 }

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
	hours = min(hours, float64(m.window))
	for hours > 0 {
		if n := len(m.buckets); n == 0 || m.buckets[n-1].hours >= 1 {
			m.buckets = append(m.buckets, kineticBucket{})
			if len(m.buckets) > m.window {
				m.buckets = append(m.buckets[:0], m.buckets[len(m.buckets)-m.window:]...)
			}
		}
		last := &m.buckets[len(m.buckets)-1]
		part := min(hours, 1-last.hours)
		if part <= 1e-9 { // what is left of a bucket after rounding
			last.hours = 1
			continue
		}
		last.weight += float64(part * factor)
		last.hours += part
		hours -= part
	}
}

// Temperature returns the mean kinetic temperature in millionths of a degree; ok is false before the first reading.
func (m *MeanKinetic) Temperature() (temperature int64, ok bool) {
	weight, hours := 0.0, 0.0
	for _, b := range m.buckets {
		weight += b.weight
		hours += b.hours
	}
	if hours == 0 || weight == 0 {
		return 0, false
	}
	return kernel.ToMicro(m.energy/gasConstant/-kernel.Log(weight/hours) - kelvin), true
}
