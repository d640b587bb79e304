package api_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

func (n *node) summary() api.ShipmentSummary {
	n.t.Helper()
	return as[api.Shipment](n.get("/shipments/milk-1")).Summary
}

func TestJudgesAShipmentAsItGoesOn(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	n.cut()
	n.at(start + minute)
	s := n.summary()
	require.Equal(t, api.NoData, s.State)
	require.Equal(t, "No reading yet from 1 device.", s.Sentence)
	require.Equal(t, "Whole milk and 1 more", s.Description)
	require.Equal(t, "The MakerMSP", s.Organisation.Name)

	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 4.2)})
	n.cut()
	s = n.summary()
	require.Equal(t, api.InBand, s.State)
	require.Equal(t, "In band, now 4.2 °C.", s.Sentence)
	require.EqualValues(t, 2, s.Readings)
	require.False(t, *s.OutOfBandNow)

	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 2, Readings: series(start+2*minute, 6.5, 9, 9.1)})
	n.cut()
	s = n.summary()
	require.Equal(t, api.Watch, s.State)
	require.Equal(t, "Out of band for 2 minutes, now 9.1 °C.", s.Sentence)
	require.True(t, *s.OutOfBandNow)
	require.InDelta(t, 2, s.OutOfBandMinutes, 1e-9)
	detail := as[api.Shipment](n.get("/shipments/milk-1"))
	require.Equal(t, api.CheckGoods, detail.Action.Kind)
	require.Len(t, detail.Excursions, 1)
	require.Equal(t, api.Excursion{
		Device: "logger-1", From: (start + 2*minute).Time(), To: (start + 4*minute).Time(), Open: true, Direction: api.Above, Minutes: 2, Extreme: 9.1, ExtremeTime: (start + 4*minute).Time(),
	}, detail.Excursions[0])

	n.raise(alert("spoilage-predicted-1", provenance.KindSpoilage, func(a *provenance.Alert) {
		a.Drivers = []provenance.Driver{{Name: "hoursLeft", Value: 31e6}, {Name: "hoursLeftHigh", Value: 38e6}, {Name: "hoursLeftLow", Value: 26e6}}
	}))
	n.cut()
	detail = as[api.Shipment](n.get("/shipments/milk-1"))
	require.Equal(t, api.Act, detail.Summary.State)
	require.Equal(t, "Out of band for 2 minutes, now 9.1 °C; predicted spoiled in 31 h (80 % between 26 and 38).", detail.Summary.Sentence)
	require.Equal(t, (start + 4*minute + 31*hour).Time(), *detail.Summary.Prediction.Expected)
	require.InDelta(t, 0.8, detail.Summary.Prediction.Probability, 1e-9)
	require.Equal(t, api.Acknowledge, detail.Action.Kind)
	require.Equal(t, "spoilage-predicted-1", *detail.Action.Alert)

	n.raise(alert("spoilage-predicted-1", provenance.KindSpoilage, func(a *provenance.Alert) {
		a.Acknowledgement = &provenance.Acknowledgement{Organisation: "MakerMSP", Person: "Ada", Comment: "Door shut.", Time: start + hour}
	}))
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 3, Readings: series(start+5*minute, 5)})
	n.cut()
	s = n.summary()
	require.Equal(t, api.Watch, s.State, "the acknowledged alert's condition lasts")
	require.Equal(t, "Back in band at 5.0 °C after 3 minutes outside, 30 minutes allowed.", s.Sentence)

	n.open(milk(func(s *provenance.Shipment) { s.Closed, s.Attachments[0].To = start+hour, start+hour }))
	n.cut()
	s = n.summary()
	require.Equal(t, api.Decided, s.State)
	require.Equal(t, "Closed on 21 September 2026; out of band for 3 minutes in all, 30 minutes allowed.", s.Sentence)
}

