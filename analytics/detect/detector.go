package detect

import (
	"fmt"
	"math"
	"time"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// Config of a Detector. The zero value of a field takes its default.
type Config struct {
	// Channels pushed at a time, 1 to 64.
	Channels int
	// Memory is how many points back the detector remembers (default 5000, 64 to 100 000). It bounds its size and the
	// time of a push, and is how fast it follows drift.
	Memory int
	// Refractory is how many points it takes until an event no longer raises the bar for the next (default 500).
	Refractory int
	// FalseAlarms is the rate of alarms a point that may be false in a stream without change (default 1e-4).
	FalseAlarms float64
}

const (
	maxChannels       = 64
	defaultMemory     = 5000
	minMemory         = 64
	maxMemory         = 100_000
	defaultRefractory = 500
	maxRefractory     = 1 << 30
	defaultRate       = 1e-4
)

func (c Config) withDefaults() (Config, error) {
	if c.Channels == 0 {
		c.Channels = 1
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Refractory == 0 {
		c.Refractory = defaultRefractory
	}
	if c.FalseAlarms == 0 {
		c.FalseAlarms = defaultRate
	}
	switch {
	case c.Channels < 1 || c.Channels > maxChannels:
		return c, fmt.Errorf("detect: %d channels, not 1 to %d", c.Channels, maxChannels)
	case c.Memory < minMemory || c.Memory > maxMemory:
		return c, fmt.Errorf("detect: memory of %d points, not %d to %d", c.Memory, minMemory, maxMemory)
	case c.Refractory < 1 || c.Refractory > maxRefractory:
		return c, fmt.Errorf("detect: refractory of %d points, not 1 to %d", c.Refractory, maxRefractory)
	case !between(c.FalseAlarms, 1e-12, 1):
		return c, fmt.Errorf("detect: false-alarm rate %v, not between 1e-12 and 1", c.FalseAlarms)
	}
	return c, nil
}

// between is false for what is not a number.
func between(x, low, high float64) bool { return x > low && x < high }

// Joint is the Channel of a score whose channels are new only together.
const Joint = -1

// Score of one point.
type Score struct {
	// Value is the novelty of an event as it begins: that of this point when it stands out and is not the continuation
	// of a reported event, else 0. From it goes the logarithm of how many such events the stream had: what keeps coming
	// back is ever less of an event. It is what a threshold goes on.
	Value float64
	// Novelty of this point alone, continuation or not: the sum of surprises beyond the ordinary.
	Novelty float64
	// Surprise is minus log10 of how rare such a novelty was in this stream; 0 while too little was seen.
	Surprise float64
	// Alarm says that the event begins and is rarer than the configured rate of false alarms.
	Alarm bool
	// Channel that is newest, or Joint.
	Channel int
}

// standsOut is the novelty from which a point may begin an event. After an event the bar stands at raised times its
// level and comes down in a line over the refractory time, so that an event is reported once, a much larger one at once.
const (
	standsOut = 1.75
	raised    = 2
	pastMost  = 256 // events remembered
)

// Detector learns a stream as it runs.
type Detector struct {
	config   Config
	limit    float64 // surprise of an alarm
	channels []*channel
	joint    *joint    // nil for one channel
	history  tail      // of the novelty
	quiet    event     // what Value reports
	alarms   event     // what Alarm reports
	past     []float64 // levels of the events reported, the newest last
}

// event is the last thing reported, and how many points ago.
type event struct {
	level float64
	age   int
}

// New returns a Detector that has seen nothing. It panics on a Config outside the documented bounds, which is a
// programming error; use Config.Validate for one that comes from outside.
func New(config Config) *Detector {
	c, err := config.withDefaults()
	if err != nil {
		panic(err)
	}
	d := &Detector{config: c, limit: -kernel.Log10(c.FalseAlarms), history: tail{limit: c.Memory}}
	for range c.Channels {
		d.channels = append(d.channels, newChannel(c.Memory))
	}
	if c.Channels > 1 {
		d.joint = newJoint(c.Channels, c.Memory)
	}
	d.quiet.age, d.alarms.age = c.Refractory, c.Refractory
	return d
}

// Validate checks a Config against the documented bounds.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// Push scores the next point. A NaN or infinite value is missing; so is a channel beyond the end of values. A point
// with no value at all scores zero and changes nothing.
func (d *Detector) Push(t time.Time, values []float64) Score {
	var s Score
	seen := false
	for i, c := range d.channels {
		x := math.NaN()
		if i < len(values) {
			x = values[i]
		}
		if missing(x) {
			continue
		}
		seen = true
		if n := c.push(t, x); n > s.Novelty {
			s.Novelty, s.Channel = n, i
		}
	}
	if !seen {
		return s
	}
	if d.joint != nil {
		if n := d.joint.push(values); n > s.Novelty {
			s.Novelty, s.Channel = n, Joint
		}
	}
	s.Surprise = d.history.surprise(s.Novelty)
	d.history.add(s.Novelty)
	if d.quiet.begins(s.Novelty, d.config.Refractory) {
		s.Value = d.discount(s.Novelty)
	}
	s.Alarm = s.Surprise >= d.limit && d.alarms.begins(s.Novelty, d.config.Refractory)
	return s
}

// discount takes from a new event's level log10(1+c) for the c earlier ones at least half as novel: it is one of c+1.
func (d *Detector) discount(level float64) float64 {
	like := 0
	for _, p := range d.past {
		if p >= level/2 {
			like++
		}
	}
	if len(d.past) == pastMost {
		copy(d.past, d.past[1:])
		d.past = d.past[:pastMost-1]
	}
	d.past = append(d.past, level)
	return max(0, level-kernel.Log10(float64(1+like)))
}

// largest value taken for a reading; beyond it squares would overflow.
const largest = 1e150

// begins tells whether a point of this level begins a new event, and if so remembers it.
func (e *event) begins(level float64, refractory int) bool {
	if e.age < refractory {
		e.age++
	}
	bar := float64(raised*e.level) * (1 - float64(e.age)/float64(refractory))
	if level < standsOut || level <= bar {
		return false
	}
	e.level, e.age = level, 0
	return true
}
