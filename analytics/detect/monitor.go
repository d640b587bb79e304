package detect

import (
	"errors"
	"fmt"
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// MonitorConfig sets a Monitor; the zero value of a field takes its default.
type MonitorConfig struct {
	// Window is the number of points a mean is taken over (default 12, 2 to 1000).
	Window int
	// FalseAlarms is the rate of points that may lie beyond the threshold while the process is as it was (default 1e-4).
	FalseAlarms float64
}

// Monitor watches a process of several sensors against a stretch of it known to be normal.
//
// Of every sensor it takes the mean over the last window, in units of how such means spread in the normal stretch. A
// sensor that wanders there, so that means ten windows apart differ far more than neighbours (a variance ratio above 2,
// as of a tank that warms up), says little about the process and loses weight by the square of the ratio; what stands
// still keeps its full weight. The statistic is the fourth-power mean of the weighted deviations, so one sensor far off
// or several a little both show.
//
// The threshold comes from the normal stretch alone: models fitted to its first half, five eighths, three quarters and
// seven eighths are scored on the rest, as it will be on what comes after, and a generalised Pareto tail of those
// statistics is read at the configured rate of false alarms. The reference stays what it was fitted to: a process that
// is meant to drift is a Detector's business.
type Monitor struct {
	window    int
	threshold float64
	surprises tail
	centre    []float64
	spread    []float64
	weight    []float64
	recent    [][]float64 // the last points, newest last
	on        bool
}

const (
	defaultWindow  = 12
	maxWindow      = 1000
	defaultBeyond  = 1e-4
	windowsLeast   = 12 // of normal stretch
	maxSensors     = 1024
	leastThreshold = 5.0 // spreads: a calibration of a few independent windows is not believed below that
	beyondMost     = 1.5 // of the largest statistic in the calibration: the highest threshold
	release        = 0.7 // of the threshold, where an alarm ends
	wanders        = 2.0 // variance ratio from which a sensor loses weight
	deviationMost  = 1e4
)

// FitMonitor learns from a normal stretch of at least twelve windows, one row a point, NaN where a value is missing.
func FitMonitor(rows [][]float64, config MonitorConfig) (*Monitor, error) {
	if config.Window == 0 {
		config.Window = defaultWindow
	}
	if config.FalseAlarms == 0 {
		config.FalseAlarms = defaultBeyond
	}
	if config.Window < 2 || config.Window > maxWindow {
		return nil, fmt.Errorf("fitting monitor: window of %d points, not 2 to %d", config.Window, maxWindow)
	}
	if !between(config.FalseAlarms, 1e-9, 0.02) {
		return nil, fmt.Errorf("fitting monitor: false-alarm rate %v, not between 1e-9 and 0.02", config.FalseAlarms)
	}
	if err := checkRows(rows, windowsLeast*config.Window); err != nil {
		return nil, fmt.Errorf("fitting monitor: %w", err)
	}
	means := windowMeans(rows, config.Window)
	m := &Monitor{window: config.Window, surprises: tail{limit: 4 * len(rows)}}
	for _, eighths := range []int{4, 5, 6, 7} {
		until := len(means) * eighths / 8
		m.fit(means[:until], means)
		for _, x := range means[until:] {
			s, _ := m.statistic(x)
			m.surprises.add(s)
		}
	}
	m.fit(means, means)
	// No further than half beyond what was seen: a start-up in the stretch must not blind the monitor.
	level := min(m.surprises.level(-kernel.Log10(config.FalseAlarms)), float64(beyondMost*m.surprises.sorted[len(m.surprises.sorted)-1]))
	m.threshold = max(leastThreshold, level)
	keep := min(len(rows), config.Window)
	for _, r := range rows[len(rows)-keep:] {
		m.recent = append(m.recent, append([]float64(nil), r...))
	}
	return m, nil
}

// checkRows refuses a stretch that cannot be learnt from.
func checkRows(rows [][]float64, atLeast int) error {
	if len(rows) < atLeast {
		return fmt.Errorf("%d rows, fewer than %d", len(rows), atLeast)
	}
	width := len(rows[0])
	if width == 0 || width > maxSensors {
		return fmt.Errorf("%d sensors, not 1 to %d", width, maxSensors)
	}
	for i, r := range rows {
		if len(r) != width {
			return fmt.Errorf("row %d has %d values, not %d", i, len(r), width)
		}
	}
	return nil
}

func missing(x float64) bool { return math.IsNaN(x) || math.Abs(x) > largest }

// windowMean of each sensor; NaN where it has no value in the window.
func windowMean(rows [][]float64, width int) []float64 {
	mean := make([]float64, width)
	for c := range mean {
		sum, n := 0.0, 0
		for _, r := range rows {
			if !missing(r[c]) {
				sum += r[c]
				n++
			}
		}
		mean[c] = sum / float64(n) // 0/0 is the NaN that is wanted
	}
	return mean
}

func windowMeans(rows [][]float64, window int) [][]float64 {
	var means [][]float64
	for i := window; i <= len(rows); i++ {
		means = append(means, windowMean(rows[i-window:i], len(rows[0])))
	}
	return means
}

// fit sets centre and spread from means, and the weights from all, which says most about how a sensor wanders.
func (m *Monitor) fit(means, all [][]float64) {
	width := len(means[0])
	m.centre, m.spread, m.weight = make([]float64, width), make([]float64, width), make([]float64, width)
	for c := range width {
		n, sum, squares := 0.0, 0.0, 0.0
		for _, x := range means {
			if !math.IsNaN(x[c]) {
				sum += x[c]
				n++
			}
		}
		if n < 2 {
			continue // never seen: no weight
		}
		mean := sum / n
		for _, x := range means {
			if !math.IsNaN(x[c]) {
				d := x[c] - mean
				squares += float64(d * d)
			}
		}
		m.centre[c] = mean
		// A sensor that stood perfectly still has the spread of its own resolution, which we do not know: take little.
		m.spread[c] = max(math.Sqrt(squares/n), float64(1e-6*math.Abs(mean)), 1e-12)
		m.weight[c] = 1
		if ratio := varianceRatio(all, c, m.window); ratio > wanders {
			q := wanders / ratio
			m.weight[c] = float64(q * q)
		}
	}
}

// varianceRatio compares how far means five and ten windows apart differ with how far neighbours do: about 1 for what
// stands, growing with the distance for what wanders.
func varianceRatio(means [][]float64, c, window int) float64 {
	apart := func(lag int) float64 {
		sum, n := 0.0, 0
		for i := lag; i < len(means); i++ {
			if d := means[i][c] - means[i-lag][c]; !math.IsNaN(d) {
				sum += float64(d * d)
				n++
			}
		}
		if n == 0 {
			return 0
		}
		return sum / float64(n)
	}
	near := apart(window)
	if near == 0 {
		return 1
	}
	return max(apart(5*window), apart(10*window)) / near
}

// statistic of a window's means, and the sensor that deviates most.
func (m *Monitor) statistic(mean []float64) (float64, int) {
	sum, top, worst := 0.0, 0.0, 0
	for c, x := range mean {
		if math.IsNaN(x) || m.weight[c] == 0 {
			continue
		}
		z := min(float64(math.Abs(x-m.centre[c])/m.spread[c]*m.weight[c]), deviationMost)
		if z > top {
			top, worst = z, c
		}
		sq := float64(z * z)
		sum += float64(sq * sq)
	}
	return math.Sqrt(math.Sqrt(sum)), worst
}

// ErrWidth says that a point has another number of values than the stretch the model was fitted to.
var ErrWidth = errors.New("detect: point has another number of sensors than the model")

// Push scores the next point. Value is the statistic over the threshold, Novelty the statistic itself, Surprise how rare
// it was in the calibration. Alarm stands from the first point beyond the threshold until the statistic has fallen to
// seven tenths of it: a state, not the beginning of an event as a Detector's.
func (m *Monitor) Push(values []float64) (Score, error) {
	if len(values) != len(m.centre) {
		return Score{}, ErrWidth
	}
	if len(m.recent) == m.window {
		copy(m.recent, m.recent[1:])
		m.recent = m.recent[:m.window-1]
	}
	m.recent = append(m.recent, append([]float64(nil), values...))
	mean := windowMean(m.recent, len(values))
	var s Score
	s.Novelty, s.Channel = m.statistic(mean)
	s.Value = s.Novelty / m.threshold
	s.Surprise = m.surprises.surprise(s.Novelty)
	m.on = s.Value > 1 || m.on && s.Value > release
	s.Alarm = m.on
	return s, nil
}
