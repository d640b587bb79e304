package kinetics

import (
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

const (
	gasConstant = 8.3144 // J/(mol·K), as USP states it
	kelvin      = 273.15
)

// DegradationState follows the life used up by goods that lose potency by a first-order reaction.
type DegradationState struct {
	degradation Degradation
	members     [Members]degradationMember
	kinetic     *MeanKinetic
}

type degradationMember struct {
	energy, perHour float64
	used, pace      float64
}

// NewDegradationState starts unused and, for the forecast, at the storage temperature.
func NewDegradationState(d Degradation, storage int64) *DegradationState {
	s := &DegradationState{degradation: d, kinetic: NewMeanKinetic(d.ActivationEnergy, d.MeanKineticWindowHours)}
	for k := range s.members {
		z, m := memberDeviates[k], &s.members[k]
		m.energy = float64(d.ActivationEnergy) + float64(z[1]*float64(d.EnergySpread))
		m.perHour = kernel.Exp(float64(z[0]*kernel.FromMicro(d.RateSpread))) / float64(d.LifeHours)
		m.pace = s.rate(m, kernel.FromMicro(storage))
	}
	return s
}

// rate is the fraction of life used per hour at a temperature, by Arrhenius from the reference.
func (s *DegradationState) rate(m *degradationMember, celsius float64) float64 {
	reference := 1 / (kernel.FromMicro(s.degradation.ReferenceTemperature) + kelvin)
	here := 1 / math.Max(celsius+kelvin, 1)
	return float64(m.perHour * kernel.Exp(float64(m.energy/gasConstant*(reference-here))))
}

// Advance lets hours pass at a temperature (millionths of a degree). Hours below zero are ignored.
func (s *DegradationState) Advance(temperature int64, hours float64) {
	if hours <= 0 {
		return
	}
	celsius := kernel.FromMicro(temperature)
	weight := 1 - kernel.Exp(-hours/paceHours)
	for k := range s.members {
		m := &s.members[k]
		r := s.rate(m, celsius)
		m.used += float64(r * hours)
		m.pace += float64(weight * (r - m.pace))
	}
	s.kinetic.Advance(temperature, hours)
}

// Used is the fraction of life used up, in millionths.
func (s *DegradationState) Used(probability float64) Count {
	m := &mixture{spread: 1e-4}
	for k := range s.members {
		m.centres[k] = s.members[k].used
	}
	tail := float64(0.5 * (1 - probability))
	return Count{
		Low: max(0, kernel.ToMicro(m.quantile(tail))), Median: max(0, kernel.ToMicro(m.quantile(0.5))),
		High: max(0, kernel.ToMicro(m.quantile(1-tail))), Mean: kernel.ToMicro(m.mean()),
	}
}

// SpoiledWithin is the probability (millionths) that life is used up within the hours ahead, at the pace of the last day.
func (s *DegradationState) SpoiledWithin(hours float64) int64 {
	m := &mixture{spread: 0.01}
	for k := range s.members {
		m.centres[k] = s.members[k].used + float64(s.members[k].pace*hours)
	}
	return kernel.ToMicro(m.above(1))
}

// Remaining predicts the hours of life left at the pace of the last day.
func (s *DegradationState) Remaining(probability float64) Life {
	var hours [Members]float64
	for k := range s.members {
		hours[k] = hoursFor(1-s.members[k].used, s.members[k].pace)
	}
	return lifeOf(hours, probability)
}

// RemainingAt is Remaining at a constant temperature from now on.
func (s *DegradationState) RemainingAt(temperature int64, probability float64) Life {
	var hours [Members]float64
	for k := range s.members {
		m := &s.members[k]
		hours[k] = hoursFor(1-m.used, s.rate(m, kernel.FromMicro(temperature)))
	}
	return lifeOf(hours, probability)
}

// MeanKinetic is the mean kinetic temperature of the trailing window.
func (s *DegradationState) MeanKinetic() (temperature int64, ok bool) { return s.kinetic.Temperature() }
