package detect

import (
	"math"
	"slices"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// tail holds the recent distribution of one statistic and says how far out a new value lies: minus log10 of the
// probability to see one at least as large. Up to a high quantile it counts; beyond it extrapolates by a generalised
// Pareto distribution fitted to the excesses by probability-weighted moments (Hosking & Wallis 1987), the peaks over
// threshold of SPOT (Siffer et al. 2017). It forgets what is older than its capacity, so it follows drift.
type tail struct {
	limit  int
	ring   []float64 // in the order of arrival, the oldest at next once full
	next   int
	sorted []float64
}

const (
	tailQuantile = 0.98 // excesses are counted from here
	tailExcesses = 8    // at least so many
	tailLeast    = 32   // values before it says anything
	shapeMost    = 0.9  // heavier tails have no mean for the moments to find
	surpriseMost = 12   // one part in 10^12: further out is not told apart
)

// add stores a finite value.
func (t *tail) add(x float64) {
	if len(t.ring) < t.limit {
		t.ring = append(t.ring, x)
	} else {
		i, _ := slices.BinarySearch(t.sorted, t.ring[t.next])
		t.sorted = slices.Delete(t.sorted, i, i+1)
		t.ring[t.next] = x
		t.next = (t.next + 1) % t.limit
	}
	i, _ := slices.BinarySearch(t.sorted, x)
	t.sorted = slices.Insert(t.sorted, i, x)
}

// excess is a fitted tail: values above start have probability rate, and fall off from there.
type excess struct {
	start, rate  float64
	shape, scale float64
}

func (t *tail) fit() excess {
	n := len(t.sorted)
	i := min(int(tailQuantile*float64(n)), n-1-tailExcesses)
	e := excess{start: t.sorted[i]}
	k := n - i - 1
	e.rate = float64(k+1) / float64(n+1)
	var b0, b1 float64 // moments of the excesses, plain and weighted by the probability to be exceeded
	for j := i + 1; j < n; j++ {
		x := t.sorted[j] - e.start
		b0 += x
		b1 += float64(x * ((float64(n-1-j) + 0.35) / float64(k)))
	}
	b0 /= float64(k)
	b1 /= float64(k)
	e.scale = b0
	if d := b0 - float64(2*b1); d > 0 {
		e.shape = 2 - b0/d
		e.scale = float64(float64(2*b0)*b1) / d
	}
	// A tail that seems to end is not believed; one without a mean is cut to the heaviest that has one.
	if e.shape <= 0 {
		e.shape, e.scale = 0, b0
	} else if e.shape > shapeMost {
		e.shape, e.scale = shapeMost, float64(b0*(1-shapeMost))
	}
	return e
}

// surprise of x against what was added so far, between 0 and surpriseMost.
func (t *tail) surprise(x float64) float64 {
	n := len(t.sorted)
	if n < tailLeast {
		return 0
	}
	// Cheap for the many: below the quantile a count will do.
	if i := min(int(tailQuantile*float64(n)), n-1-tailExcesses); x <= t.sorted[i] {
		at, _ := slices.BinarySearch(t.sorted, x)
		return kernel.Log10(float64(n+1) / float64(n-at+1))
	}
	e := t.fit()
	least := float64(1e-9 * max(math.Abs(e.start), math.Abs(x)))
	z := (x - e.start) / max(e.scale, least)
	s := -kernel.Log10(e.rate)
	if e.shape < 1e-6 {
		s += z / kernel.Ln10
	} else {
		s += kernel.Log(1+float64(e.shape*z)) / float64(e.shape*kernel.Ln10)
	}
	return min(s, surpriseMost)
}

// level is the value whose surprise is s, for s beyond the counted quantile: the threshold for a false-alarm rate of
// 10^-s a point.
func (t *tail) level(s float64) float64 {
	if len(t.sorted) < tailLeast {
		return math.Inf(1)
	}
	e := t.fit()
	beyond := float64((s + kernel.Log10(e.rate)) * kernel.Ln10)
	if beyond <= 0 {
		return e.start
	}
	if e.shape < 1e-6 {
		return e.start + float64(e.scale*beyond)
	}
	return e.start + float64(e.scale*(kernel.Exp(float64(e.shape*beyond))-1))/e.shape
}
