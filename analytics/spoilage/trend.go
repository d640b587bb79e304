package spoilage

import (
	"math"
	"slices"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// The forecast of an excursion. A compressor's cycle rises as steeply as a failing one does, for a while; what tells them
// apart is that a failing one goes on past the sensor's usual extremes.
const (
	trendMinutes  = 20 // a straight line through these
	trendSmooth   = 5  // the level now is the mean of these
	trendHours    = 12 // usual extremes: of this many past hours …
	trendLeast    = 2  // … and at least this many
	trendMargin   = 300_000
	trendConfirms = 15 // minutes in a row
)

// trendState remembers each past hour's extremes of the smoothed temperature.
type trendState struct {
	Hour      int64
	Lows      []int64 // of past whole hours, oldest first
	Highs     []int64
	Low, High int64 // of the hour that runs
	Confirmed int
}

func (t *trendState) note(at, level int64) {
	switch h := at / hour; {
	case t.Hour == 0:
		t.Hour, t.Low, t.High = h, level, level
	case h == t.Hour:
		t.Low, t.High = min(t.Low, level), max(t.High, level)
	default:
		t.Lows, t.Highs = append(t.Lows, t.Low), append(t.Highs, t.High)
		if len(t.Lows) > trendHours {
			t.Lows, t.Highs = append(t.Lows[:0], t.Lows[1:]...), append(t.Highs[:0], t.Highs[1:]...)
		}
		t.Hour, t.Low, t.High = h, level, level
	}
}

// usual returns the extremes of an ordinary hour: the quartiles of past hours' extremes, so that a stop with open doors does
// not widen what is usual for half a day.
func (t *trendState) usual() (low, high int64, ok bool) {
	n := len(t.Lows)
	if n < trendLeast {
		return 0, 0, false
	}
	lows, highs := slices.Sorted(slices.Values(t.Lows)), slices.Sorted(slices.Values(t.Highs))
	return lows[n/4], highs[n-1-n/4], true
}

func (s *Scorer) watchTrend(d *device, at int64) {
	minutes := d.Habit.Minutes
	if len(minutes) < trendMinutes {
		return
	}
	sum := int64(0)
	for _, v := range minutes[len(minutes)-trendSmooth:] {
		sum += v
	}
	level := sum / trendSmooth
	low, high, known := d.Trend.usual()
	d.Trend.note(at, level)
	slope, spread := line(minutes[len(minutes)-trendMinutes:])
	inBand := s.outBy(d.Temperature) == 0
	var room float64 // °C to the edge of the band ahead
	switch {
	case known && inBand && slope > 0 && level > high+trendMargin:
		room = kernel.FromMicro(s.profile.Band.High - level)
	case known && inBand && slope < 0 && level < low-trendMargin:
		room = kernel.FromMicro(level - s.profile.Band.Low)
	default:
		d.Trend.Confirmed = 0
		d.rest(ExcursionForecast)
		return
	}
	ahead := float64(math.Abs(slope) * ForecastMinutes)
	probability := kernel.ToMicro(kernel.NormalCDF((ahead - room) / float64(ForecastMinutes*math.Max(spread, 0.001))))
	if probability < kernel.Micro/2 {
		d.Trend.Confirmed = 0
		d.rest(ExcursionForecast)
		return
	}
	d.Trend.Confirmed++
	if d.Trend.Confirmed < trendConfirms {
		return
	}
	d.hold(ExcursionForecast, at, at, probability, map[string]int64{
		"minutesLeft":    kernel.ToMicro(math.Max(0, room) / math.Abs(slope)),
		"degreesPerHour": kernel.ToMicro(float64(slope * 60)),
		"usualLow":       low,
		"usualHigh":      high,
		"temperature":    d.Temperature,
		"probability":    probability,
	})
}

// line fits a straight line through one value a minute and returns its slope and the slope's standard error, in °C a minute.
func line(values []int64) (slope, standardError float64) {
	n := float64(len(values))
	mean := 0.0
	for _, v := range values {
		mean += kernel.FromMicro(v)
	}
	mean /= n
	covariance, spread := 0.0, 0.0
	for i, v := range values {
		x := float64(i) - float64(0.5*(n-1))
		covariance += float64(x * (kernel.FromMicro(v) - mean))
		spread += float64(x * x)
	}
	slope = covariance / spread
	residual := 0.0
	for i, v := range values {
		x := float64(i) - float64(0.5*(n-1))
		r := kernel.FromMicro(v) - mean - float64(slope*x)
		residual += float64(r * r)
	}
	return slope, math.Sqrt(residual / (n - 2) / spread)
}
