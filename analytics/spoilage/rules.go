package spoilage

import (
	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
)

// bandState counts the time spent out of band.
type bandState struct {
	Since       int64 // start of the excursion that goes on, 0 for none
	First       int64 // start of the first excursion ever, 0 for none
	Consecutive int64 // milliseconds
	Cumulative  int64
	Extreme     int64 // the temperature furthest out in the excursion that goes on
}

func (s *Scorer) outBy(temperature int64) int64 {
	return max(temperature-s.profile.Band.High, s.profile.Band.Low-temperature, 0)
}

// watchBand counts time out of band: all of it between two readings that are out, half of it where one is.
func (s *Scorer) watchBand(d *device, at, elapsed, previous int64) {
	b, band := &d.Band, s.profile.Band
	now, before := s.outBy(d.Temperature) > 0, s.outBy(previous) > 0
	spent := int64(0)
	switch {
	case now && before:
		spent = elapsed
	case now != before:
		spent = elapsed / 2
	}
	b.Cumulative += spent
	if !now {
		b.Since, b.Consecutive, b.Extreme = 0, 0, 0
		d.rest(BandExcursion)
		return
	}
	if b.Since == 0 {
		b.Since, b.Extreme = at-spent, d.Temperature
	}
	if b.First == 0 {
		b.First = b.Since
	}
	b.Consecutive += spent
	if s.outBy(d.Temperature) > s.outBy(b.Extreme) {
		b.Extreme = d.Temperature
	}
	allowedAtOnce, allowedInAll := int64(band.ConsecutiveMinutes)*minute, int64(band.CumulativeMinutes)*minute
	if b.Consecutive <= allowedAtOnce && b.Cumulative <= allowedInAll {
		return
	}
	score := max(share(b.Consecutive, allowedAtOnce), share(b.Cumulative, allowedInAll))
	d.hold(BandExcursion, b.Since, at, score, map[string]int64{
		"minutesOut":         b.Consecutive * kernel.Micro / minute,
		"minutesOutInAll":    b.Cumulative * kernel.Micro / minute,
		"extremeTemperature": b.Extreme,
		"temperature":        d.Temperature,
	})
}

// share is value/(value+limit) in millionths: half a million at the limit.
func share(value, limit int64) int64 {
	if value <= 0 {
		return 0
	}
	return kernel.ToMicro(float64(value) / float64(value+limit))
}

// watchQuality predicts spoilage.
func (s *Scorer) watchQuality(d *device, at int64) {
	if d.growth == nil && d.degradation == nil {
		return
	}
	probability := d.spoiledWithin(SpoilageHorizonHours)
	if probability < SpoilageProbability {
		d.rest(SpoilagePredicted)
		return
	}
	q := d.quality()
	facts := map[string]int64{
		"probability":   probability,
		"horizonHours":  SpoilageHorizonHours * kernel.Micro,
		"hoursLeft":     q.Life.Median,
		"hoursLeftLow":  q.Life.Low,
		"hoursLeftHigh": q.Life.High,
		"hoursLeftNow":  q.LifeNow.Median,
		"temperature":   d.Temperature,
		"gapMinutes":    d.LongestGap * kernel.Micro / minute,
	}
	if d.growth != nil {
		facts["count"], facts["countLow"], facts["countHigh"] = q.Count.Median, q.Count.Low, q.Count.High
	} else {
		facts["lifeUsed"], facts["lifeUsedLow"], facts["lifeUsedHigh"] = q.Count.Median, q.Count.Low, q.Count.High
	}
	if q.HasMeanKinetic {
		facts["meanKineticTemperature"] = q.MeanKinetic
	}
	d.hold(SpoilagePredicted, at, at, probability, facts)
}

func (d *device) spoiledWithin(hours float64) int64 {
	if d.growth != nil {
		return d.growth.SpoiledWithin(hours)
	}
	return d.degradation.SpoiledWithin(hours)
}

func (d *device) quality() (q Quality) {
	switch {
	case d.growth != nil:
		q.Count, q.Life = d.growth.PlateCount(0.9), d.growth.Remaining(LifeInterval)
		q.LifeNow, q.Spoiled = d.growth.RemainingAt(d.Temperature, LifeInterval), d.growth.SpoiledWithin(SpoilageHorizonHours)
	case d.degradation != nil:
		q.Count, q.Life = d.degradation.Used(0.9), d.degradation.Remaining(LifeInterval)
		q.LifeNow, q.Spoiled = d.degradation.RemainingAt(d.Temperature, LifeInterval), d.degradation.SpoiledWithin(SpoilageHorizonHours)
		q.MeanKinetic, q.HasMeanKinetic = d.degradation.MeanKinetic()
	}
	return q
}

// watchHabit scores the last hour. Two judgements in a row must cross the threshold, as they had to in calibration.
func (s *Scorer) watchHabit(d *device, at int64) {
	both := d.Habit.Judge(s.model, &s.scratch)
	if both <= s.model.Threshold() {
		d.rest(Anomaly)
		return
	}
	low, high := d.Temperature, d.Temperature
	for _, v := range d.Habit.Minutes {
		low, high = min(low, v), max(high, v)
	}
	d.hold(Anomaly, at-autoencoder.Window*minute, at, share(both, s.model.Threshold()), map[string]int64{
		"error":       both,
		"threshold":   s.model.Threshold(),
		"falseAlarms": s.model.FalseAlarms(),
		"baseline":    int64(d.Habit.Baseline),
		"lowest":      low,
		"highest":     high,
		"temperature": d.Temperature,
	})
}