func TestTakesInWhatCameLate(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	day := 24 * hour
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 8, 4)})
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 2, Readings: series(start+day, 4, 8, 8)})
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 4, Readings: series(start+2*day, 4, 5, 4)})
	n.cut()
	require.InDelta(t, 1+(24*60-1), n.summary().OutOfBandMinutes, 1e-9, "out until it was seen back in band")
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 3, Readings: series(start+day+3*minute, 8, 5), Late: true})
	n.cut()
	detail := as[api.Shipment](n.get("/shipments/milk-1"))
	require.InDelta(t, 1+3, detail.Summary.OutOfBandMinutes, 1e-9)
	require.EqualValues(t, 11, detail.Summary.Readings)
	require.Len(t, detail.Excursions, 2)
	require.Equal(t, (start + day + 4*minute).Time(), detail.Excursions[1].To)
	require.False(t, detail.Excursions[1].Open)

	// A node that starts now comes to the same.
	again, err := api.New(n.service)
	require.NoError(t, err)
	n.handler = again
	require.Equal(t, detail, as[api.Shipment](n.get("/shipments/milk-1")))
}

func TestWatchesDevices(t *testing.T) {
	for name, c := range map[string]struct {
		now      provenance.Time
		speed    float64
		change   func(*provenance.Device)
		state    api.ShipmentState
		sentence string
		action   api.ActionKind
	}{
		"heard":             {now: start + 30*minute, state: api.InBand, sentence: "In band, now 4.0 °C."},
		"silent":            {now: start + 32*minute, state: api.Watch, sentence: "In band, now 4.0 °C. logger-1 is silent since 21 September 14:13 UTC.", action: api.CheckDevice},
		"a fast clock":      {now: start + 90*minute, speed: 600, state: api.InBand, sentence: "In band, now 4.0 °C."},
		"silent all of it":  {now: start + 210*minute, speed: 600, state: api.Watch, sentence: "In band, now 4.0 °C. logger-1 is silent since 21 September 14:13 UTC.", action: api.CheckDevice},
		"suspended":         {now: start, change: func(d *provenance.Device) { d.Status = provenance.Suspended }, state: api.Watch, sentence: "In band, now 4.0 °C. logger-1 is suspended.", action: api.CheckDevice},
		"calibration over":  {now: start, change: func(d *provenance.Device) { d.CalibrationDue = start - 1 }, state: api.Watch, sentence: "In band, now 4.0 °C. The calibration of logger-1 was due on 21 September 2026.", action: api.RenewCalibration},
		"calibration ahead": {now: start, change: func(d *provenance.Device) { d.CalibrationDue = start + 1 }, state: api.InBand, sentence: "In band, now 4.0 °C."},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			n.members()
			n.open(milk(nil))
			n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4)})
			n.cut()
			require.Equal(t, api.InBand, n.at(start).summary().State)
			if c.change != nil {
				record, err := n.store.Device(t.Context(), "logger-1")
				require.NoError(t, err)
				c.change(&record.Device)
				n.chain.Put("CarrierMSP", "devices:Suspend", map[string]any{provenance.DeviceKeyState("logger-1"): &record.Device})
				n.cut()
			}
			n.clock.set(c.now.Time(), c.speed)
			detail := as[api.Shipment](n.get("/shipments/milk-1"))
			require.Equal(t, c.state, detail.Summary.State)
			require.Equal(t, c.sentence, detail.Summary.Sentence)
			if c.action == "" {
				require.Nil(t, detail.Action)
				return
			}
			require.Equal(t, c.action, detail.Action.Kind)
		})
	}
}

func (n *node) at(t provenance.Time) *node {
	n.clock.set(t.Time(), 0)
	return n
}

