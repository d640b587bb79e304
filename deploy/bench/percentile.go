package bench

import (
	"math"
	"slices"
	"time"
)

// Latency sums up how long things took, in milliseconds.
type Latency struct {
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Count int     `json:"count"`
}

// latencyOf sorts its argument.
func latencyOf(all []time.Duration) Latency {
	slices.Sort(all)
	return Latency{P50: milliseconds(percentile(all, 50)), P99: milliseconds(percentile(all, 99)), Max: milliseconds(percentile(all, 100)), Count: len(all)}
}

// percentile is the smallest value that at least p of a hundred do not exceed (nearest rank); sorted rises. Of nothing it is 0.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }
