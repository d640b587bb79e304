package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/analytics/thermal"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var dawn = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

func milkShipment(id string, devices ...string) provenance.Shipment {
	s := provenance.Shipment{
		ID: id, Organisation: "CarrierMSP", Parties: []string{"CarrierMSP"}, Profile: "milk-pasteurised", Initial: 2_400_000,
		Limits: provenance.Limits{Min: -500_000, Max: 7_200_000, AllowedMinutes: 240}, Changed: 1,
	}
	for _, d := range devices {
		s.Attachments = append(s.Attachments, provenance.Attachment{Device: d, From: provenance.TimeOf(dawn)})
	}
	return s
}

// drive gives the readings of a truck whose compressor fails after eight hours.
func drive(t testing.TB, seed uint64, hours int, devices ...string) []Reading {
	t.Helper()
	truck, err := thermal.New(thermal.Config{Seed: seed, Start: dawn, Setpoint: 5, Ambient: 26, Probes: len(devices), Fault: thermal.CompressorFailure, FaultAt: 8 * time.Hour})
	require.NoError(t, err)
	var readings []Reading
	for range hours * 60 {
		sample := truck.Step()
		for k, v := range sample.Readings {
			readings = append(readings, Reading{Device: devices[k], Time: provenance.TimeOf(sample.Time), Value: provenance.Micro(v)})
		}
	}
	return readings
}

// frames cuts readings into frames of an hour for each device, by when they end.
func frames(readings []Reading) [][]Reading {
	var all [][]Reading
	open := map[string][]Reading{}
	for _, r := range readings {
		if open[r.Device] = append(open[r.Device], r); len(open[r.Device]) == 60 {
			all = append(all, open[r.Device])
			open[r.Device] = nil
		}
	}
	return all
}

type running struct {
	*Service
	registry *prometheus.Registry
	stop     func()
}

// run runs the service of a node inside a synctest bubble.
func run(t testing.TB, n *node, dir string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	registry := prometheus.NewRegistry()
	s, err := New(Config{Dir: dir, Pause: 10 * time.Millisecond}, n, n, slog.New(slog.DiscardHandler), registry)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var stopped bool
	r := &running{Service: s, registry: registry, stop: func() {
		if !stopped {
			stopped = true
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		}
	}}
	t.Cleanup(r.stop)
	return r
}

func (r *running) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// settle lets simulated time pass, so that all work that waits is done.
func settle() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

func ids(alerts []provenance.Alert) (ids []string) {
	for _, a := range alerts {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	return ids
}

// expected is what an auditor finds in all readings.
func expected(t testing.TB, s provenance.Shipment, readings []Reading, model *running) []spoilage.Finding {
	t.Helper()
	profile, config, err := Profile(&s)
	require.NoError(t, err)
	var input []spoilage.Reading
	var last provenance.Time
	for _, r := range readings {
		input = append(input, spoilage.Reading{Device: r.Device, Time: r.Time.Time(), Temperature: int64(r.Value)})
		last = max(last, r.Time)
	}
	found, err := spoilage.Recompute(profile, model.model, config, input, last.Time())
	require.NoError(t, err)
	return found
}

// TestOneAlertPerIncident: many readings, one alert for each incident, and each can be recomputed from what it names.
func TestOneAlertPerIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		shipment := milkShipment("s1", "a", "b")
		c.open(shipment)
		readings := drive(t, 3, 30, "a", "b")
		s := run(t, c.node("CarrierMSP"), t.TempDir())
		for _, frame := range frames(readings) {
			c.cut("s1", frame...)
			settle()
		}
		alerts := c.raised()
		found := expected(t, shipment, readings, s)
		require.GreaterOrEqual(t, len(found), 2, "the truck must get into trouble")
		require.Len(t, alerts, len(found))
		for i := range found {
			require.Contains(t, ids(alerts), AlertID(&found[i]))
		}
		for _, a := range alerts {
			var seen []Reading
			for _, r := range c.readings["s1"] {
				if r.Block <= a.AsOfBlock {
					seen = append(seen, r)
				}
			}
			require.Equal(t, InputRoot(seen), a.InputRoot)
			require.EqualValues(t, len(seen), a.Readings)
			again := expected(t, shipment, seen, s)
			k := slices.IndexFunc(again, func(f spoilage.Finding) bool { return AlertID(&f) == a.ID })
			require.GreaterOrEqual(t, k, 0, "an auditor finds it, too")
			require.Equal(t, again[k].Sentence, a.Message)
			require.EqualValues(t, again[k].Score, a.Score)
			require.Equal(t, Drivers(&again[k]), a.Drivers)
			require.Less(t, a.AsOfBlock, c.height, "it comes with the readings, not with the last ones")
		}
		require.Len(t, c.requests, len(alerts), "nothing is asked for twice")
		require.Equal(t, Registration(s.model), c.models[0])
		require.EqualValues(t, c.height, s.metric(t, "trailmark_analytics_block"))
	})
}

