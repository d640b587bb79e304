package nab

import (
	"math"
	"sort"
)

// Profile weighs what a detector gets right and wrong.
type Profile struct {
	Name          string
	TruePositive  float64 // for a window found at its very start
	FalsePositive float64 // for each row marked outside every window
	FalseNegative float64 // for a window missed
}

// The three application profiles of NAB (config/profiles.json there).
var (
	Standard    = Profile{"standard", 1, 0.11, 1}
	RewardLowFP = Profile{"rewardLowFP", 1, 0.22, 1}
	RewardLowFN = Profile{"rewardLowFN", 1, 0.11, 2}
)

// probation is the number of leading rows that are not scored: 15 %, at most 15 % of 5 000.
func probation(rows int) int {
	return min(int(math.Floor(0.15*float64(rows))), 750)
}

// scaledSigmoid is NAB's reward: near 1 at position -1 (the left edge of a window), 0 at its right edge, towards -1
// after it, and exactly -1 from three window widths on.
func scaledSigmoid(position float64) float64 {
	if position >= 3 {
		return -1
	}
	return 2/(1+math.Exp(5*position)) - 1
}

// outside marks a row that lies in no window.
const outside = -1

// weights gives for every row what marking it is worth before the profile's weights are applied, and the window it
// lies in (or outside).
func weights(s *Series) (worth []float64, window []int) {
	worth, window = make([]float64, len(s.Times)), make([]int, len(s.Times))
	best := scaledSigmoid(-1)
	next := 0
	for i := range worth {
		for next < len(s.Windows) && i > s.Windows[next].Last {
			next++
		}
		if next < len(s.Windows) && i >= s.Windows[next].First {
			w := s.Windows[next]
			width := float64(w.Last - w.First + 1)
			window[i] = next
			worth[i] = scaledSigmoid(-float64(w.Last-i+1)/width) / best
			continue
		}
		window[i] = outside
		worth[i] = -1
		if next > 0 {
			w := s.Windows[next-1]
			// A window of one row has no width past its end: everything after it is well behind.
			if width := float64(w.Last - w.First); width > 0 {
				worth[i] = scaledSigmoid(float64(i-w.Last) / width)
			}
		}
	}
	return worth, window
}

// Counts are rows, probation left out.
type Counts struct{ TP, TN, FP, FN int }

// FileScore is what one series contributes at a threshold: a row is marked when its score reaches it.
type FileScore struct {
	Name  string
	Score float64
	Counts
	Rows    int
	Windows int // windows that can be found, in part behind the probation
	Found   int
	Marks   []int // rows marked outside windows
	FirstIn []int // for each window the first row marked in it, or -1
}

func scoreFile(s *Series, scores []float64, threshold float64, p Profile) FileScore {
	worth, window := weights(s)
	from := probation(len(s.Times))
	f := FileScore{Name: s.Name, Rows: len(s.Times), FirstIn: make([]int, len(s.Windows))}
	best := make([]float64, len(s.Windows))
	for i := range best {
		best[i], f.FirstIn[i] = math.Inf(-1), -1
	}
	for i := from; i < len(scores); i++ {
		w, marked := window[i], scores[i] >= threshold
		switch {
		case w != outside && marked:
			f.TP++
			if best[w] = max(best[w], worth[i]); f.FirstIn[w] < 0 {
				f.FirstIn[w] = i
			}
		case w != outside:
			f.FN++
		case marked:
			f.FP++
			f.Score += p.FalsePositive * worth[i]
			f.Marks = append(f.Marks, i)
		default:
			f.TN++
		}
	}
	for i, w := range s.Windows {
		if w.Last < from {
			continue
		}
		f.Windows++
		if f.FirstIn[i] < 0 {
			f.Score -= p.FalseNegative
			continue
		}
		f.Found++
		f.Score += p.TruePositive * best[i]
	}
	return f
}

// optimise returns the threshold with the highest total over the corpus, the one thing NAB's protocol chooses from the
// labels. Above every score nothing is marked; that is a candidate too.
func optimise(series []Series, scores [][]float64, p Profile) float64 {
	type row struct {
		score, worth float64
		window       int
	}
	var rows []row
	total, windows := 0.0, 0
	for i := range series {
		s := &series[i]
		worth, window := weights(s)
		from := probation(len(s.Times))
		for j := from; j < len(scores[i]); j++ {
			r := row{scores[i][j], worth[j], outside}
			if window[j] != outside {
				r.window = windows + window[j]
			}
			rows = append(rows, r)
		}
		for _, w := range s.Windows {
			if w.Last >= from {
				total -= p.FalseNegative
			}
		}
		windows += len(s.Windows)
	}
	sort.SliceStable(rows, func(a, b int) bool { return rows[a].score > rows[b].score })
	part := make([]float64, windows)
	found := make([]bool, windows)
	threshold, top := math.Inf(1), total
	for i := 0; i < len(rows); {
		level := rows[i].score
		for ; i < len(rows) && rows[i].score == level; i++ {
			r := rows[i]
			switch {
			case r.window == outside:
				total += p.FalsePositive * r.worth
			case !found[r.window]:
				found[r.window], part[r.window] = true, r.worth
				total += p.FalseNegative + p.TruePositive*r.worth
			case r.worth > part[r.window]:
				total += p.TruePositive * (r.worth - part[r.window])
				part[r.window] = r.worth
			}
		}
		if total > top {
			top, threshold = total, level
		}
	}
	return threshold
}

// normalise maps a raw total so that a detector that marks nothing gets 0 and one that marks every window at its
// start and nothing else gets 100.
func normalise(total float64, windows int, p Profile) float64 {
	null := -p.FalseNegative * float64(windows)
	perfect := p.TruePositive * float64(windows)
	if perfect == null {
		return 0
	}
	return 100 * (total - null) / (perfect - null)
}
