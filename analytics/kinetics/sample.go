package kinetics

import (
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// Members is the size of an ensemble. With the analytic spread added to each member, 64 hold a quantile to 0.01 log10
// (TestEnsembleSizeSuffices).
const Members = 64

// generators of a rank-1 lattice of 64 points in four dimensions, 19⁰ … 19³ mod 64: all odd, so that every parameter alone
// takes each 64th of its distribution exactly once.
var lattice = [4]int{1, 19, 41, 11}

// deviates returns the standard normal deviates of every member, cut at ±2.5 so that no member leaves the range a profile's
// validation allows for. The set is fixed: it depends on nothing.
func deviates() *[Members][4]float64 {
	var z [Members][4]float64
	for k := range z {
		for d, generator := range lattice {
			u := (float64(k*generator%Members) + 0.5) / Members
			z[k][d] = math.Max(-2.5, math.Min(2.5, kernel.NormalQuantile(u)))
		}
	}
	return &z
}

var memberDeviates = deviates()

// mixture is a sum of normals of equal weight and equal spread: the members of an ensemble, each blurred.
type mixture struct {
	centres [Members]float64
	spread  float64
}

// above returns the probability of a value of at least limit.
func (m *mixture) above(limit float64) float64 {
	sum := 0.0
	for _, c := range m.centres {
		sum += kernel.NormalCDF((c - limit) / m.spread)
	}
	return sum / Members
}

// quantile returns the value below which the fraction p lies, by 30 halvings of an interval that holds it: to a hundred-millionth of its width.
func (m *mixture) quantile(p float64) float64 {
	low, high := m.centres[0], m.centres[0]
	for _, c := range m.centres {
		low, high = math.Min(low, c), math.Max(high, c)
	}
	low -= float64(8 * m.spread)
	high += float64(8 * m.spread)
	for range 30 {
		middle := low + float64(0.5*(high-low))
		if 1-m.above(middle) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return low + float64(0.5*(high-low))
}

func (m *mixture) mean() float64 {
	sum := 0.0
	for _, c := range m.centres {
		sum += c
	}
	return sum / Members
}