// TestEveryDriverHasAUnit: a name that the scorer invents and unitOf does not know would be called a bare number.
func TestEveryDriverHasAUnit(t *testing.T) {
	bare := []string{"probability", "lifeUsed", "lifeUsedLow", "lifeUsedHigh", "error", "threshold", "falseAlarms"}
	s := &running{Service: &Service{}}
	var err error
	s.model, err = LoadModel("")
	require.NoError(t, err)
	kinds := map[spoilage.Kind]bool{}
	for seed := range uint64(3) {
		for _, product := range []string{"milk-pasteurised", "vaccine-vvm2"} {
			shipment := milkShipment("s", "a")
			shipment.Profile = product
			for _, f := range expected(t, shipment, drive(t, seed, 60, "a"), s) {
				kinds[f.Kind] = true
				for name := range f.Drivers {
					if unitOf(name) == "1" {
						require.Contains(t, bare, name)
					}
				}
			}
		}
	}
	require.Len(t, kinds, len(spoilage.Kinds()), "every kind was seen: %v", kinds)
}

// death is a kill -9 at a call of the service: from then on every call fails, and what the folder held then is what is found later.
type death struct {
	at   int
	late bool // the call took effect, but the service does not learn of it
	lose bool // the disk loses the snapshots
	dir  string
	gone bool
}

var errDead = errors.New("killed")

func (d *death) strike(call int) error {
	if call < d.at {
		return nil
	}
	if !d.gone {
		d.gone = true
		if d.lose {
			return errors.Join(errDead, os.MkdirAll(d.kept(), 0o700))
		}
		return errors.Join(errDead, os.CopyFS(d.kept(), os.DirFS(d.dir)))
	}
	return errDead
}

func (d *death) kept() string { return d.dir + ".kept" }

func (d *death) attach(n *node) {
	if d.late {
		n.after = d.strike
	} else {
		n.before = d.strike
	}
}

// TestKilledAnywhere kills the service before or after any of its calls, with what its snapshots were then, and starts it again: the
// ledger holds the same alerts as without, none doubled, whether the snapshots are there or not.
func TestKilledAnywhere(t *testing.T) {
	readings := frames(drive(t, 5, 26, "a"))
	play := func(t *testing.T, random *rand.Rand, order [][]Reading) (alerts []provenance.Alert, kills int) {
		synctest.Test(t, func(t *testing.T) {
			c := newChain()
			c.lag = true
			c.open(milkShipment("s1", "a"))
			var s *running
			var d *death
			start := func(dir string) {
				c.nodes = nil
				n := c.node("CarrierMSP")
				d = &death{dir: dir, at: 1 << 60}
				if random != nil {
					d.at, d.late, d.lose = 1+random.IntN(50), random.IntN(2) == 0, random.IntN(4) == 0
				}
				d.attach(n)
				s = run(t, n, dir)
			}
			again := func() {
				c.mu.Lock()
				gone := d.gone
				c.mu.Unlock()
				if gone {
					kills++
					s.stop()
					start(d.kept())
					settle()
				}
			}
			start(filepath.Join(t.TempDir(), "node"))
			for _, frame := range order {
				c.cut("s1", frame...)
				settle()
				again()
			}
			random = nil // whatever is still open gets done
			for range 3 {
				c.cut("s1")
				settle()
				again()
			}
			s.stop()
			alerts = c.raised()
		})
		return alerts, kills
	}
	backfilled := slices.Insert(slices.Delete(slices.Clone(readings), 6, 7), 14, readings[6]) // an hour from before the failure comes long after
	for name, order := range map[string][][]Reading{"in order": readings, "back-filled": backfilled} {
		want, _ := play(t, nil, order)
		require.GreaterOrEqual(t, len(want), 2)
		total := 0
		for seed := range uint64(10) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				got, kills := play(t, rand.New(rand.NewPCG(seed, 1)), order)
				total += kills
				require.Equal(t, ids(want), ids(got))
			})
		}
		require.Greater(t, total, 8, "the services must have died")
	}
}
