package autoencoder

import "github.com/trailmark/trailmark/analytics/kernel"

const (
	// Stride is how many minutes lie between two judgements of one sensor. The false-alarm rate is calibrated for it.
	Stride = 10
	// baselineMinutes is the memory of a sensor's own baseline: half a day.
	baselineMinutes = 720.0
)

// Habit is what is remembered of one sensor: its last hour minute by minute, and the slow baseline the hour is compared with.
// Fields are exported for snapshots only. The zero Habit is ready for use.
type Habit struct {
	Minutes  []int64 // millionths of a degree, oldest first, at most Window
	Minute   int64   // of the last element, counted from the epoch
	Baseline float64 // millionths of a degree, an exponentially weighted mean
	Started  bool    // whether Baseline holds a value
	Previous int64   // the error of the judgement before
}

// Take adds a reading, in the minute it was acquired. Readings may be irregular: of several in a minute the last counts, a
// gap is bridged by a straight line, and afresh, for a gap too long to bridge, starts a new hour. Take reports whether a
// whole hour is there.
func (h *Habit) Take(minute, temperature int64, afresh bool) bool {
	switch {
	case len(h.Minutes) == 0 || afresh:
		h.Minutes, h.Previous = append(h.Minutes[:0], temperature), 0
	case minute <= h.Minute:
		h.Minutes[len(h.Minutes)-1] = temperature
	default:
		from, steps := h.Minutes[len(h.Minutes)-1], minute-h.Minute
		for k := int64(1); k <= steps; k++ {
			h.push(from + (temperature-from)*k/steps)
		}
	}
	h.Minute = minute
	return len(h.Minutes) == Window
}

func (h *Habit) push(value int64) {
	if len(h.Minutes) == Window {
		copy(h.Minutes, h.Minutes[1:])
		h.Minutes[Window-1] = value
	} else {
		h.Minutes = append(h.Minutes, value)
	}
	switch {
	case h.Started:
		h.Baseline += (float64(value) - h.Baseline) / baselineMinutes
	case len(h.Minutes) == Window:
		sum := int64(0)
		for _, v := range h.Minutes {
			sum += v
		}
		h.Baseline, h.Started = float64(sum/Window), true
	}
}

// Features returns the model's view of the last hour, which must be whole.
func (h *Habit) Features() *[Features]float32 {
	var window [Window]int64
	copy(window[:], h.Minutes)
	return Extract(&window, int64(h.Baseline))
}

// Judge scores the last hour, which must be whole, and returns the lesser error of this judgement and the one before: what
// is strange must be strange twice.
func (h *Habit) Judge(m *Model, scratch *kernel.Scratch) int64 {
	score := m.Score(h.Features(), scratch)
	both := min(score, h.Previous)
	h.Previous = score
	return both
}
