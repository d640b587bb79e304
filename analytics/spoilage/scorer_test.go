package spoilage

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/thermal"
	"pgregory.net/rapid"
)

func defaultModel(t testing.TB) *autoencoder.Model {
	t.Helper()
	model, err := autoencoder.Default()
	require.NoError(t, err)
	return model
}

func observeAll(t testing.TB, s *Scorer, readings []Reading) {
	t.Helper()
	for _, r := range readings {
		require.NoError(t, s.Observe(r.Device, r.Time, r.Temperature))
	}
}

// TestAuditGivesTheSameFindings: streaming with a restart in the middle and devices interleaved in frames gives what
// Recompute gives from shuffled readings.
func TestAuditGivesTheSameFindings(t *testing.T) {
	model := defaultModel(t)
	for _, profile := range []kinetics.Profile{kinetics.Milk, kinetics.Pharma2To8} {
		readings := truckReadings(t, thermal.Config{Seed: 77, Setpoint: 5, Ambient: 28, Probes: 3, Fault: thermal.CompressorFailure, FaultAt: 8 * time.Hour}, 40)
		s, err := New(profile, model, Config{})
		require.NoError(t, err)
		frames := map[string][]Reading{}
		for i, r := range readings {
			if frames[r.Device] = append(frames[r.Device], r); len(frames[r.Device]) == 60 {
				observeAll(t, s, frames[r.Device])
				frames[r.Device] = nil
			}
			if i == len(readings)/2 {
				encoded, err := s.Snapshot()
				require.NoError(t, err)
				s, err = Restore(profile, model, encoded)
				require.NoError(t, err)
			}
		}
		for _, rest := range frames {
			observeAll(t, s, rest)
		}
		asOf := readings[len(readings)-1].Time
		live := s.Assess(asOf)
		require.NotEmpty(t, live, profile.ID)
		require.Equal(t, live, s.Assess(asOf), "assessing changes nothing")

		shuffled := append([]Reading(nil), readings...)
		random := rand.New(rand.NewPCG(1, 2))
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		audited, err := Recompute(profile, model, Config{}, shuffled, asOf)
		require.NoError(t, err)
		require.Equal(t, live, audited, profile.ID)
		for _, f := range live {
			require.NotEmpty(t, f.Sentence)
			require.GreaterOrEqual(t, f.Score, int64(0))
			require.LessOrEqual(t, f.Score, int64(1_000_000))
			require.False(t, f.To.Before(f.From))
		}
	}
}

func TestExcursion(t *testing.T) {
	s, err := New(kinetics.Pharma2To8, nil, Config{})
	require.NoError(t, err)
	at := traceStart
	hold := func(minutes int, temperature int64) {
		for range minutes {
			require.NoError(t, s.Observe("a", at, temperature))
			at = at.Add(time.Minute)
		}
	}
	excursions := func() (found []Finding) {
		for _, f := range s.Assess(at) {
			if f.Kind == BandExcursion {
				found = append(found, f)
			}
		}
		return found
	}
	hold(60, 5_000_000)
	hold(30, 9_000_000)
	require.Empty(t, excursions(), "30 minutes are allowed")
	hold(10, 9_500_000)
	found := excursions()
	require.Len(t, found, 1)
	require.True(t, found[0].Open)
	require.Equal(t, traceStart.Add(60*time.Minute-30*time.Second), found[0].From)
	require.Equal(t, int64(9_500_000), found[0].Drivers["extremeTemperature"])
	require.Contains(t, found[0].Sentence, "Out of band for 40 min")
	hold(20, 5_000_000)
	found = excursions()
	require.Len(t, found, 1)
	require.False(t, found[0].Open)
	hold(300, 5_000_000)
	hold(40, 1_000_000)
	require.Len(t, excursions(), 2, "hours later it is another incident")
	// In many short pieces: the cumulative allowance of 120 minutes runs out.
	for range 4 {
		hold(20, 9_000_000)
		hold(200, 5_000_000)
	}
	require.Greater(t, len(excursions()), 2)
}

