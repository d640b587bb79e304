package service

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestNodesSeeBlocksInOtherPortions: one node looks at every block, the other at many at once, an hour comes late and moves where
// incidents begin, and what one raised shows to the other a block later. Still each incident is one alert, with two attestations.
func TestNodesSeeBlocksInOtherPortions(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 7))
				c := newChain()
				c.lag = true
				shipment := milkShipment("s1", "a", "b")
				c.open(shipment)
				readings := drive(t, seed, 26, "a", "b")
				order := frames(readings)
				for range 3 {
					from := 10 + random.IntN(20)
					moved := order[from]
					order = slices.Insert(slices.Delete(order, from, from+1), from+1+random.IntN(12), moved)
				}
				prompt := run(t, c.node("CarrierMSP"), t.TempDir())
				slow := c.node("ManufacturerMSP")
				slow.behind = true
				lazy := run(t, slow, "")
				for _, frame := range order {
					c.cut("s1", frame...)
					if random.IntN(4) == 0 {
						slow.catchUp()
					}
					settle()
				}
				for range 3 {
					c.cut("s1")
					slow.catchUp()
					settle()
				}
				require.Positive(t, prompt.metric(t, "trailmark_analytics_recomputed_total"), "an hour came late")
				require.Zero(t, lazy.metric(t, "trailmark_analytics_unscored_shipments"))
				alerts := c.raised()
				found := expected(t, shipment, readings, prompt)
				require.Len(t, alerts, len(found), "%v", ids(alerts))
				for i := range found {
					require.True(t, slices.ContainsFunc(alerts, func(a provenance.Alert) bool { return StandsFor(a.ID, &found[i]) }), AlertID(&found[i]))
				}
				for _, a := range alerts {
					require.Len(t, a.Attestations, 2, a.ID)
				}
			})
		})
	}
}

// TestInOrderBothNodesSayTheSame: without late readings the portions make no difference at all: same score, same input, same block.
func TestInOrderBothNodesSayTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.open(milkShipment("s1", "a"))
		run(t, c.node("CarrierMSP"), "")
		slow := c.node("ManufacturerMSP")
		run(t, slow, "")
		settle()
		slow.behind = true
		for i, frame := range frames(drive(t, 5, 26, "a")) {
			c.cut("s1", frame...)
			if i%5 == 4 {
				slow.catchUp()
			}
			settle()
		}
		slow.catchUp()
		settle()
		require.NotEmpty(t, c.raised())
		for _, a := range c.raised() {
			require.Len(t, a.Attestations, 2)
			first, second := a.Attestations[0], a.Attestations[1]
			require.Equal(t, first.Score, second.Score)
			require.Equal(t, first.InputRoot, second.InputRoot)
			require.Equal(t, first.AsOfBlock, second.AsOfBlock)
		}
	})
}

// TestOthersGoOn: a shipment under an unknown profile, one that the ledger refuses, and one whose readings cannot be read do not keep
// the next one waiting.
func TestOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		unknown := milkShipment("a-unknown", "a")
		unknown.Profile = "unobtainium"
		for _, s := range []provenance.Shipment{unknown, milkShipment("b-refused", "a"), milkShipment("c-broken", "a"), milkShipment("d-good", "a")} {
			c.open(s)
		}
		n := c.node("CarrierMSP")
		broken := true
		n.view = func(shipment string, _ []Reading) error {
			if shipment == "c-broken" && broken {
				return errors.New("disk error")
			}
			return nil
		}
		n.refuse = func(a provenance.AlertRequest) error {
			if a.Shipment == "b-refused" {
				return provenance.Conflictf("alert %s stands otherwise", a.ID)
			}
			return nil
		}
		s := run(t, n, t.TempDir())
		for _, frame := range frames(drive(t, 5, 26, "a")) {
			for _, shipment := range []string{"a-unknown", "b-refused", "c-broken", "d-good"} {
				c.cut(shipment, frame...)
			}
			settle()
		}
		of := func(shipment string) (alerts []provenance.Alert) {
			for _, a := range c.raised() {
				if a.Shipment == shipment {
					alerts = append(alerts, a)
				}
			}
			return alerts
		}
		good := of("d-good")
		require.NotEmpty(t, good)
		require.Empty(t, of("a-unknown"))
		require.Empty(t, of("b-refused"))
		require.EqualValues(t, len(good), s.metric(t, "trailmark_analytics_alerts_refused_total"), "each is refused once, and left")
		require.EqualValues(t, 2, s.metric(t, "trailmark_analytics_unscored_shipments"))
		require.Positive(t, s.metric(t, "trailmark_analytics_errors_total"))
		require.Less(t, s.metric(t, "trailmark_analytics_errors_total"), 100.0, "it is not hammered")

		n.mu.Lock()
		broken = false
		n.mu.Unlock()
		time.Sleep(2 * longestWait)
		synctest.Wait()
		require.Equal(t, ids(good), ids(of("c-broken")), "without another block")
		require.EqualValues(t, 1, s.metric(t, "trailmark_analytics_unscored_shipments"))
	})
}

