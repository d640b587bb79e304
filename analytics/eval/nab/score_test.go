package nab

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shared is the partial corpus that stays outside the project.
func shared(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "nab")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("skipped: no benchmark data at %s", dir)
	}
	return dir
}

func table(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var out []map[string]string
	for _, r := range rows[1:] {
		m := map[string]string{}
		for i, h := range rows[0] {
			m[h] = r[i]
		}
		out = append(out, m)
	}
	return out
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}

// The published anomaly scores of HTM, scored here, must give the published row of every file.
func TestScorerReproducesPublishedRows(t *testing.T) {
	dir := shared(t)
	series, unlabelled, err := Load(dir)
	require.NoError(t, err)
	require.Empty(t, unlabelled)
	byName := map[string]*Series{}
	for i := range series {
		byName[series[i].Name] = &series[i]
	}
	results := filepath.Join(dir, "results", "numenta")
	published := table(t, filepath.Join(results, "numenta_standard_scores.csv"))
	require.Len(t, published, len(series))
	for _, want := range published {
		name := want["File"]
		s := byName[name]
		require.NotNil(t, s, name)
		rows := table(t, filepath.Join(results, filepath.Dir(name), "numenta_"+filepath.Base(name)))
		require.Len(t, rows, len(s.Times), name)
		scores := make([]float64, len(rows))
		_, window := weights(s)
		sum := 0.0
		for i, r := range rows {
			scores[i] = number(t, r["anomaly_score"])
			require.Equal(t, r["label"] == "1", window[i] != outside, "%s row %d label", name, i)
			sum += number(t, r["S(t)_standard"])
		}
		got := scoreFile(s, scores, number(t, want["Threshold"]), Standard)
		require.InDelta(t, number(t, want["Score"]), got.Score, 1e-9, name)
		// The published rows put a window's worth on its first row, and a false alarm's on its own.
		require.InDelta(t, sum, got.Score, 1e-9, name)
		for field, n := range map[string]int{"TP": got.TP, "TN": got.TN, "FP": got.FP, "FN": got.FN, "Total_Count": got.Rows} {
			require.Equal(t, want[field], strconv.Itoa(n), "%s %s", name, field)
		}
	}
}

// corpus makes series with known windows.
func corpus() []Series {
	r := rand.New(rand.NewPCG(1, 2))
	var list []Series
	for i, windows := range [][]Window{{{900, 1000}}, nil, {{400, 450}, {1500, 1600}}, {{1999, 1999}}} {
		s := Series{Name: "synthetic/" + strconv.Itoa(i) + ".csv", Windows: windows}
		for j := range 2000 {
			s.Times = append(s.Times, time.Unix(int64(300*j), 0))
			s.Values = append(s.Values, r.NormFloat64())
		}
		list = append(list, s)
	}
	return list
}

func constant(series []Series, f func(s *Series, row int) float64) [][]float64 {
	out := make([][]float64, len(series))
	for i := range series {
		out[i] = make([]float64, len(series[i].Times))
		for j := range out[i] {
			out[i][j] = f(&series[i], j)
		}
	}
	return out
}

func TestNullScoresZero(t *testing.T) {
	series := corpus()
	r := evaluate(series, constant(series, func(*Series, int) float64 { return 0.5 }))
	// A constant score marks all or nothing; nothing is the better, and is the zero of the scale.
	require.Zero(t, r.Standard)
	require.Zero(t, r.RewardLowFP)
	require.Zero(t, r.RewardLowFN)
}

func TestPerfectScoresHundred(t *testing.T) {
	series := corpus()
	r := evaluate(series, constant(series, func(s *Series, row int) float64 {
		for _, w := range s.Windows {
			if row == w.First {
				return 1
			}
		}
		return 0
	}))
	require.InDelta(t, 100, r.Standard, 1e-9)
	require.InDelta(t, 100, r.RewardLowFP, 1e-9)
	require.InDelta(t, 100, r.RewardLowFN, 1e-9)
	require.Equal(t, 4, r.Windows)
	for _, f := range r.Files {
		require.Zero(t, f.FP)
		require.Equal(t, f.Windows, f.Found)
	}
}

func TestRandomScoresLittle(t *testing.T) {
	series := corpus()
	r := rand.New(rand.NewPCG(3, 4))
	got := evaluate(series, constant(series, func(*Series, int) float64 { return r.Float64() }))
	require.GreaterOrEqual(t, got.Standard, 0.0) // the threshold that marks nothing is always open
	require.Less(t, got.Standard, 45.0)
	require.LessOrEqual(t, got.RewardLowFP, got.Standard)
}

// The optimum must be what trying every threshold finds.
func TestOptimiseIsExhaustive(t *testing.T) {
	series := corpus()
	r := rand.New(rand.NewPCG(5, 6))
	scores := constant(series, func(*Series, int) float64 { return float64(r.IntN(60)) * r.Float64() / 60 })
	for _, p := range []Profile{Standard, RewardLowFP, RewardLowFN} {
		total := func(threshold float64) (sum float64) {
			for i := range series {
				sum += scoreFile(&series[i], scores[i], threshold, p).Score
			}
			return sum
		}
		best := total(2)
		for i := range 400 {
			best = max(best, total(scores[i%4][r.IntN(2000)]))
		}
		require.GreaterOrEqual(t, total(optimise(series, scores, p))+1e-9, best)
	}
}

func TestEarlierIsBetterAndLateFalseAlarmsCostLess(t *testing.T) {
	s := corpus()[0]
	mark := func(row int) float64 {
		scores := make([]float64, len(s.Times))
		scores[row] = 1
		return scoreFile(&s, scores, 1, Standard).Score
	}
	require.InDelta(t, 1, mark(900), 1e-9)
	require.Greater(t, mark(910), mark(950))
	require.Greater(t, mark(1000), mark(1001), "inside beats outside")
	require.Greater(t, mark(1001), mark(1100), "just behind a window costs less")
	require.InDelta(t, -1.11, mark(1900), 1e-9)
	require.InDelta(t, -1, mark(299), 1e-9, "probation is free")
}
