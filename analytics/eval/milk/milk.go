// Package milk evaluates the growth kinetics on measured milk: temperature traces of cartons and the plate counts of
// Pseudomonas in them (Pinto et al., J. Dairy Sci. 107:2733; foodsafetylab/Pinto-2023-Milk).
//
// Protocol, for every SEASON in a folder: count rows whose type begins with "Inoculated" follow SEASON-share-table.csv, those
// that begin with "Refrigerated Control" follow SEASON-refrigerated.csv, not inoculated ones are left out; a type's initial
// count is the mean of its own day 1 Start rows, which are not scored; day d, Start is minute (d-1)·1440 and End 125 minutes
// later. One profile serves all seasons, and a prediction uses the trace up to its minute and the initial count, nothing else.
//
// The package may import analytics/kernel and analytics/kinetics.
package milk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
)

// Options change what is evaluated.
type Options struct {
	// Profile is the growth profile, nil for kinetics.Milk.
	Profile *kinetics.Profile
}

// Score measures predictions against counts, in log10 CFU/mL; an error is prediction less count.
type Score struct {
	RMSE       float64 `json:"rmse"`
	Bias       float64 `json:"bias"`
	Coverage90 float64 `json:"coverage90"` // share of counts inside the 90 % interval
	N          int     `json:"n"`
}

// Result is the score over all seasons, by season, and every point behind it.
type Result struct {
	Score
	Seasons map[string]Score `json:"seasons"`
	// Left names the types of sample whose trace file is absent, "season: type"; their counts are not in the score.
	Left   []string `json:"left,omitempty"`
	Points []Point  `json:"-"`
}

// Point is one count and its prediction.
type Point struct {
	Season, Type string
	Minute       int
	Count        float64
	Predicted    kinetics.Count // millionths
}

const shareTableMinutes = 125

// Run evaluates every season found in dir.
func Run(ctx context.Context, dir string, options Options) (Result, error) {
	profile := kinetics.Milk
	if options.Profile != nil {
		profile = *options.Profile
	}
	if err := profile.Validate(); err != nil {
		return Result{}, fmt.Errorf("evaluating milk: %w", err)
	}
	if profile.Growth == nil {
		return Result{}, fmt.Errorf("evaluating milk: profile %s has no growth", profile.ID)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*-plate-counts.csv"))
	if err != nil {
		return Result{}, fmt.Errorf("evaluating milk: %w", err)
	}
	if len(paths) == 0 {
		return Result{}, fmt.Errorf("evaluating milk: no SEASON-plate-counts.csv in %s", dir)
	}
	slices.Sort(paths)
	result := Result{Seasons: map[string]Score{}}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		season := strings.TrimSuffix(filepath.Base(path), "-plate-counts.csv")
		points, left, err := evaluateSeason(dir, season, profile)
		if err != nil {
			return Result{}, fmt.Errorf("evaluating season %s: %w", season, err)
		}
		result.Points, result.Left = append(result.Points, points...), append(result.Left, left...)
		result.Seasons[season] = scoreOf(points)
	}
	result.Score = scoreOf(result.Points)
	if result.N == 0 {
		return Result{}, errors.New("evaluating milk: no count to score")
	}
	return result, nil
}

func evaluateSeason(dir, season string, profile kinetics.Profile) (points []Point, left []string, err error) {
	counts, err := readCounts(filepath.Join(dir, season+"-plate-counts.csv"))
	if err != nil {
		return nil, nil, err
	}
	traces := map[string][]int64{}
	for _, kind := range typesOf(counts) {
		suffix, ok := traceOf(kind)
		if !ok {
			continue
		}
		if traces[suffix] == nil {
			if traces[suffix], err = readTrace(filepath.Join(dir, season+suffix)); err != nil {
				if errors.Is(err, os.ErrNotExist) {
					left = append(left, season+": "+kind)
					continue
				}
				return nil, nil, err
			}
		}
		own, err := evaluateType(season, kind, counts, traces[suffix], profile)
		if err != nil {
			return nil, nil, err
		}
		points = append(points, own...)
	}
	return points, left, nil
}

// traceOf names the trace a type of sample followed; ok is false for types that are left out.
func traceOf(kind string) (suffix string, ok bool) {
	lower := strings.ToLower(kind)
	switch {
	case strings.Contains(lower, "not inoculated"):
		return "", false
	case strings.HasPrefix(lower, "inoculated"):
		return "-share-table.csv", true
	case strings.HasPrefix(lower, "refrigerated control"):
		return "-refrigerated.csv", true
	}
	return "", false
}

func evaluateType(season, kind string, counts []count, trace []int64, profile kinetics.Profile) ([]Point, error) {
	initial, n := 0.0, 0
	var scored []count
	for _, c := range counts {
		switch {
		case c.kind != kind:
		case c.minute == 0:
			initial += c.value
			n++
		default:
			scored = append(scored, c)
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("type %q has no day 1 Start row", kind)
	}
	slices.SortStableFunc(scored, func(a, b count) int { return a.minute - b.minute })
	state := kinetics.NewGrowthState(*profile.Growth, kernel.ToMicro(initial/float64(n)), profile.Storage)
	now := 0
	var points []Point
	for _, c := range scored {
		for ; now < c.minute; now++ {
			// Past the end of a trace (counts taken minutes after the logger stopped) its last temperature holds.
			state.Advance(trace[min(now, len(trace)-1)], 1.0/60)
		}
		points = append(points, Point{Season: season, Type: kind, Minute: c.minute, Count: c.value, Predicted: state.PlateCount(0.9)})
	}
	return points, nil
}

func scoreOf(points []Point) Score {
	s := Score{N: len(points)}
	if s.N == 0 {
		return s
	}
	squares, inside := 0.0, 0
	for _, p := range points {
		e := kernel.FromMicro(p.Predicted.Median) - p.Count
		squares += float64(e * e)
		s.Bias += e
		if m := kernel.ToMicro(p.Count); m >= p.Predicted.Low && m <= p.Predicted.High {
			inside++
		}
	}
	n := float64(s.N)
	s.RMSE, s.Bias, s.Coverage90 = math.Sqrt(squares/n), s.Bias/n, float64(inside)/n
	return s
}