// TestOutages: projection and ledger fail for a while; nothing is lost, although the last block came before they were back.
func TestOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.open(milkShipment("s1", "a"))
		n := c.node("CarrierMSP")
		down := false
		n.before = func(int) error {
			if down {
				return errors.New("unreachable")
			}
			return nil
		}
		ledgerDown := true
		n.refuse = func(provenance.AlertRequest) error {
			if ledgerDown {
				return errors.New("no endorsement")
			}
			return nil
		}
		s := run(t, n, t.TempDir())
		order := frames(drive(t, 5, 26, "a"))
		for i, frame := range order {
			n.mu.Lock()
			down = i%3 == 1
			n.mu.Unlock()
			c.cut("s1", frame...)
			settle()
		}
		require.Empty(t, c.raised())
		s.stop()
		s = run(t, n, s.config.Dir) // its snapshot is of a block after which nothing is recorded any more
		n.mu.Lock()
		down, ledgerDown = false, false
		n.mu.Unlock()
		time.Sleep(2 * longestWait)
		synctest.Wait()
		var all []Reading
		for _, frame := range order {
			all = append(all, frame...)
		}
		want := expected(t, c.shipments["s1"], all, s)
		require.NotEmpty(t, want)
		require.Len(t, c.raised(), len(want), "%v", ids(c.raised()))
		for _, a := range c.raised() {
			require.LessOrEqual(t, a.Interval.To-provenance.TimeOf(begin(t, a.ID)), provenance.Time(3*time.Hour/time.Millisecond), "what waited is raised as of the block that showed it")
		}
	})
}

// TestNewsOfTheLastBlock: the ledger is away when the last readings come, the service is stopped, and nothing is recorded any more.
func TestNewsOfTheLastBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		shipment := milkShipment("s1", "a")
		c.open(shipment)
		n := c.node("CarrierMSP")
		n.refuse = func(provenance.AlertRequest) error { return errors.New("no endorsement") }
		s := run(t, n, t.TempDir())
		settle()
		readings := drive(t, 5, 26, "a")
		c.cut("s1", readings...)
		settle()
		s.stop()
		require.Empty(t, c.raised())
		require.FileExists(t, s.snapshotPath("s1"))
		s = run(t, c.node("CarrierMSP"), s.config.Dir)
		settle()
		require.Len(t, c.raised(), len(expected(t, shipment, readings, s)))
	})
}

// TestAnIncidentMayBeginElsewhere: an hour that comes late moves where an incident begins. A node that scores all from the start then
// finds it under another name, and attests the alert that stands.
func TestAnIncidentMayBeginElsewhere(t *testing.T) {
	moved := 0
	for late := 4; late < 14; late += 3 {
		synctest.Test(t, func(t *testing.T) {
			c := newChain()
			shipment := milkShipment("s1", "a")
			c.open(shipment)
			readings := drive(t, 5, 26, "a")
			order := frames(readings)
			order = append(slices.Delete(slices.Clone(order), late, late+1), order[late])
			first := run(t, c.node("CarrierMSP"), "")
			for _, frame := range order {
				c.cut("s1", frame...)
				settle()
			}
			alerts := ids(c.raised())
			second := run(t, c.node("ManufacturerMSP"), "")
			settle()
			require.Equal(t, alerts, ids(c.raised()), "no new one")
			for _, f := range expected(t, shipment, readings, first) {
				require.True(t, slices.ContainsFunc(alerts, func(id string) bool { return StandsFor(id, &f) }), AlertID(&f))
				if !slices.Contains(alerts, AlertID(&f)) {
					moved++
				}
			}
			require.Positive(t, second.metric(t, "trailmark_analytics_alerts_total"))
		})
	}
	require.Positive(t, moved, "the case must occur")
}

// TestNoPartyAttests: who is no party of a shipment waits until a party has raised an alert, then attests it.
func TestNoPartyAttests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.parties = []string{"CarrierMSP"}
		c.open(milkShipment("s1", "a"))
		run(t, c.node("RegulatorMSP"), t.TempDir())
		for _, frame := range frames(drive(t, 5, 26, "a")) {
			c.cut("s1", frame...)
			settle()
		}
		require.Empty(t, c.raised())
		require.Len(t, c.requests, 1, "once refused, it waits")
		run(t, c.node("CarrierMSP"), t.TempDir())
		for range 3 {
			settle()
			c.cut("s1")
		}
		settle()
		require.NotEmpty(t, c.raised())
		for _, a := range c.raised() {
			require.Equal(t, "CarrierMSP", a.Organisation)
			require.Len(t, a.Attestations, 2)
		}
	})
}

