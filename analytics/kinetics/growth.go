package kinetics

import (
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// ratkowskyUpper is c of Ratkowsky's extended law, √μ = b(T−Tmin)(1−exp(c(T−Tmax))): 0.3 per degree is typical of mesophiles
// and psychrotrophs (Ratkowsky et al. 1983) and matters only within ten degrees of Tmax.
const ratkowskyUpper = 0.3

// paceHours is the memory of the forecast: it assumes that the coming hours look like the last day, so that two warm hours a
// day neither vanish nor are taken for the weather to come.
const paceHours = 24.0

// GrowthState follows one growth through time, member by member.
type GrowthState struct {
	growth  Growth
	initial float64
	members [Members]growthMember
}

type growthMember struct {
	scale, minimum, ceiling, start float64
	work                           float64 // ∫μ dt, ln units
	pace                           float64 // exponentially weighted mean of μ, ln per hour
}

// NewGrowthState starts at an initial count (log10, millionths) and, for the forecast, at the storage temperature.
func NewGrowthState(g Growth, initial, storage int64) *GrowthState {
	s := &GrowthState{growth: g, initial: kernel.FromMicro(initial)}
	reference := kernel.FromMicro(g.ReferenceTemperature)
	rate := kernel.FromMicro(g.ReferenceRate)
	for k := range s.members {
		z, m := memberDeviates[k], &s.members[k]
		m.minimum = kernel.FromMicro(g.MinimumTemperature) + float64(z[1]*kernel.FromMicro(g.MinimumSpread))
		span := reference - m.minimum
		mu := float64(rate * kernel.Exp(float64(z[0]*kernel.FromMicro(g.RateSpread))))
		m.scale = mu / float64(float64(span*span)*upperFactor(g, reference))
		m.ceiling = kernel.FromMicro(g.MaximumCount) + float64(z[2]*kernel.FromMicro(g.MaximumSpread))
		m.start = s.initial + float64(z[3]*kernel.FromMicro(g.InitialSpread))
		m.ceiling = math.Max(m.ceiling, m.start+0.01)
		m.pace = m.rate(kernel.FromMicro(storage), upperFactor(g, kernel.FromMicro(storage)))
	}
	return s
}

func upperFactor(g Growth, celsius float64) float64 {
	top := kernel.FromMicro(g.MaximumTemperature)
	if celsius >= top {
		return 0
	}
	f := 1 - kernel.Exp(float64(ratkowskyUpper*(celsius-top)))
	return float64(f * f)
}

func (m *growthMember) rate(celsius, upper float64) float64 {
	d := celsius - m.minimum
	if d <= 0 {
		return 0
	}
	return float64(float64(m.scale*float64(d*d)) * upper)
}

// Advance lets hours pass at a temperature (millionths of a degree). Hours below zero are ignored.
func (s *GrowthState) Advance(temperature int64, hours float64) {
	if hours <= 0 {
		return
	}
	celsius := kernel.FromMicro(temperature)
	upper := upperFactor(s.growth, celsius)
	weight := 1 - kernel.Exp(-hours/paceHours)
	for k := range s.members {
		m := &s.members[k]
		mu := m.rate(celsius, upper)
		m.work += float64(mu * hours)
		m.pace += float64(weight * (mu - m.pace))
	}
}

// count returns the member's log10 count after the given work: Baranyi's adjustment, then the logistic ceiling.
func (s *GrowthState) count(m *growthMember, work float64) float64 {
	adjusted := s.adjust(work)
	room := float64((m.ceiling - m.start) * kernel.Ln10)
	brake := 0.0
	if adjusted > 0 {
		// ln(1 + (e^A − 1)/e^room), written so that e^A never overflows.
		brake = softplus(adjusted-room) - softplus(-room)
		if adjusted < 700 && room < 700 {
			brake = kernel.Log(1 + (kernel.Exp(adjusted)-1)/kernel.Exp(room))
		}
	}
	return m.start + float64((adjusted-brake)/kernel.Ln10)
}

// adjust is Baranyi's A(t) = M + ln(e^−M + e^−h0 − e^(−M−h0)).
func (s *GrowthState) adjust(work float64) float64 {
	h0 := kernel.FromMicro(s.growth.LagWork)
	if h0 == 0 {
		return work
	}
	return work + kernel.Log(kernel.Exp(-work)+kernel.Exp(-h0)-kernel.Exp(-work-h0))
}

// workFor is the work after which a member reaches a count, or +Inf where its ceiling lies below.
func (s *GrowthState) workFor(m *growthMember, count float64) float64 {
	if count <= m.start {
		return 0
	}
	if count >= m.ceiling {
		return math.Inf(1)
	}
	rise := float64((count - m.start) * kernel.Ln10)
	room := float64((m.ceiling - m.start) * kernel.Ln10)
	adjusted := rise + kernel.Log(1-kernel.Exp(-room)) - kernel.Log(1-kernel.Exp(rise-room))
	h0 := kernel.FromMicro(s.growth.LagWork)
	if h0 == 0 {
		return adjusted
	}
	return kernel.Log(kernel.Exp(adjusted)-1+kernel.Exp(-h0)) + h0
}

func softplus(x float64) float64 {
	if x > 0 {
		return x + kernel.Log(1+kernel.Exp(-x))
	}
	return kernel.Log(1 + kernel.Exp(x))
}

// minimumBlur keeps the mixture smooth where a profile states no spread at all.
const minimumBlur = 0.02

func (s *GrowthState) mixtureAfter(hours, blur float64) *mixture {
	m := &mixture{spread: math.Max(blur, minimumBlur)}
	for k := range s.members {
		member := &s.members[k]
		m.centres[k] = s.count(member, member.work+float64(member.pace*hours))
	}
	return m
}

// Count is a prediction of a log10 count, in millionths.
type Count struct{ Low, Median, High, Mean int64 }

// PlateCount predicts what a plate count taken now would read: the central interval of the stated probability includes the
// measurement, and no count can be read below the detection limit.
func (s *GrowthState) PlateCount(probability float64) Count {
	m := s.mixtureAfter(0, kernel.FromMicro(s.growth.MeasurementSpread))
	tail := float64(0.5 * (1 - probability))
	c := Count{
		Low: kernel.ToMicro(m.quantile(tail)), Median: kernel.ToMicro(m.quantile(0.5)),
		High: kernel.ToMicro(m.quantile(1 - tail)), Mean: kernel.ToMicro(m.mean()),
	}
	limit := s.growth.DetectionLimit
	c.Low, c.Median, c.High, c.Mean = max(c.Low, limit), max(c.Median, limit), max(c.High, limit), max(c.Mean, limit)
	return c
}

// SpoiledWithin is the probability (millionths) that the true count reaches the spoilage limit within the hours ahead, at
// the pace of the last day.
func (s *GrowthState) SpoiledWithin(hours float64) int64 {
	return kernel.ToMicro(s.mixtureAfter(hours, minimumBlur).above(kernel.FromMicro(s.growth.SpoiledAt)))
}

// Life is remaining life in hours (millionths); MaxLifeHours stands for that or longer.
type Life struct{ Low, Median, High int64 }

// MaxLifeHours bounds every remaining life.
const MaxLifeHours = 8760

// Remaining predicts the hours until spoilage with the central interval of the stated probability, at the pace of the last
// day.
func (s *GrowthState) Remaining(probability float64) Life {
	return s.remaining(probability, func(m *growthMember) float64 { return m.pace })
}

// RemainingAt is Remaining at a constant temperature from now on.
func (s *GrowthState) RemainingAt(temperature int64, probability float64) Life {
	celsius := kernel.FromMicro(temperature)
	upper := upperFactor(s.growth, celsius)
	return s.remaining(probability, func(m *growthMember) float64 { return m.rate(celsius, upper) })
}

func (s *GrowthState) remaining(probability float64, pace func(*growthMember) float64) Life {
	var hours [Members]float64
	for k := range s.members {
		m := &s.members[k]
		hours[k] = hoursFor(s.workFor(m, kernel.FromMicro(s.growth.SpoiledAt))-m.work, pace(m))
	}
	return lifeOf(hours, probability)
}

func hoursFor(work, pace float64) float64 {
	switch {
	case work <= 0:
		return 0
	case pace <= 0 || work/pace > MaxLifeHours:
		return MaxLifeHours
	}
	return work / pace
}
