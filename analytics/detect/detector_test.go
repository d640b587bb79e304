package detect

import (
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// daily is a stream with a daily course and noise, one point each five minutes.
func daily(r *rand.Rand, i int) float64 {
	phase := float64(i%288) / 288
	return 5 + 2*math.Sin(2*math.Pi*phase) + 0.1*r.NormFloat64()
}

func at(i int) time.Time { return start.Add(time.Duration(i) * 5 * time.Minute) }

// run pushes n points of a stream and returns where alarms began.
func run(d *Detector, n int, f func(i int) float64) (alarms []int, scores []Score) {
	for i := range n {
		s := d.Push(at(i), []float64{f(i)})
		scores = append(scores, s)
		if s.Alarm {
			alarms = append(alarms, i)
		}
	}
	return alarms, scores
}

func TestFindsWhatHappens(t *testing.T) {
	const n, when = 2600, 2000
	for name, change := range map[string]func(i int, x float64) float64{
		"spike":         func(i int, x float64) float64 { return x + 4 },
		"level":         func(i int, x float64) float64 { return x - 3 },
		"stuck":         func(i int, x float64) float64 { return 3.3 },
		"wrong time":    func(i int, x float64) float64 { return 5 + 2*math.Sin(2*math.Pi*(float64(i%288)/288+0.5)) },
		"faster course": func(i int, x float64) float64 { return 5 + 2*math.Sin(2*math.Pi*float64(i)/20) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			d := New(Config{})
			alarms, _ := run(d, n, func(i int) float64 {
				x := daily(r, i)
				if i >= when && (name != "spike" || i < when+3) {
					x = change(i, x)
				}
				return x
			})
			require.NotEmpty(t, alarms)
			first := -1
			early := 0
			for _, a := range alarms {
				if a < when {
					early++
				} else if first < 0 {
					first = a
				}
			}
			require.LessOrEqual(t, early, 2, "false alarms before it: %v", alarms)
			require.GreaterOrEqual(t, first, when)
			require.Less(t, first, when+60, "found late: %v", alarms)
		})
	}
}

func TestFalseAlarmsStayNearTheStatedRate(t *testing.T) {
	const n = 20000
	for _, rate := range []float64{1e-3, 1e-4} {
		total := 0
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 9))
			alarms, _ := run(New(Config{FalseAlarms: rate, Refractory: 1, Memory: 2000}), n, func(int) float64 { return r.NormFloat64() })
			total += len(alarms)
		}
		expected := 3 * n * rate
		require.LessOrEqual(t, float64(total), 2*expected+4, "rate %v", rate)
	}
}

func TestFollowsDrift(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	alarms, _ := run(New(Config{Memory: 1000}), 9000, func(i int) float64 {
		x := daily(r, i) + float64(i)*0.0005
		if i >= 4000 {
			x += 6
		}
		return x
	})
	late := 0
	for _, a := range alarms {
		if a > 5500 {
			late++
		}
	}
	require.NotEmpty(t, alarms)
	require.LessOrEqual(t, late, 2, "still alarming long after the change: %v", alarms)
}

func TestStartsWithinMinutes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	d := New(Config{})
	var found bool
	for i := range 75 { // seconds
		x := 4 + 0.05*r.NormFloat64()
		if i >= 70 {
			x += 5
		}
		s := d.Push(start.Add(time.Duration(i)*time.Second), []float64{x})
		found = found || s.Alarm
	}
	require.True(t, found)
}

// A stream of a point a second must still know what it showed yesterday.
func TestFastStreamKnowsTheTimeOfDay(t *testing.T) {
	var c clock
	for i := range 3 * daySeconds {
		c.add(start.Add(time.Duration(i)*time.Second), float64(i%daySeconds))
	}
	for _, second := range []int{0, 1234, 43210, 86399} {
		d, ok := c.distance(start.Add(time.Duration(3*daySeconds+second)*time.Second), float64(second))
		require.True(t, ok, "second %d", second)
		require.LessOrEqual(t, d, 60.0, "second %d", second)
	}
}

func TestFindsChannelsThatPart(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	d := New(Config{Channels: 2})
	var joint []int
	for i := range 1500 {
		common := 2 * math.Sin(float64(i)/7) * math.Cos(float64(i)/31)
		x, y := common+0.02*r.NormFloat64(), common+0.02*r.NormFloat64()
		if i >= 1400 {
			y = -y
		}
		if s := d.Push(at(i), []float64{x, y}); s.Novelty > standsOut && s.Channel == Joint {
			joint = append(joint, i)
		}
	}
	require.NotEmpty(t, joint)
	inside := 0
	for _, i := range joint {
		if i >= 1400 {
			inside++
		}
	}
	require.Greater(t, inside, len(joint)/2, "%v", joint)
}

// Whatever comes, and in whatever order: finite scores, no panic, and a point without values changes nothing.
func TestTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := rapid.IntRange(1, 3).Draw(t, "channels")
		d := New(Config{Channels: channels, Memory: 64})
		odd := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1, 1, 1e308, -1e149, 5e-324})
		n := rapid.IntRange(1, 400).Draw(t, "n")
		for range n {
			when := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "time"), 0)
			values := rapid.SliceOfN(rapid.OneOf(odd, rapid.Float64()), 0, channels+1).Draw(t, "values")
			s := d.Push(when, values)
			for _, x := range []float64{s.Value, s.Novelty, s.Surprise} {
				if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					t.Fatalf("score %+v", s)
				}
			}
		}
	})
}