// TestPlanChange: a device that is attached afterwards, as of the start, brings its readings in, and narrower limits are applied to
// what was recorded before; what stands is not raised again.
func TestPlanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		shipment := milkShipment("s1", "a")
		c.open(shipment)
		all := frames(drive(t, 5, 20, "a", "b"))
		s := run(t, c.node("CarrierMSP"), t.TempDir())
		for _, frame := range all[:10] {
			c.cut("s1", frame...)
			settle()
		}
		require.Empty(t, c.raised())
		shipment.Limits.Max, shipment.Limits.AllowedMinutes, shipment.Changed = 5_300_000, 10, 2
		c.open(shipment)
		c.cut("s1")
		settle()
		before := c.raised()
		require.NotEmpty(t, before, "the truck is warmer than that now and then")
		shipment.Attachments = append(shipment.Attachments, provenance.Attachment{Device: "b", From: provenance.TimeOf(dawn)})
		shipment.Changed = 3
		c.open(shipment)
		for _, frame := range all[10:] {
			c.cut("s1", frame...)
			settle()
		}
		alerts := c.raised()
		last := alerts[len(alerts)-1]
		require.Equal(t, []string{"a", "b"}, last.Devices)
		for i, a := range alerts {
			for j, b := range alerts {
				f := found(t, s, shipment, c, b)
				require.True(t, i == j || f == nil || !StandsFor(a.ID, f), "%s and %s are one incident", a.ID, b.ID)
			}
		}
		shipment.Closed = 4
		c.open(shipment)
		c.cut("s1")
		settle()
		left, err := os.ReadDir(s.config.Dir)
		require.NoError(t, err)
		require.Empty(t, left, "a closed shipment leaves no snapshot")
	})
}

// TestLateFramesCannotBuyTime: a device that sends every frame out of order makes the service score the shipment again, but not with
// every frame; an alert still comes.
func TestLateFramesCannotBuyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.open(milkShipment("s1", "a", "b"))
		n := c.node("CarrierMSP")
		s := run(t, n, t.TempDir())
		readings := drive(t, 5, 26, "a")
		for _, frame := range frames(readings) {
			c.cut("s1", frame...)
			settle()
		}
		quiet := s.metric(t, "trailmark_analytics_readings_total")
		stands := len(c.raised())
		last := readings[len(readings)-1].Time
		const late = 150
		for i := range late { // from the newest to the oldest, twenty a second
			c.cut("s1", Reading{Device: "b", Time: last - provenance.Time(i), Value: 5_000_000})
			time.Sleep(50 * time.Millisecond)
		}
		settle()
		spent := s.metric(t, "trailmark_analytics_readings_total") - quiet
		require.Less(t, spent, (float64(late)/20+5)/rescorePerReading.Seconds()*1.1, "bounded by time, whatever is sent")
		require.Less(t, s.metric(t, "trailmark_analytics_recomputed_total"), float64(late)/2, "not with every frame")
		require.Positive(t, s.metric(t, "trailmark_analytics_recomputed_total"))
		require.Len(t, c.raised(), stands)
		require.EqualValues(t, c.height, s.metric(t, "trailmark_analytics_block"), "in the end all is scored")
	})
}

// TestSnapshotOfAnotherLedger: a read model that was made anew is behind the snapshot, and a shipment of the same name on another
// ledger is not the same.
func TestSnapshotOfAnotherLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		play := func(changed provenance.Time, empty int) *chain {
			c := newChain()
			shipment := milkShipment("s1", "a")
			shipment.Changed = changed
			c.open(shipment)
			for range empty {
				c.cut("s1")
			}
			s := run(t, c.node("CarrierMSP"), dir)
			for _, frame := range frames(drive(t, 5, 26, "a")) {
				c.cut("s1", frame...)
				settle()
			}
			s.stop()
			return c
		}
		first := play(1, 50)
		require.NotEmpty(t, first.raised())
		behind := play(1, 0)
		require.Equal(t, ids(first.raised()), ids(behind.raised()))
		other := play(2, 200)
		require.Equal(t, ids(first.raised()), ids(other.raised()))
		require.NoError(t, os.WriteFile(dir+"/s1.snapshot", []byte(`{"plan":"x`), 0o600))
		torn := play(2, 0)
		require.Equal(t, ids(first.raised()), ids(torn.raised()))
	})
}

// found is the finding that an alert was raised for.
func found(t *testing.T, s *running, shipment provenance.Shipment, c *chain, a provenance.Alert) *spoilage.Finding {
	t.Helper()
	if !slices.Equal(a.Devices, []string{"a", "b"}) {
		return nil // under an earlier plan
	}
	var seen []Reading
	for _, r := range c.readings["s1"] {
		if r.Block <= a.AsOfBlock {
			seen = append(seen, r)
		}
	}
	for _, f := range expected(t, shipment, seen, s) {
		if AlertID(&f) == a.ID {
			return &f
		}
	}
	return nil
}

func begin(t *testing.T, id string) time.Time {
	t.Helper()
	begun, err := time.Parse(began, id[strings.LastIndex(id, "-")+1:])
	require.NoError(t, err)
	return begun
}
