package skab

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/analytics/detect"
)

func shared(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "skab")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("skipped: no benchmark data at %s", dir)
	}
	return dir
}

func TestRunOnSharedData(t *testing.T) {
	dir := shared(t)
	r, err := Run(context.Background(), dir, Options{})
	require.NoError(t, err)
	require.Len(t, r.Files, 4)
	require.Equal(t, 4312-4*trainRows, r.TP+r.FP+r.FN+r.TN, "the test rows and no others are counted")
	base, err := Run(context.Background(), dir, Options{Fit: Baseline})
	require.NoError(t, err)
	for name, x := range map[string]Result{"monitor": r, "PCA T²+Q": base} {
		t.Logf("%-9s F1 %.3f FAR %.1f %% MAR %.1f %%", name, x.F1(), 100*x.FAR(), 100*x.MAR())
		for _, f := range x.Files {
			t.Logf("  %-12s F1 %.3f FAR %.1f %% MAR %.1f %%", f.Name, f.F1(), 100*f.FAR(), 100*f.MAR())
		}
	}
	require.Greater(t, r.F1(), 0.85)
	require.Less(t, r.FAR(), 0.136)
	require.Greater(t, r.F1(), base.F1(), "what is learned must beat the baseline")
	require.Less(t, r.FAR(), base.FAR())
}

type fixed func(row int) bool

type player struct {
	f   fixed
	row *int
}

func (p player) Push([]float64) (detect.Score, error) {
	*p.row++
	return detect.Score{Alarm: p.f(*p.row - 1)}, nil
}

// experiment writes a file of 600 rows, anomalous from 450 to 499.
func experiment(t *testing.T, dir, name string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("datetime;A;B;anomaly;changepoint\n")
	for i := range 600 {
		label := "0.0"
		if i >= 450 && i < 500 {
			label = "1.0"
		}
		b.WriteString("2020-03-09 10:14:33;" + strconv.Itoa(i%7) + ";;" + label + ";0.0\n")
	}
	path := filepath.Join(dir, "data", filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
}

func TestCountsPointsBehindTheHead(t *testing.T) {
	dir := t.TempDir()
	experiment(t, dir, "valve1/0.csv")
	experiment(t, dir, "other/1.csv")
	experiment(t, dir, "anomaly-free/anomaly-free.csv") // not scored
	for name, c := range map[string]struct {
		mark         fixed
		f1, far, mar float64
	}{
		"perfect":   {func(row int) bool { return row >= 50 && row < 100 }, 1, 0, 0},
		"null":      {func(int) bool { return false }, 0, 0, 1},
		"all":       {func(int) bool { return true }, 0.4, 1, 0},
		"one point": {func(row int) bool { return row == 60 }, 2. / 51, 0, 0.98}, // no point adjustment
	} {
		r, err := Run(context.Background(), dir, Options{Fit: func(head [][]float64) (Detector, error) {
			require.Len(t, head, trainRows)
			require.True(t, math.IsNaN(head[0][1]))
			return player{c.mark, new(int)}, nil
		}})
		require.NoError(t, err)
		require.Equal(t, []string{"other/1.csv", "valve1/0.csv"}, []string{r.Files[0].Name, r.Files[1].Name})
		require.Equal(t, 400, r.TP+r.FP+r.FN+r.TN)
		require.InDelta(t, c.f1, r.F1(), 1e-12, name)
		require.InDelta(t, c.far, r.FAR(), 1e-12, name)
		require.InDelta(t, c.mar, r.MAR(), 1e-12, name)
	}
	_, err := Run(context.Background(), dir, Options{})
	require.NoError(t, err)
	broken := errors.New("broken")
	_, err = Run(context.Background(), dir, Options{Fit: func([][]float64) (Detector, error) { return nil, broken }})
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Run(ctx, dir, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	const header = "datetime;A;anomaly;changepoint\n"
	for text, want := range map[string]string{
		"":                                     "no header",
		"time;A;anomaly\n":                     "first column",
		"datetime;A\n":                         "no anomaly column",
		"datetime;anomaly\n":                   "no sensor column",
		header + "2020-03-09 10:14:33;1;0\n":   "row 1: 3 fields",
		header + "noon;1;0;0\n":                "row 1: parsing time",
		header + "2020-03-09 10:14:33;x;0;0\n": "row 1: parsing A",
		header + "2020-03-09 10:14:33;1;2;0\n": "neither 0 nor 1",
	} {
		_, err := readSeries(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
	_, err := Load(t.TempDir())
	require.ErrorContains(t, err, "no experiments")
	_, err = score(&Series{Rows: make([][]float64, 400)}, monitor)
	require.ErrorContains(t, err, "none behind")
}

func FuzzReadSeries(f *testing.F) {
	f.Add("datetime;A;B;anomaly;changepoint\n2020-03-09 10:14:33;1;;1.0;0.0\n")
	f.Add("datetime;anomaly;A\r\n2020-03-09 10:14:33;0;nan\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readSeries(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(s.Rows) != len(s.Times) || len(s.Rows) != len(s.Anomaly) {
			t.Fatal("columns of different length")
		}
		for _, r := range s.Rows {
			if len(r) != len(s.Sensors) {
				t.Fatal("ragged row")
			}
		}
	})
}
