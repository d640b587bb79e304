package kinetics

import (
	"math"
	"slices"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// lifeOf takes the interval from sorted member lives, interpolating between neighbours.
func lifeOf(hours [Members]float64, probability float64) Life {
	slices.Sort(hours[:])
	at := func(p float64) int64 {
		position := float64(p*Members) - 0.5
		position = math.Max(0, math.Min(Members-1, position))
		below := math.Floor(position)
		k := int(below)
		if k == Members-1 {
			return kernel.ToMicro(hours[k])
		}
		return kernel.ToMicro(hours[k] + float64((position-below)*(hours[k+1]-hours[k])))
	}
	tail := float64(0.5 * (1 - probability))
	return Life{Low: at(tail), Median: at(0.5), High: at(1 - tail)}
}
