package detect

import "time"

// clock remembers what a channel showed at each time of day and tells how far a value is from the nearest of them. It
// says nothing before it has seen a second day, and an irregular stream is compared with what came within a few samples
// of the same time.
type clock struct {
	slots   [slotsPerDay][]stamped
	last    int64 // seconds
	step    float64
	started bool
}

type stamped struct {
	at    int64 // seconds
	value float64
}

const (
	daySeconds  = 24 * 60 * 60
	slotSeconds = 5 * 60
	slotsPerDay = daySeconds / slotSeconds
	slotDepth   = 64 // newest values kept in a slot
	thin        = 60 // seconds between values kept, so that a fast stream does not push out the days before
	// A value may be compared with one from three samples off, if that is no more than a quarter of an hour, but always
	// with one from a sample or a minute off.
	nearSamples = 3
	nearSeconds = 15 * 60
	stepShare   = 0.05 // of a new interval in the running one
)

// distance from the nearest value at this time of an earlier day; false while there are none from two days.
func (c *clock) distance(t time.Time, x float64) (float64, bool) {
	now := t.Unix()
	near := int64(max(thin, c.step, min(nearSamples*c.step, nearSeconds)))
	slot := slotOf(now)
	reach := min(int((near+slotSeconds-1)/slotSeconds), slotsPerDay/2-1)
	best, oldest, found := 0.0, now, false
	for d := -reach; d <= reach; d++ {
		for _, s := range c.slots[(slot+d+slotsPerDay)%slotsPerDay] {
			age := now - s.at
			if age < daySeconds/2 {
				continue
			}
			off := age % daySeconds
			if off > daySeconds/2 {
				off = daySeconds - off
			}
			if off > near {
				continue
			}
			e := x - s.value
			if e < 0 {
				e = -e
			}
			if !found || e < best {
				best, found = e, true
			}
			oldest = min(oldest, s.at)
		}
	}
	return best, found && now-oldest >= daySeconds*3/2
}

func (c *clock) add(t time.Time, x float64) {
	now := t.Unix()
	if gap := float64(now - c.last); c.started && gap > 0 && gap < daySeconds {
		if c.step == 0 {
			c.step = gap
		}
		// A silence is not the sampling interval.
		c.step += float64(stepShare * (min(gap, float64(4*c.step)) - c.step))
	}
	c.last, c.started = now, true
	s := &c.slots[slotOf(now)]
	if n := len(*s); n > 0 {
		if since := now - (*s)[n-1].at; since >= 0 && since < thin {
			return
		}
	}
	if len(*s) == slotDepth {
		copy(*s, (*s)[1:])
		*s = (*s)[:slotDepth-1]
	}
	*s = append(*s, stamped{now, x})
}

func slotOf(seconds int64) int {
	return int((seconds%daySeconds+daySeconds)%daySeconds) / slotSeconds
}
