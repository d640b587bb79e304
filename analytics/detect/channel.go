package detect

import "time"

// scales are the block lengths at which a channel's shape is followed: 8, 64 and 256 points.
var scales = [...]int{1, 8, longest / blocks}

// longest is how many points the longest shape covers.
const longest = 256

// channel follows one stream of numbers by four statistics: the distance from what was usual at this time of day, and
// the novelty of the recent shape at three scales.
type channel struct {
	recent []float64 // the last points, as many as the longest shape covers
	clock  clock
	shapes [len(scales)]shape
	tails  [1 + len(scales)]tail
}

// ordinary is the surprise below which a statistic has nothing to say: one point in ten reaches it.
const ordinary = 1

func newChannel(memory int) *channel {
	c := &channel{}
	for i, b := range scales {
		c.shapes[i] = newShape(b, memory)
	}
	for i := range c.tails {
		c.tails[i].limit = memory
	}
	return c
}

// push takes the next finite value and returns its novelty: the sum over the statistics of the surprise beyond the
// ordinary. An event that shows in several ways counts for more than a freak of one.
func (c *channel) push(t time.Time, x float64) float64 {
	if len(c.recent) == longest {
		copy(c.recent, c.recent[1:])
		c.recent[longest-1] = x
	} else {
		c.recent = append(c.recent, x)
	}
	sum := 0.0
	judge := func(i int, d float64) {
		if s := c.tails[i].surprise(d); s > ordinary {
			sum += s - ordinary
		}
		c.tails[i].add(d)
	}
	if d, ok := c.clock.distance(t, x); ok {
		judge(0, d)
	}
	c.clock.add(t, x)
	for i := range c.shapes {
		s := &c.shapes[i]
		p, d, ok := s.distance(c.recent)
		if ok {
			judge(1+i, d)
		}
		if len(c.recent) >= s.span() {
			s.add(p)
		}
	}
	return sum
}
