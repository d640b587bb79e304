// Package nab runs a detector over the Numenta Anomaly Benchmark and scores it as NAB does.
//
// The scorer is NAB's own (Lavin & Ahmad 2015; nab/sweeper.py): a leading probation of 15 % of a file (at most 750 rows)
// is not scored; in a labelled window only the earliest marked row counts, by a sigmoid that falls from the window's
// left edge to its right; each marked row outside costs, little right after a window and fully far from one. One
// threshold for the whole corpus is chosen from the labels for each profile, and the total is normalised so that marking
// nothing is 0 and a perfect detector 100. It reproduces the published rows of the HTM detector (see the tests).
//
// A detector gets one row at a time and nothing else: neither the length of the file nor the range of its values, which
// NAB's own harness would give it. It may import analytics/detect.
package nab

import (
	"context"
	"fmt"
	"math"
	"path"
	"time"

	"github.com/trailmark/trailmark/analytics/detect"
)

// Detector scores one series, row by row; higher is more anomalous. A value may be NaN.
type Detector interface {
	Push(t time.Time, value float64) float64
}

// Options of a run.
type Options struct {
	// New makes a fresh detector for each series; nil takes analytics/detect.
	New func() Detector
}

// Result of a run: normalised scores, and what each file contributed under the standard profile.
type Result struct {
	Standard, RewardLowFP, RewardLowFN float64
	Threshold                          float64 // of the standard profile
	Windows                            int
	Files                              []FileScore
	Categories                         []Category
	Unlabelled                         []string // data files the labels do not name: not scored
}

// Category sums the files of one directory, at the corpus' threshold.
type Category struct {
	Name     string
	Standard float64 // normalised over the category's windows; NaN where it has none
	Windows  int
	Found    int
	FP       int
}

// Run scores the corpus below dir, a checkout of NAB or a part of it: data/**/*.csv and labels/combined_windows.json.
func Run(ctx context.Context, dir string, opts Options) (Result, error) {
	series, unlabelled, err := Load(dir)
	if err != nil {
		return Result{}, fmt.Errorf("loading corpus: %w", err)
	}
	if opts.New == nil {
		opts.New = func() Detector { return &univariate{detect.New(detect.Config{Channels: 1})} }
	}
	scores := make([][]float64, len(series))
	for i := range series {
		if scores[i], err = scan(ctx, &series[i], opts.New()); err != nil {
			return Result{}, fmt.Errorf("scanning %s: %w", series[i].Name, err)
		}
	}
	r := evaluate(series, scores)
	r.Unlabelled = unlabelled
	return r, nil
}

// univariate adapts the service's detector.
type univariate struct{ *detect.Detector }

func (u *univariate) Push(t time.Time, value float64) float64 {
	return u.Detector.Push(t, []float64{value}).Value
}

// scan runs a detector over a series. A score that is not a number counts as no suspicion at all.
func scan(ctx context.Context, s *Series, d Detector) ([]float64, error) {
	out := make([]float64, len(s.Times))
	for i, t := range s.Times {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if out[i] = d.Push(t, s.Values[i]); math.IsNaN(out[i]) {
			out[i] = math.Inf(-1)
		}
	}
	return out, nil
}

func evaluate(series []Series, scores [][]float64) Result {
	var r Result
	for _, p := range []struct {
		Profile
		into *float64
	}{{Standard, &r.Standard}, {RewardLowFP, &r.RewardLowFP}, {RewardLowFN, &r.RewardLowFN}} {
		threshold := optimise(series, scores, p.Profile)
		total, windows := 0.0, 0
		for i := range series {
			f := scoreFile(&series[i], scores[i], threshold, p.Profile)
			total += f.Score
			windows += f.Windows
			if p.Name == Standard.Name {
				r.Files = append(r.Files, f)
			}
		}
		*p.into = normalise(total, windows, p.Profile)
		if p.Name == Standard.Name {
			r.Threshold, r.Windows = threshold, windows
		}
	}
	r.Categories = categories(r.Files)
	return r
}

func categories(files []FileScore) []Category {
	var list []Category
	total := 0.0
	for i, f := range files {
		name := path.Dir(f.Name)
		if len(list) == 0 || list[len(list)-1].Name != name {
			list = append(list, Category{Name: name})
			total = 0
		}
		c := &list[len(list)-1]
		c.Windows += f.Windows
		c.Found += f.Found
		c.FP += f.FP
		total += f.Score
		if i+1 == len(files) || path.Dir(files[i+1].Name) != name {
			c.Standard = math.NaN()
			if c.Windows > 0 {
				c.Standard = normalise(total, c.Windows, Standard)
			}
		}
	}
	return list
}
