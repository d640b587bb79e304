package spoilage

import (
	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kinetics"
)

const (
	minute = int64(60_000) // in the milliseconds time is kept in
	hour   = 60 * minute
	// evaluateEvery is how often the slow rules (spoilage, anomaly) look.
	evaluateEvery = autoencoder.Stride * minute
	// longestGap is the silence after which readings no longer count as one continuous record.
	longestGap = 15 * minute
)

// device is the state of one device: exported fields are the snapshot.
type device struct {
	First       int64
	Last        int64 // time of the last reading, milliseconds
	Temperature int64
	Readings    int64
	Evaluated   int64 // last evaluation of the slow rules, in units of evaluateEvery
	LongestGap  int64

	Band      bandState
	Trend     trendState
	Habit     autoencoder.Habit
	Incidents map[Kind][]incident

	growth      *kinetics.GrowthState
	degradation *kinetics.DegradationState
}

func (s *Scorer) newDevice() *device {
	d := &device{Incidents: map[Kind][]incident{}}
	p := &s.profile
	switch {
	case p.Growth != nil:
		initial := p.Growth.InitialCount
		if s.config.InitialCount != nil {
			initial = *s.config.InitialCount
		}
		d.growth = kinetics.NewGrowthState(*p.Growth, initial, p.Storage)
	case p.Degradation != nil:
		d.degradation = kinetics.NewDegradationState(*p.Degradation, p.Storage)
	}
	return d
}

// advance takes one reading through every rule.
func (s *Scorer) advance(d *device, at, temperature int64) {
	var elapsed, previous int64
	if d.Readings == 0 {
		d.First, previous = at, temperature
		d.Evaluated = at / evaluateEvery
	} else {
		elapsed, previous = at-d.Last, d.Temperature
		d.LongestGap = max(d.LongestGap, elapsed)
	}
	d.Last, d.Temperature = at, temperature
	d.Readings++

	// Between readings the temperature is taken as their mean; over a long silence as the warmer, which is the safe side.
	between := previous + (temperature-previous)/2
	if elapsed > longestGap {
		between = max(previous, temperature)
	}
	hours := float64(elapsed) / float64(hour)
	if d.growth != nil {
		d.growth.Advance(between, hours)
	}
	if d.degradation != nil {
		d.degradation.Advance(between, hours)
	}
	s.watchBand(d, at, elapsed, previous)
	whole := d.Habit.Take(at/minute, temperature, elapsed > longestGap)
	s.watchTrend(d, at)
	if slot := at / evaluateEvery; slot > d.Evaluated {
		d.Evaluated = slot
		s.watchQuality(d, at)
		if whole && s.model != nil {
			s.watchHabit(d, at)
		}
	}
}
