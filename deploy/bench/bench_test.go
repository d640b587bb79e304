package bench

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/load"
)

func TestPercentileIsNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i+1) * time.Millisecond
	}
	require.Equal(t, 50*time.Millisecond, percentile(hundred, 50))
	require.Equal(t, 99*time.Millisecond, percentile(hundred, 99))
	require.Equal(t, 100*time.Millisecond, percentile(hundred, 100))
	require.Equal(t, time.Millisecond, percentile(hundred, 0))
	require.Equal(t, time.Duration(7), percentile([]time.Duration{7}, 99))
	require.Zero(t, percentile(nil, 50))
	require.Equal(t, Latency{P50: 2, P99: 3.5, Max: 3.5, Count: 3}, latencyOf([]time.Duration{3500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond}))
}

// The issue's own figures: 42 µs a signature, 40 µs a message, 8.1 MB/s on two busy cores.
func TestLimitAddsUp(t *testing.T) {
	ledger := 2.0 / 8.1e6 * 1024 * 1e6
	c := FrameCost{Bytes: 1024, HopMicros: 40}
	c.add(2, 42, ledger, 60)
	require.InDelta(t, 126, c.VerificationMicros, 1e-9)
	require.InDelta(t, 252.84, c.LedgerMicros, 0.01)
	require.InDelta(t, 2e6/(126+40+252.84), c.FramesPerSecond, 0.1)
	require.InDelta(t, 60*c.FramesPerSecond, c.ReadingsPerSecond, 1e-6)
}

func TestTargetsThatAreMissedSaySo(t *testing.T) {
	r := newResult(Config{Devices: 1, Lanes: 1, Seconds: 30})
	r.Naive = &Load{ReadingsPerSecond: 470}
	r.Packed = &Load{ReadingsPerSecond: 470 * 299, BlockBytesPerReading: 9.9}
	r.Single = &Load{ReadingsPerSecond: 4700}
	r.Limit = &Limit{Packed: FrameCost{ReadingsPerSecond: 470 * 299 * 2}, Single: FrameCost{ReadingsPerSecond: 10_000}}
	r.PackedQuarter = &Load{PublishToCommit: Latency{P50: 451, P99: 1100, Count: 10}}
	r.finish(time.Minute)
	missed := map[string]bool{}
	for _, x := range r.Targets {
		if x.Missed {
			missed[x.Name] = true
		}
	}
	require.Equal(t, map[string]bool{
		"packed, readings/s over naive": true, "single over the limit": true, "packed, publish to commit p50 at a quarter of the load": true,
	}, missed)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back struct{ Ratios map[string]*float64 }
	require.NoError(t, json.Unmarshal(text, &back))
	require.InDelta(t, 299, *back.Ratios["packedOverNaive"], 1e-9)
	require.InDelta(t, 10, *back.Ratios["singleOverNaive"], 1e-9)
	require.InDelta(t, 0.5, *back.Ratios["packedOverLimit"], 1e-9)
	require.InDelta(t, 0.47, *back.Ratios["singleOverLimit"], 1e-9)
	var table strings.Builder
	r.Table(&table)
	require.Equal(t, 3, strings.Count(table.String(), "MISSED"))
	require.Equal(t, 4, strings.Count(table.String(), "not measured"))
}

func TestWhatWasNotMeasuredHasNoRatio(t *testing.T) {
	r := newResult(Config{})
	r.finish(time.Second)
	require.Equal(t, Ratios{}, r.Ratios)
	for _, x := range r.Targets {
		require.Nil(t, x.Got)
		require.False(t, x.Missed)
	}
	require.InDelta(t, 0.4666, *rounded(0.46659), 1e-12)
	require.InDelta(t, 12350, *rounded(12345.6), 5)
	require.True(t, math.IsInf(*rounded(math.Inf(1)), 1))
}

func TestCountsThatDifferAreAnError(t *testing.T) {
	good := Counts{Published: 10, Acknowledged: 10, Committed: 10, Projected: 10, ProjectedReadings: 600}
	require.NoError(t, good.check(60))
	for name, spoil := range map[string]func(*Counts){
		"unacknowledged": func(c *Counts) { c.Acknowledged-- },
		"uncommitted":    func(c *Counts) { c.Committed-- },
		"unprojected":    func(c *Counts) { c.Projected-- },
		"readings":       func(c *Counts) { c.ProjectedReadings++ },
		"lost":           func(c *Counts) { c.Lost = 1 },
		"twice":          func(c *Counts) { c.Duplicated = 1 },
		"altered":        func(c *Counts) { c.Altered = 1 },
		"refused":        func(c *Counts) { c.Refused = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			require.ErrorAs(t, c.check(60), new(*MismatchError))
		})
	}
}

