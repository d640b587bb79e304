package detect

import "math"

// shape remembers the patterns a stream went through, as means over equal blocks, and tells how far the pattern of the
// last points is from the nearest earlier one: a left matrix profile over coarse windows, not normalised, since a known
// shape at an unknown level is news too.
type shape struct {
	block  int // points in a block
	stride int // points between remembered patterns
	limit  int // patterns kept
	seen   int // points since the last remembered pattern
	ring   [][blocks]float64
	next   int // the oldest once full
}

const blocks = 8

func newShape(block, limit int) shape {
	return shape{block: block, stride: max(1, block/2), limit: limit}
}

// span is how many points a pattern covers.
func (s *shape) span() int { return s.block * blocks }

// least is how many earlier patterns there must be before a distance means anything.
const least = 16

// distance of the pattern ending with recent's last point from the nearest remembered one that does not overlap it.
func (s *shape) distance(recent []float64) ([blocks]float64, float64, bool) {
	var p [blocks]float64
	if len(recent) < s.span() {
		return p, 0, false
	}
	from := recent[len(recent)-s.span():]
	for i := range p {
		sum := 0.0
		for _, x := range from[i*s.block : (i+1)*s.block] {
			sum += x
		}
		p[i] = sum / float64(s.block)
	}
	usable := len(s.ring) - s.span()/s.stride
	if usable < least {
		return p, 0, false
	}
	best := math.Inf(1)
	// The ring's oldest patterns lie at next and on; only the newest, which overlap, are left out.
	first := 0
	if len(s.ring) == s.limit {
		first = s.next
	}
	head := min(usable, len(s.ring)-first)
	best = nearest(s.ring[first:first+head], &p, best)
	best = nearest(s.ring[:usable-head], &p, best)
	return p, math.Sqrt(best), true
}

func nearest(ring [][blocks]float64, p *[blocks]float64, best float64) float64 {
	for i := range ring {
		q := &ring[i]
		e0, e1, e2, e3 := p[0]-q[0], p[1]-q[1], p[2]-q[2], p[3]-q[3]
		d := float64(e0*e0) + float64(e1*e1) + float64(e2*e2) + float64(e3*e3)
		if d >= best {
			continue
		}
		e4, e5, e6, e7 := p[4]-q[4], p[5]-q[5], p[6]-q[6], p[7]-q[7]
		d += float64(e4*e4) + float64(e5*e5) + float64(e6*e6) + float64(e7*e7)
		if d < best {
			best = d
		}
	}
	return best
}

// add remembers a pattern once every stride points.
func (s *shape) add(p [blocks]float64) {
	if s.seen++; s.seen < s.stride {
		return
	}
	s.seen = 0
	if len(s.ring) < s.limit {
		s.ring = append(s.ring, p)
		return
	}
	s.ring[s.next] = p
	s.next = (s.next + 1) % s.limit
}
