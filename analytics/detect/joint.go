package detect

import "math"

// joint follows several channels at once: each is scaled by its own running spread and smoothed a little, and the vector
// is compared with the nearest one seen before. It finds what no channel shows alone, such as two that part.
type joint struct {
	limit  int
	scale  []running
	smooth []float64
	ring   []float64 // vectors one after another
	count  int       // vectors in the ring
	next   int
	tail   tail
}

// running mean and variance with a slow memory.
type running struct {
	n, mean, variance float64
}

const (
	slow      = 2000.0 // points a running spread remembers
	smoothing = 0.25
	apart     = 16 // newest vectors not compared with: they are the present
)

func newJoint(channels, memory int) *joint {
	return &joint{limit: memory, scale: make([]running, channels), smooth: make([]float64, channels), tail: tail{limit: memory}}
}

func (r *running) add(x float64) {
	r.n = min(r.n+1, slow)
	d := x - r.mean
	r.mean += d / r.n
	r.variance += (float64(d*(x-r.mean)) - r.variance) / r.n
}

func (j *joint) push(values []float64) float64 {
	width := len(j.scale)
	for i := range j.scale {
		x := math.NaN()
		if i < len(values) {
			x = values[i]
		}
		if math.IsNaN(x) || math.Abs(x) > largest {
			continue // a missing channel stays where it was
		}
		r := &j.scale[i]
		r.add(x)
		z := 0.0
		if spread := math.Sqrt(r.variance); spread > 0 {
			z = (x - r.mean) / spread
		}
		j.smooth[i] += float64(smoothing * (z - j.smooth[i]))
	}
	novelty := 0.0
	if usable := j.count - apart; usable >= least {
		first := 0
		if j.count == j.limit {
			first = j.next
		}
		best := math.Inf(1)
		for k := range usable {
			at := first + k
			if at >= j.limit {
				at -= j.limit
			}
			v := j.ring[at*width : (at+1)*width]
			sum := 0.0
			for i, x := range j.smooth {
				e := x - v[i]
				sum += float64(e * e)
			}
			if sum < best {
				best = sum
			}
		}
		distance := math.Sqrt(best)
		if s := j.tail.surprise(distance); s > ordinary {
			novelty = s - ordinary
		}
		j.tail.add(distance)
	}
	if j.count < j.limit {
		j.ring = append(j.ring, j.smooth...)
		j.count++
	} else {
		copy(j.ring[j.next*width:(j.next+1)*width], j.smooth)
		j.next = (j.next + 1) % j.limit
	}
	return novelty
}