func TestProcessAccountingIsRead(t *testing.T) {
	seconds, err := parseStat([]byte("4242 (a ) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100 1 2\n"))
	require.NoError(t, err)
	require.InDelta(t, 3.0, seconds, 1e-9)
	for _, bad := range []string{"", "1 (x) S 1 2", "no brackets at all", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x 50 0"} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
	before := usage{pid: map[string]int{"ingest": 7, ourselves: 1}, cpu: map[string]float64{"ingest": 1, ourselves: 2}}
	spent, err := before.spent(usage{pid: before.pid, cpu: map[string]float64{"ingest": 1.5, ourselves: 2.25}})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"ingest": 0.5, ourselves: 0.25}, spent)
	_, err = before.spent(usage{pid: map[string]int{"ingest": 8, ourselves: 1}, cpu: map[string]float64{"ingest": 0.1, ourselves: 2}})
	require.ErrorContains(t, err, "process ingest ended")
}

func TestConfigurationIsChecked(t *testing.T) {
	full := Config{Seconds: 30, Devices: 10, Lanes: 1, Charts: 1}
	require.NoError(t, full.check())
	for _, spoil := range []func(*Config){
		func(c *Config) { c.Seconds = 29 }, func(c *Config) { c.Devices = 0 }, func(c *Config) { c.Lanes = 0 },
		func(c *Config) { c.History = -1 }, func(c *Config) { c.Charts = 0 }, func(c *Config) { c.Seconds = 1 << 20 },
	} {
		c := full
		spoil(&c)
		require.Error(t, c.check())
	}
	short := Config{Short: true, Seconds: 30, Devices: 20_000, Lanes: 16, History: 10_000_000, Charts: 300}
	require.NoError(t, short.check())
	require.Equal(t, 4, short.Seconds)
}

// signedTraffic is a fleet whose frames are signed, without a network.
func signedTraffic(t *testing.T, devices, rounds int) *traffic {
	t.Helper()
	fleet, err := load.NewFleet("CarrierMSP", "t", devices, 2, time.Now().Add(-liveSince))
	require.NoError(t, err)
	tr := &traffic{name: "t", perFrame: 2, step: time.Second, fleet: fleet, index: map[string]int{}}
	for i, d := range fleet.Devices {
		tr.index[d.ID] = i
	}
	for p := range tr.part {
		tr.part[p].devices = (devices - p + parts - 1) / parts
	}
	require.NoError(t, tr.sign(devices))
	require.NoError(t, tr.sign(devices*rounds))
	return tr
}

func TestEveryFrameIsFoundByItsIdentity(t *testing.T) {
	for _, devices := range []int{1, 3, 4, 10} {
		tr := signedTraffic(t, devices, 5)
		require.Equal(t, 5*devices, tr.unsent())
		seen := 0
		for p := range tr.part {
			last := map[string]uint64{}
			for i := range tr.part[p].messages {
				m := &tr.part[p].messages[i]
				require.Equal(t, last[m.ID.Device]+1, m.ID.Sequence, "a device's frames are in order")
				last[m.ID.Device] = m.ID.Sequence
				part, at, ok := tr.place(m.ID)
				require.True(t, ok)
				require.Same(t, &tr.part[p], part)
				require.Equal(t, i, at)
				seen++
			}
		}
		require.Equal(t, 5*devices, seen)
		for _, id := range []provenance.FrameID{{Device: "other", Sequence: 1}, {Device: tr.fleet.Devices[0].ID}, {Device: tr.fleet.Devices[0].ID, Sequence: 6}} {
			_, _, ok := tr.place(id)
			require.False(t, ok)
		}
	}
}

func TestAFleetCannotSignBeyondNow(t *testing.T) {
	tr := signedTraffic(t, 2, 1)
	tr.perFrame = 60
	require.ErrorContains(t, tr.sign(1000), "--devices")
}

func TestPacedPublicationCountsFromWhenItWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ending atomic.Bool
		begun := time.Now()
		next := steadily(parts*100, &ending) // a hundred a second for each part
		first, second := next(), next()
		due, goOn := first(t.Context(), 1)
		require.True(t, goOn)
		require.Equal(t, begun, due)
		due, _ = second(t.Context(), 1)
		require.Equal(t, 2500*time.Microsecond, due.Sub(begun), "parts take turns")
		time.Sleep(time.Second) // a stall
		due, _ = first(t.Context(), 1)
		require.Equal(t, 10*time.Millisecond, due.Sub(begun), "what is late counts from when it was due")
		ending.Store(true)
		_, goOn = first(t.Context(), 1)
		require.False(t, goOn)
	})
}

func TestTheWindowHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ending atomic.Bool
		var published, arrived atomic.Int64
		next := windowed(&published, arrived.Load, 10, &ending)()
		published.Store(10)
		passed := make(chan bool, 1)
		go func() {
			_, goOn := next(context.Background(), 1)
			passed <- goOn
		}()
		time.Sleep(time.Second)
		require.Empty(t, passed)
		arrived.Store(1)
		require.True(t, <-passed)
	})
}