func TestListsShipmentsByNeedAndPages(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.at(start)
	for i := range 7 {
		n.open(milk(func(s *provenance.Shipment) {
			s.ID = fmt.Sprintf("milk-%d", i)
			s.Opened += provenance.Time(i)
			s.Attachments = nil
			switch i {
			case 1:
				s.Attachments = []provenance.Attachment{{Device: "logger-1", From: start}}
			case 2:
				s.Closed = start
			case 3:
				s.Attachments = []provenance.Attachment{{Device: "logger-2", From: start}}
				s.Destination = "Linz"
			}
		}))
	}
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 7, 7)},
		ledgertest.Frame{Device: "logger-2", Sequence: 1, Readings: series(start, 4, 5, 5)})
	n.raise(alert("a", provenance.KindAnomaly, func(a *provenance.Alert) { a.Shipment = "milk-5" }))
	n.cut()

	var ids []string
	after := ""
	for {
		page := as[api.ShipmentPage](n.get("/shipments?limit=2&after=" + after))
		require.EqualValues(t, 7, page.Total)
		require.Equal(t, []api.StateCount{{State: api.Act, Count: 1}, {State: api.Watch, Count: 1}, {State: api.InBand, Count: 1}, {State: api.NoData, Count: 3}, {State: api.Decided, Count: 1}}, page.States)
		for _, s := range page.Items {
			ids = append(ids, s.Id)
		}
		if page.Next == nil {
			break
		}
		require.Len(t, page.Items, 2)
		after = *page.Next
	}
	require.Equal(t, []string{"milk-5", "milk-1", "milk-6", "milk-4", "milk-0", "milk-3", "milk-2"}, ids)

	list := func(query string) (ids []string) {
		page := as[api.ShipmentPage](n.get("/shipments?" + query))
		for _, s := range page.Items {
			ids = append(ids, s.Id)
		}
		require.EqualValues(t, len(ids), page.Total)
		return ids
	}
	require.Equal(t, []string{"milk-3"}, list("search=LINZ"))
	require.Len(t, list("search=cream"), 7)
	require.Equal(t, []string{"milk-2"}, list("open=false"))
	require.Equal(t, []string{"milk-5", "milk-1"}, list("state=act&state=watch"))
	require.Equal(t, []string{"milk-6", "milk-5"}, list("sort=id&order=desc&open=true")[:2])
	require.Equal(t, "milk-0", list("sort=id")[0])
	require.Equal(t, "milk-6", list("sort=opened")[0])
	require.Equal(t, "milk-1", list("sort=outOfBand")[0])
	require.Equal(t, "milk-5", list("sort=alerts")[0])
	n.get("/shipments?sort=opened&after="+after).problem(400, api.Invalid)
}

func TestChartsReadings(t *testing.T) {
	n := newNode(t, nil)
	n.members()
	n.open(milk(nil))
	n.record(
		ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 5, 7, 8, 5)},
		ledgertest.Frame{Device: "logger-1", Sequence: 3, Readings: series(start+20*minute, 5, 4), Late: true},
	)
	n.cut()
	r := as[api.Readings](n.get("/shipments/milk-1/readings?resolution=0"))
	require.Len(t, r.Series, 1)
	require.Len(t, r.Series[0].Points, 7)
	require.Equal(t, api.Point{T: (start + minute).Time(), Min: 5, Mean: 5, Max: 5, Count: 1, Reading: &api.ReadingReference{Epoch: 1, Sequence: 1, Index: 1}}, r.Series[0].Points[1])
	require.True(t, r.Series[0].Points[6].Backfilled)
	one := int64(1)
	require.Equal(t, []api.Gap{{From: (start + 4*minute).Time(), To: (start + 20*minute).Time(), MissingFrames: &one}}, r.Series[0].Gaps)
	require.Len(t, r.Excursions, 1)

	r = as[api.Readings](n.get("/shipments/milk-1/readings"))
	require.EqualValues(t, 2, r.Resolution, "21 minutes in at most 1000 steps")
	require.Equal(t, start.Time(), r.From)
	r = as[api.Readings](n.get("/shipments/milk-1/readings?resolution=600"))
	require.Len(t, r.Series[0].Points, 2)
	sum := int32(0)
	for _, p := range r.Series[0].Points {
		require.Zero(t, p.T.Unix()%600)
		sum += p.Count
	}
	require.EqualValues(t, 7, sum)
	r = as[api.Readings](n.get("/shipments/milk-1/readings?resolution=0&from=" + (start + minute).String() + "&to=" + (start + 3*minute).String()))
	require.Len(t, r.Series[0].Points, 2, "from is inclusive, to is not")
	require.Len(t, r.Excursions, 1, "it touches the range")
	require.Empty(t, r.Series[0].Gaps)
	n.get("/shipments/milk-1/readings?from=2026-09-22T00:00:00Z&to=2026-09-21T00:00:00Z").problem(400, api.Invalid)
	n.get("/shipments/milk-2/readings").problem(404, api.NotFound)
	n.get("/shipments/milk-1/readings?resolution=1&from=2026-01-01T00:00:00Z").problem(400, api.Invalid)
}