func TestBadReadingsChangeNothing(t *testing.T) {
	s, err := New(kinetics.Milk, defaultModel(t), Config{})
	require.NoError(t, err)
	require.NoError(t, s.Observe("a", traceStart, 4_000_000))
	before, err := s.Snapshot()
	require.NoError(t, err)
	require.ErrorIs(t, s.Observe("a", traceStart, 4_000_000), ErrOutOfOrder)
	require.ErrorIs(t, s.Observe("a", traceStart.Add(-time.Hour), 4_000_000), ErrOutOfOrder)
	require.ErrorIs(t, s.Observe("a", traceStart.Add(time.Hour), 201_000_000), ErrImplausible)
	require.ErrorIs(t, s.Observe("a", traceStart.Add(time.Hour), math.MinInt64), ErrImplausible)
	require.Error(t, s.Observe("", traceStart, 4_000_000))
	after, err := s.Snapshot()
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))

	around := []Reading{{"a", traceStart, math.MinInt64}, {"a", traceStart, 4_000_000}, {"a", traceStart, 5_000_000}, {"a", traceStart, 201_000_000}, {"b", traceStart, 300_000_000}}
	without, err := Recompute(kinetics.Milk, nil, Config{}, around[1:2], traceStart)
	require.NoError(t, err)
	with, err := Recompute(kinetics.Milk, nil, Config{}, around, traceStart)
	require.NoError(t, err, "a recorded reading that no sensor can mean does not keep an auditor from recomputing")
	require.Equal(t, without, with)

	huge := int64(50_000_000)
	_, err = New(kinetics.Milk, nil, Config{InitialCount: &huge})
	require.Error(t, err)
	_, err = New(kinetics.Profile{}, nil, Config{})
	require.Error(t, err)
	_, err = Restore(kinetics.Pharma2To8, defaultModel(t), before)
	require.ErrorContains(t, err, "another profile")
	_, err = Restore(kinetics.Milk, nil, before)
	require.ErrorContains(t, err, "another model")
}

// TestAnyReadingsAreSafe throws irregular times and temperatures at every profile.
func TestAnyReadingsAreSafe(t *testing.T) {
	model := defaultModel(t)
	rapid.Check(t, func(t *rapid.T) {
		profile := rapid.SampledFrom(kinetics.Builtin()).Draw(t, "profile")
		s, err := New(profile, model, Config{})
		if err != nil {
			t.Fatal(err)
		}
		var readings []Reading
		at := traceStart
		for range rapid.IntRange(1, 200).Draw(t, "readings") {
			at = at.Add(time.Duration(rapid.Int64Range(1, 40*60*1000).Draw(t, "gap")) * time.Millisecond)
			r := Reading{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "device"), at, rapid.Int64Range(-60_000_000, 80_000_000).Draw(t, "temperature")}
			readings = append(readings, r)
			if err := s.Observe(r.Device, r.Time, r.Temperature); err != nil {
				t.Fatal(err)
			}
		}
		live := s.Assess(at)
		again, err := Recompute(profile, model, Config{}, readings, at)
		if err != nil {
			t.Fatal(err)
		}
		require.Equal(t, live, again)
		for _, f := range live {
			if f.Score < 0 || f.Score > 1_000_000 || f.Sentence == "" {
				t.Fatalf("%+v", f)
			}
		}
		if q, ok := s.Quality(); !ok || q.Life.Low > q.Life.Median || q.Life.Median > q.Life.High || q.Count.Low > q.Count.High {
			t.Fatalf("%+v", q)
		}
	})
}

func FuzzRestore(f *testing.F) {
	s, err := New(kinetics.Milk, nil, Config{})
	require.NoError(f, err)
	for k := range 90 {
		require.NoError(f, s.Observe("a", traceStart.Add(time.Duration(k)*time.Minute), int64(4_000_000+k*100_000)))
	}
	encoded, err := s.Snapshot()
	require.NoError(f, err)
	f.Add(encoded)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Restore(kinetics.Milk, nil, data)
		if err != nil {
			return
		}
		// Whatever was restored must take another reading and speak without a panic.
		for id, d := range s.devices {
			_ = s.Observe(id, time.UnixMilli(d.Last+60_000), 5_000_000)
		}
		s.Assess(time.Unix(1<<40, 0))
		s.Quality()
	})
}

func BenchmarkObserve(b *testing.B) {
	s, err := New(kinetics.Milk, defaultModel(b), Config{})
	require.NoError(b, err)
	at := traceStart
	for b.Loop() {
		at = at.Add(time.Minute)
		if err := s.Observe("a", at, 4_000_000+at.Unix()%97*10_000); err != nil {
			b.Fatal(err)
		}
	}
}
