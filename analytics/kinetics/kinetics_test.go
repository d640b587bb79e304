package kinetics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// certain is the milk profile without uncertainty, so that every member follows the published formulas.
func certain() Growth {
	g := *Milk.Growth
	g.RateSpread, g.MinimumSpread, g.MaximumSpread, g.InitialSpread, g.MeasurementSpread = 0, 0, 0, 0, 0
	return g
}

// TestRatkowskyPublished: √μ = b(T−Tmin) through 0.0835/h at 6 °C with Tmin −4.15 °C; two days at 6 °C multiply by e^(48μ).
func TestRatkowskyPublished(t *testing.T) {
	g := certain()
	g.ReferenceRate, g.MinimumTemperature = 83_500, -4_150_000
	for _, celsius := range []float64{0, 4, 6, 10, 20} {
		s := NewGrowthState(g, 2_000_000, 4_000_000)
		for range 48 * 60 {
			s.Advance(int64(celsius*1e6), 1.0/60)
		}
		d := (celsius + 4.15) / 10.15
		growth := 0.0835 * d * d * 48
		start, ceiling := 100.0, math.Pow(10, 8.14)
		want := math.Log10(start * math.Exp(growth) / (1 + start/ceiling*(math.Exp(growth)-1)))
		tolerance := 0.002
		if celsius > 6 {
			tolerance = 0.03 // the extended law bends towards Tmax
		}
		require.InDelta(t, want, float64(s.mixtureAfter(0, 0).mean()), tolerance, "%v °C", celsius)
	}
	s := NewGrowthState(g, 2_000_000, 4_000_000)
	s.Advance(-4_150_000, 1000)
	require.InDelta(t, 2, s.mixtureAfter(0, 0).mean(), 1e-9, "no growth at Tmin")
	s.Advance(36_000_000, 1000)
	require.InDelta(t, 2, s.mixtureAfter(0, 0).mean(), 1e-9, "no growth at Tmax")
	s.Advance(10_000_000, 10_000)
	require.InDelta(t, 8.14, s.mixtureAfter(0, 0).mean(), 1e-6, "growth ends at the ceiling")
}

func TestBaranyiLag(t *testing.T) {
	g := certain()
	g.LagWork = 2_000_000
	s := NewGrowthState(g, 2_000_000, 4_000_000)
	hours := 200.0
	s.Advance(6_000_000, hours)
	// Long after the lag the curve is the one without lag, later by h0/μ.
	late := NewGrowthState(certain(), 2_000_000, 4_000_000)
	late.Advance(6_000_000, hours-2/0.0981)
	require.InDelta(t, late.mixtureAfter(0, 0).mean(), s.mixtureAfter(0, 0).mean(), 1e-4)
	early := NewGrowthState(g, 2_000_000, 4_000_000)
	early.Advance(6_000_000, 2)
	require.Less(t, early.mixtureAfter(0, 0).mean(), 2.02)
}

// TestRemainingMeetsTheLimit: after the time said to remain, the count is the limit.
func TestRemainingMeetsTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := certain()
		g.LagWork = rapid.Int64Range(0, 3_000_000).Draw(t, "lag")
		s := NewGrowthState(g, rapid.Int64Range(0, 5_500_000).Draw(t, "initial"), 4_000_000)
		s.Advance(rapid.Int64Range(-2_000_000, 15_000_000).Draw(t, "before"), rapid.Float64Range(0, 20).Draw(t, "hours"))
		temperature := rapid.Int64Range(0, 20_000_000).Draw(t, "after")
		life := s.RemainingAt(temperature, 0.8)
		s.Advance(temperature, float64(life.Median)/1e6)
		got := s.mixtureAfter(0, 0).mean()
		if life.Median == 0 {
			require.GreaterOrEqual(t, got, 6.0)
		} else if life.Median < MaxLifeHours*million {
			require.InDelta(t, 6, got, 1e-4)
		}
	})
}

func TestWarmerIsNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cold := rapid.Int64Range(-10_000_000, 20_000_000).Draw(t, "cold")
		warm := cold + rapid.Int64Range(0, 5_000_000).Draw(t, "by")
		for _, p := range Builtin() {
			hours := rapid.Float64Range(0, 300).Draw(t, "hours")
			if p.Growth != nil {
				a, b := NewGrowthState(*p.Growth, p.Growth.InitialCount, p.Storage), NewGrowthState(*p.Growth, p.Growth.InitialCount, p.Storage)
				a.Advance(cold, hours)
				b.Advance(warm, hours)
				require.LessOrEqual(t, a.PlateCount(0.9).Median, b.PlateCount(0.9).Median)
				require.LessOrEqual(t, a.SpoiledWithin(24), b.SpoiledWithin(24))
				continue
			}
			a, b := NewDegradationState(*p.Degradation, p.Storage), NewDegradationState(*p.Degradation, p.Storage)
			a.Advance(cold, hours)
			b.Advance(warm, hours)
			require.LessOrEqual(t, a.Used(0.9).Median, b.Used(0.9).Median)
			require.GreaterOrEqual(t, a.Remaining(0.8).Median, b.Remaining(0.8).Median)
		}
	})
}

// TestEnsembleSizeSuffices: 64 members and analytic blur against the quantiles of a normal, which is what one uncertain
// parameter far from the ceiling gives.
func TestEnsembleSizeSuffices(t *testing.T) {
	m := &mixture{spread: 0.17}
	for k := range m.centres {
		m.centres[k] = 5 + 0.4*memberDeviates[k][0]
	}
	sigma := math.Hypot(0.4, 0.17)
	for p, z := range map[float64]float64{0.05: -1.644854, 0.5: 0, 0.95: 1.644854} {
		require.InDelta(t, 5+sigma*z, m.quantile(p), 0.01, "%v", p)
	}
}

// TestVaccineVialMonitors: the second published point of each category, which fixed the energy, comes out.
func TestVaccineVialMonitors(t *testing.T) {
	for _, c := range []struct {
		id      string
		celsius int64
		days    float64
	}{
		{"vaccine-vvm30", 37, 30},
		{"vaccine-vvm30", 25, 193},
		{"vaccine-vvm14", 37, 14},
		{"vaccine-vvm14", 25, 90},
		{"vaccine-vvm7", 37, 7},
		{"vaccine-vvm7", 25, 45},
		{"vaccine-vvm2", 37, 2},
		{"vaccine-vvm2", 5, 225},
	} {
		p, ok := ByID(c.id)
		require.True(t, ok)
		d := *p.Degradation
		d.EnergySpread, d.RateSpread = 0, 0
		s := NewDegradationState(d, p.Storage)
		require.InEpsilon(t, c.days*24, float64(s.RemainingAt(c.celsius*million, 0.8).Median)/1e6, 0.01, "%s at %d °C", c.id, c.celsius)
	}
}

// TestMeanKineticTemperature: by hand, half a day at 5 and half at 25 °C with ΔH/R of 10 000 K; a constant
// gives itself; and the window forgets.
func TestMeanKineticTemperature(t *testing.T) {
	m := NewMeanKinetic(uspEnergy, 24)
	_, ok := m.Temperature()
	require.False(t, ok)
	m.Advance(5_000_000, 12)
	got, ok := m.Temperature()
	require.True(t, ok)
	require.InDelta(t, 5, float64(got)/1e6, 1e-5)
	for range 12 * 60 {
		m.Advance(25_000_000, 1.0/60)
	}
	got, _ = m.Temperature()
	e := uspEnergy / gasConstant
	want := e/-math.Log((math.Exp(-e/278.15)+math.Exp(-e/298.15))/2) - kelvin
	require.InDelta(t, want, float64(got)/1e6, 1e-5)
	m.Advance(5_000_000, 1e6)
	got, _ = m.Temperature()
	require.InDelta(t, 5, float64(got)/1e6, 1e-5)
}

func TestAnyPiecesFillTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeanKinetic(uspEnergy, 24)
		for range rapid.IntRange(1, 300).Draw(t, "pieces") {
			m.Advance(rapid.Int64Range(-30_000_000, 60_000_000).Draw(t, "temperature"), rapid.Float64Range(0, 2).Draw(t, "hours"))
			require.LessOrEqual(t, len(m.buckets), 24)
		}
	})
}

func TestSnapshotRestoresTheBits(t *testing.T) {
	g, d := NewGrowthState(*Milk.Growth, 2_400_000, 4_000_000), NewDegradationState(*Pharma2To8.Degradation, 5_000_000)
	for k := range int64(100) {
		g.Advance(k*100_000, 0.3)
		d.Advance(k*100_000, 0.3)
	}
	g2, d2 := NewGrowthState(*Milk.Growth, 2_400_000, 4_000_000), NewDegradationState(*Pharma2To8.Degradation, 5_000_000)
	require.NoError(t, g2.Restore(g.Snapshot()))
	require.NoError(t, d2.Restore(d.Snapshot()))
	require.Equal(t, g, g2)
	require.Equal(t, d, d2)
	require.Error(t, g2.Restore(nil))
	require.Error(t, d2.Restore(append(d.Snapshot(), 1)))
	require.Error(t, d2.Restore(append(d.Snapshot()[:2*Members], 1, math.NaN())))
}

func TestBuiltinProfilesAreValidAndRoundTrip(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Builtin() {
		require.NoError(t, p.Validate(), p.ID)
		require.False(t, seen[p.ID])
		seen[p.ID] = true
		again, err := ParseProfile(p.Encode())
		require.NoError(t, err)
		require.Equal(t, p, again)
		require.Equal(t, p.Hash(), again.Hash())
	}
	_, ok := ByID("no such goods")
	require.False(t, ok)
}

func TestParseProfileRefuses(t *testing.T) {
	good := string(Milk.Encode())
	for name, text := range map[string]string{
		"nothing": "", "trailing": good + "{}", "unknown field": `{"id":"a","colour":1}`, "two kinetics": `{"id":"a","version":1,"kind":"food","band":{"low":0,"high":1},"growth":{},"degradation":{}}`,
		"float": `{"id":"a","version":1.5}`, "kind": `{"id":"a","version":1,"kind":"stone","band":{"low":0,"high":1}}`, "band": `{"id":"a","version":1,"kind":"food","band":{"low":2,"high":1}}`,
		"huge": string(make([]byte, MaxProfileBytes+1)),
	} {
		_, err := ParseProfile([]byte(text))
		require.Error(t, err, name)
	}
}

func FuzzParseProfile(f *testing.F) {
	for _, p := range Builtin() {
		f.Add(p.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile(data)
		if err != nil {
			return
		}
		again, err := ParseProfile(p.Encode())
		require.NoError(t, err)
		require.Equal(t, p, again)
		// Whatever is valid can be followed.
		if p.Growth != nil {
			s := NewGrowthState(*p.Growth, p.Growth.InitialCount, p.Storage)
			s.Advance(10_000_000, 5)
			c := s.PlateCount(0.9)
			require.LessOrEqual(t, c.Low, c.High)
			life := s.Remaining(0.8)
			require.True(t, life.Low >= 0 && life.Low <= life.High && life.High <= MaxLifeHours*million)
		}
		if p.Degradation != nil {
			s := NewDegradationState(*p.Degradation, p.Storage)
			s.Advance(10_000_000, 5)
			life := s.Remaining(0.8)
			require.True(t, life.Low >= 0 && life.Low <= life.High && life.High <= MaxLifeHours*million)
		}
	})
}