func TestConstantThenMissingThenConstant(t *testing.T) {
	d := New(Config{})
	for i := range 600 {
		x := 5.0
		if i > 200 && i < 300 {
			x = math.NaN()
		}
		require.Zero(t, d.Push(at(i), []float64{x}).Value, "point %d", i)
	}
	require.True(t, d.Push(at(601), []float64{5.5}).Alarm, "the first change of a constant is news")
}

// Scores of a prefix do not depend on what comes after: no looking ahead, and a restored snapshot goes on exactly.
func TestCausalAndResumable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := rapid.IntRange(1, 3).Draw(t, "channels")
		n := rapid.IntRange(100, 700).Draw(t, "n")
		cut := rapid.IntRange(0, n-1).Draw(t, "cut")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		config := Config{Channels: channels, Memory: 96, Refractory: 40}
		whole, prefix := New(config), New(config)
		var resumed Detector
		for i := range n {
			values := make([]float64, channels)
			for c := range values {
				if values[c] = daily(r, 20*i) + float64(r.IntN(2)); r.IntN(20) == 0 {
					values[c] = math.NaN()
				}
			}
			want := whole.Push(at(7*i), values)
			if i < cut {
				if got := prefix.Push(at(7*i), values); got != want {
					t.Fatalf("point %d: %+v, not %+v", i, got, want)
				}
				continue
			}
			if i == cut {
				b, err := prefix.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if err := resumed.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
				again, _ := resumed.MarshalBinary()
				if string(again) != string(b) {
					t.Fatal("a restored detector has another snapshot")
				}
			}
			if got := resumed.Push(at(7*i), values); got != want {
				t.Fatalf("point %d after restoring at %d: %+v, not %+v", i, cut, got, want)
			}
		}
	})
}

func TestSnapshotRefusesWhatIsNot(t *testing.T) {
	d := New(Config{Channels: 2, Memory: 64})
	for i := range 300 {
		d.Push(at(i), []float64{float64(i % 7), float64(i % 5)})
	}
	b, err := d.MarshalBinary()
	require.NoError(t, err)
	var other Detector
	require.NoError(t, other.UnmarshalBinary(b))
	for i := range b {
		bad := append([]byte(nil), b...)
		bad[i] ^= 0x10
		require.ErrorIs(t, other.UnmarshalBinary(bad), ErrSnapshot, "byte %d", i)
	}
	for _, cut := range []int{0, 5, len(b) / 2, len(b) - 1} {
		require.ErrorIs(t, other.UnmarshalBinary(b[:cut]), ErrSnapshot)
	}
	after, err := other.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, b, after, "a refused snapshot must leave the detector as it was")
}

func FuzzUnmarshal(f *testing.F) {
	d := New(Config{Channels: 2, Memory: 64})
	for i := range 90 {
		d.Push(at(i), []float64{float64(i % 7), math.Sqrt(float64(i))})
	}
	b, _ := d.MarshalBinary()
	f.Add(b[:len(b)-4])
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum would hide everything behind it: give each body its right one.
		sum := crc32.ChecksumIEEE(body)
		data := append(append([]byte(nil), body...), byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
		var d Detector
		if d.UnmarshalBinary(data) != nil {
			return
		}
		for i := range 3 {
			d.Push(at(i), []float64{float64(i)})
		}
		if _, err := d.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestConfigBounds(t *testing.T) {
	require.NoError(t, Config{}.Validate())
	for _, c := range []Config{{Channels: -1}, {Channels: 65}, {Memory: 63}, {Memory: 100_001}, {Refractory: -1}, {FalseAlarms: 1}, {FalseAlarms: math.NaN()}} {
		require.Error(t, c.Validate(), "%+v", c)
		require.Panics(t, func() { New(c) })
	}
}

// noise is the same sequence in [0, 1) on every machine.
type noise uint64

func (n *noise) next() float64 {
	*n ^= *n << 13
	*n ^= *n >> 7
	*n ^= *n << 17
	return float64(*n>>11) / (1 << 53)
}

// The bits of a score are part of the record: these hashes must come out on every architecture and instruction set.
// GOAMD64=v1 and v3 and arm64 (under qemu) gave them.
func TestSameBitsEverywhere(t *testing.T) {
	h := crc32.NewIEEE()
	write := func(s Score) {
		for _, v := range []float64{s.Value, s.Novelty, s.Surprise} {
			h.Write(strconv.AppendUint(nil, math.Float64bits(v), 16))
		}
	}
	d := New(Config{Channels: 2, Memory: 300})
	n, y := noise(88172645463325252), 20.0
	for i := range 3000 {
		u := n.next()
		y += float64(0.3 * (u - 0.5))
		write(d.Push(at(i), []float64{y, float64(u*3) - float64(y*0.01)}))
	}
	require.Equal(t, uint32(goldenDetector), h.Sum32())

	h.Reset()
	var rows [][]float64
	for i := range 1000 {
		u := n.next()
		y += float64(0.3 * (u - 0.5))
		rows = append(rows, []float64{y, u, float64(u*2) + n.next(), n.next() + float64(i/700)})
	}
	m, err := FitMonitor(rows[:400], MonitorConfig{})
	require.NoError(t, err)
	p, err := FitPCA(rows[:400], 1e-3)
	require.NoError(t, err)
	for _, r := range rows[400:] {
		s, err := m.Push(r)
		require.NoError(t, err)
		write(s)
		s, err = p.Push(r)
		require.NoError(t, err)
		write(s)
	}
	require.Equal(t, uint32(goldenModels), h.Sum32())
}

func BenchmarkPush(b *testing.B) {
	d := New(Config{})
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 6000 {
		d.Push(at(i), []float64{daily(r, i)})
	}
	b.ResetTimer()
	for i := range b.N {
		d.Push(at(6000+i), []float64{daily(r, i)})
	}
}
