package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// bench is a process of four sensors; the last wanders.
type bench struct {
	r    *rand.Rand
	warm float64
}

func (b *bench) row(flow float64) []float64 {
	b.warm += 0.05 * b.r.NormFloat64()
	return []float64{10 + 0.1*b.r.NormFloat64() + flow, 3 + 0.5*b.r.NormFloat64(), 230 + 10*b.r.NormFloat64(), 70 + b.warm}
}

func (b *bench) head() (rows [][]float64) {
	for range 400 {
		rows = append(rows, b.row(0))
	}
	return rows
}

type fitted interface {
	Push(values []float64) (Score, error)
}

// rates runs 600 normal rows, 300 with the flow off by shift and 300 normal, and returns the shares of false and missed.
func rates(t *testing.T, b *bench, m fitted, shift float64) (far, mar float64) {
	t.Helper()
	for i := range 1200 {
		bad := i >= 600 && i < 900
		x := 0.0
		if bad {
			x = shift
		}
		s, err := m.Push(b.row(x))
		require.NoError(t, err)
		if s.Alarm && !bad {
			far += 1. / 900
		}
		if !s.Alarm && bad {
			mar += 1. / 300
		}
	}
	return far, mar
}

func TestMonitorBeatsItsBaseline(t *testing.T) {
	var mFAR, mMAR, pFAR, pMAR float64
	const seeds = 8
	for seed := range uint64(seeds) {
		b := &bench{r: rand.New(rand.NewPCG(seed, 3))}
		m, err := FitMonitor(b.head(), MonitorConfig{})
		require.NoError(t, err)
		far, mar := rates(t, b, m, -0.4)
		mFAR, mMAR = mFAR+far/seeds, mMAR+mar/seeds

		b = &bench{r: rand.New(rand.NewPCG(seed, 3))}
		p, err := FitPCA(b.head(), 1e-4)
		require.NoError(t, err)
		far, mar = rates(t, b, p, -0.4)
		pFAR, pMAR = pFAR+far/seeds, pMAR+mar/seeds
	}
	t.Logf("monitor FAR %.3f MAR %.3f, PCA FAR %.3f MAR %.3f", mFAR, mMAR, pFAR, pMAR)
	require.Less(t, mFAR, 0.15)
	require.Less(t, mMAR, 0.1)
	require.Less(t, mFAR+mMAR, pFAR+pMAR)
}

func TestMonitorDoesNotBelieveAWanderer(t *testing.T) {
	b := &bench{r: rand.New(rand.NewPCG(1, 8))}
	m, err := FitMonitor(b.head(), MonitorConfig{})
	require.NoError(t, err)
	require.Less(t, m.weight[3], 0.5)
	for c := range 3 {
		require.Greater(t, m.weight[c], 0.8, "sensor %d stands", c)
	}
}

func TestMonitorNamesTheSensorAndRecovers(t *testing.T) {
	b := &bench{r: rand.New(rand.NewPCG(2, 8))}
	m, err := FitMonitor(b.head(), MonitorConfig{})
	require.NoError(t, err)
	var last Score
	for range 30 {
		last, err = m.Push(b.row(-1))
		require.NoError(t, err)
	}
	require.True(t, last.Alarm)
	require.Equal(t, 0, last.Channel)
	for range 30 {
		last, err = m.Push(b.row(0))
		require.NoError(t, err)
	}
	require.False(t, last.Alarm)
}

func TestFittingRefusesWhatCannotTeach(t *testing.T) {
	b := &bench{r: rand.New(rand.NewPCG(3, 8))}
	head := b.head()
	for name, rows := range map[string][][]float64{"short": head[:20], "no sensors": make([][]float64, 400), "ragged": append(append([][]float64{}, head...), []float64{1})} {
		_, err := FitMonitor(rows, MonitorConfig{})
		require.Error(t, err, name)
		_, err = FitPCA(rows, 1e-3)
		require.Error(t, err, name)
	}
	_, err := FitMonitor(head, MonitorConfig{Window: 1})
	require.Error(t, err)
	_, err = FitMonitor(head, MonitorConfig{FalseAlarms: 0.5})
	require.Error(t, err)
	_, err = FitPCA(head, 0)
	require.Error(t, err)
	m, err := FitMonitor(head, MonitorConfig{})
	require.NoError(t, err)
	_, err = m.Push([]float64{1})
	require.ErrorIs(t, err, ErrWidth)
}

func TestModelsTakeAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		odd := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 0, 0, 1, 1e308, -1e140})
		width := rapid.IntRange(1, 3).Draw(t, "width")
		seed := rapid.SliceOfN(rapid.SliceOfN(rapid.OneOf(odd, rapid.Float64()), width, width), 1, 20).Draw(t, "rows")
		var rows [][]float64
		for i := range 160 {
			rows = append(rows, seed[i%len(seed)])
		}
		m, err := FitMonitor(rows, MonitorConfig{})
		if err != nil {
			t.Fatal(err)
		}
		p, pcaErr := FitPCA(rows, 1e-3)
		for _, r := range seed {
			s, err := m.Push(r)
			if err != nil || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
				t.Fatalf("monitor: %+v %v", s, err)
			}
			if pcaErr == nil {
				if s, err = p.Push(r); err != nil || math.IsNaN(s.Value) {
					t.Fatalf("PCA: %+v %v", s, err)
				}
			}
		}
	})
}

func TestEigenRebuildsItsMatrix(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const n = 6
	a := make([][]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
	}
	for i := range n {
		for j := i; j < n; j++ {
			a[i][j] = r.NormFloat64()
			a[j][i] = a[i][j]
		}
	}
	work := make([][]float64, n)
	for i := range a {
		work[i] = append([]float64(nil), a[i]...)
	}
	values, vectors, err := eigen(work)
	require.NoError(t, err)
	for i := range n {
		if i > 0 {
			require.LessOrEqual(t, values[i], values[i-1])
		}
		for j := range n {
			sum, dot := 0.0, 0.0
			for k := range n {
				sum += values[k] * vectors[k][i] * vectors[k][j]
				dot += vectors[i][k] * vectors[j][k]
			}
			require.InDelta(t, a[i][j], sum, 1e-10)
			unit := 0.0
			if i == j {
				unit = 1
			}
			require.InDelta(t, unit, dot, 1e-10)
		}
	}
}

func TestTailIsCalibrated(t *testing.T) {
	for name, draw := range map[string]func(r *rand.Rand) (float64, func(p float64) float64){
		"exponential": func(r *rand.Rand) (float64, func(float64) float64) {
			return r.ExpFloat64(), func(p float64) float64 { return -math.Log(p) }
		},
		"pareto": func(r *rand.Rand) (float64, func(float64) float64) {
			return math.Pow(1-r.Float64(), -1./3), func(p float64) float64 { return math.Pow(p, -1./3) }
		},
	} {
		const seeds = 20
		var at1, at2, at4 float64
		for seed := range uint64(seeds) {
			r := rand.New(rand.NewPCG(seed, 1))
			x := tail{limit: 5000}
			var quantile func(float64) float64
			for range 7000 {
				var v float64
				v, quantile = draw(r)
				x.add(v)
			}
			require.Len(t, x.sorted, 5000)
			at1 += x.surprise(quantile(0.1)) / seeds
			at2 += x.surprise(quantile(0.01)) / seeds
			at4 += x.surprise(quantile(1e-4)) / seeds
			for _, s := range []float64{2.5, 3, 5} {
				require.InDelta(t, s, x.surprise(x.level(s)), 1e-6, name)
			}
		}
		require.InDelta(t, 1, at1, 0.05, name)
		require.InDelta(t, 2, at2, 0.1, name)
		require.InDelta(t, 4, at4, 0.5, name)
	}
}
