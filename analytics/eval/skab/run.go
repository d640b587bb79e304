// Package skab runs a detector over the Skoltech Anomaly Benchmark and scores it as its leaderboard does.
//
// The protocol is that of the leaderboard in SKAB's README since its notebooks split every experiment into training and
// test (load_preprocess_skab there): a model is fitted to the first 400 rows of a file and predicts the rest, and F1,
// false-alarm rate and missed-alarm rate are taken point by point over the test rows of all files together: the first
// 400 rows, which are normal, are not scored, and anomaly-free is not part of it. (The published rows this is compared
// with, Conv-AE 0.78 / 13.55 % / 28.02 % and T²+Q 0.76 / 26.62 % / 24.92 %, are of that table; over whole files, as the
// older table had it, the same alarms give a lower false-alarm rate.) Nothing is ever point-adjusted: an anomaly of which
// one point is found counts one point.
//
// The package may import analytics/detect.
package skab

import (
	"context"
	"fmt"

	"github.com/trailmark/trailmark/analytics/detect"
)

// trainRows is how much of each file the protocol gives to learn from.
const trainRows = 400

// Detector is a fitted model that says of each row in turn whether it is anomalous.
type Detector interface {
	Push(values []float64) (detect.Score, error)
}

// Options of a run.
type Options struct {
	// Fit makes a detector from the normal head of a file; nil takes detect.FitMonitor.
	Fit func(head [][]float64) (Detector, error)
}

// Baseline fits the chart that a detector must beat: PCA with T² and Q.
func Baseline(head [][]float64) (Detector, error) { return detect.FitPCA(head, 1e-3) }

func monitor(head [][]float64) (Detector, error) {
	return detect.FitMonitor(head, detect.MonitorConfig{})
}

// Result of a run; rates are shares, not percent.
type Result struct {
	Counts
	Files []FileResult
}

// FileResult is what one experiment contributes.
type FileResult struct {
	Name string
	Counts
}

// Counts of test rows.
type Counts struct{ TP, FP, FN, TN int }

// F1 is the harmonic mean of precision and recall; 0 where there is nothing to find or nothing found.
func (c Counts) F1() float64 { return share(2*c.TP, 2*c.TP+c.FP+c.FN) }

// FAR is the share of normal rows marked.
func (c Counts) FAR() float64 { return share(c.FP, c.FP+c.TN) }

// MAR is the share of anomalous rows not marked.
func (c Counts) MAR() float64 { return share(c.FN, c.FN+c.TP) }

func share(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func (c *Counts) add(predicted, labelled bool) {
	switch {
	case predicted && labelled:
		c.TP++
	case predicted:
		c.FP++
	case labelled:
		c.FN++
	default:
		c.TN++
	}
}

// Run scores the experiments below dir, a checkout of SKAB or a part of it: data/{valve1,valve2,other}/*.csv.
func Run(ctx context.Context, dir string, opts Options) (Result, error) {
	list, err := Load(dir)
	if err != nil {
		return Result{}, fmt.Errorf("loading benchmark: %w", err)
	}
	if opts.Fit == nil {
		opts.Fit = monitor
	}
	var r Result
	for i := range list {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		f, err := score(&list[i], opts.Fit)
		if err != nil {
			return Result{}, fmt.Errorf("scoring %s: %w", list[i].Name, err)
		}
		r.Files = append(r.Files, f)
		r.TP, r.FP, r.FN, r.TN = r.TP+f.TP, r.FP+f.FP, r.FN+f.FN, r.TN+f.TN
	}
	return r, nil
}

func score(s *Series, fit func([][]float64) (Detector, error)) (FileResult, error) {
	f := FileResult{Name: s.Name}
	if len(s.Rows) <= trainRows {
		return f, fmt.Errorf("%d rows, none behind the %d to learn from", len(s.Rows), trainRows)
	}
	d, err := fit(s.Rows[:trainRows])
	if err != nil {
		return f, err
	}
	for i := trainRows; i < len(s.Rows); i++ {
		p, err := d.Push(s.Rows[i])
		if err != nil {
			return f, fmt.Errorf("row %d: %w", i+1, err)
		}
		f.add(p.Alarm, s.Anomaly[i])
	}
	return f, nil
}
