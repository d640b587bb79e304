package detect

import "math"

// joint follows how several channels move together: their running covariance, and of each point its squared Mahalanobis
// distance in it, which is large where channels that went together part though none of them is unusual alone.
type joint struct {
	n      float64 // points seen, up to slow
	mean   []float64
	cov    []float64 // symmetric, row by row
	factor []float64 // scratch: the Cholesky factor of the correlation
	z      []float64 // scratch: the point in spreads
	tail   tail
}

const (
	slow  = 2000.0 // points the covariance remembers
	ridge = 1e-3   // added to the correlation's diagonal, so that channels which always agreed may differ a little
	young = 16.0   // points beyond two a channel before a covariance means anything
)

func newJoint(channels, memory int) *joint {
	return &joint{
		mean: make([]float64, channels), cov: make([]float64, channels*channels),
		factor: make([]float64, channels*channels), z: make([]float64, channels), tail: tail{limit: memory},
	}
}

// push takes the next point and returns its novelty. A missing channel is where it usually is.
func (j *joint) push(values []float64) float64 {
	novelty := 0.0
	width := len(j.mean)
	for i := range j.z {
		j.z[i] = 0
		if i < len(values) && !missing(values[i]) {
			j.z[i] = values[i] - j.mean[i]
		}
	}
	if j.n >= young+float64(2*width) {
		d := j.distance()
		if s := j.tail.surprise(d); s > ordinary {
			novelty = s - ordinary
		}
		j.tail.add(d)
	}
	j.n = min(j.n+1, slow)
	for i := range j.mean {
		if i >= len(values) || missing(values[i]) {
			continue
		}
		j.mean[i] += (values[i] - j.mean[i]) / j.n
	}
	shrink := 1 - 1/j.n
	for i := range width {
		for k := range width {
			c := &j.cov[i*width+k]
			*c = float64(shrink * (*c + float64(j.z[i]*j.z[k])/j.n))
		}
	}
	return novelty
}

// distance of j.z, squared and per channel: |L⁻¹z|² for the correlation LLᵀ.
func (j *joint) distance() float64 {
	width := len(j.mean)
	spread := func(i int) float64 { return math.Sqrt(j.cov[i*width+i]) }
	sum := 0.0
	y := make([]float64, width)
	for i := range width {
		si := spread(i)
		if si == 0 {
			// Never moved: it can only be news by itself, which its own channel tells.
			for k := range i {
				j.factor[i*width+k] = 0
			}
			j.factor[i*width+i] = 1
			continue
		}
		zi := min(max(j.z[i]/si, -deviationMost), deviationMost)
		for k := range i {
			sk := spread(k)
			r := 0.0
			if sk > 0 {
				r = j.cov[i*width+k] / si / sk
			}
			for m := range k {
				r -= float64(j.factor[i*width+m] * j.factor[k*width+m])
			}
			r /= j.factor[k*width+k]
			j.factor[i*width+k] = r
			zi -= float64(r * y[k])
		}
		pivot := 1 + ridge
		for k := range i {
			pivot -= float64(j.factor[i*width+k] * j.factor[i*width+k])
		}
		pivot = math.Sqrt(max(pivot, ridge/2))
		j.factor[i*width+i] = pivot
		y[i] = zi / pivot
		sum += float64(y[i] * y[i])
	}
	return min(sum/float64(width), surpriseCap)
}

// surpriseCap bounds a squared distance so that its moments stay finite.
const surpriseCap = 1e100
