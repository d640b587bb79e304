package spoilage

import (
	"maps"
	"slices"
	"time"
)

// incident is one stretch of time in which a rule held on one device.
type incident struct {
	From, To int64
	Score    int64 // the highest
	Open     bool
	Facts    map[string]int64 // as of the last time the rule held; of an anomaly and of an excursion's extent, the worst
}

// rejoin is how long a rule may rest before what follows is a new incident.
const rejoin = 3 * hour

// hold says that a rule holds: it opens an incident or carries the last one on.
func (d *device) hold(kind Kind, from, at, score int64, facts map[string]int64) {
	list := d.Incidents[kind]
	if n := len(list); n > 0 && (list[n-1].Open || from-list[n-1].To <= rejoin) {
		last := &list[n-1]
		switch {
		case kind == Anomaly && score < last.Score:
			facts = last.Facts
		case kind == BandExcursion && facts["minutesOut"] < last.Facts["minutesOut"]:
			// A reading that touched the edge began a new count within the same incident.
			facts["minutesOut"], facts["extremeTemperature"] = last.Facts["minutesOut"], last.Facts["extremeTemperature"]
		}
		last.To, last.Open, last.Facts = at, true, facts
		last.Score = max(last.Score, score)
		return
	}
	list = append(list, incident{From: from, To: at, Score: score, Open: true, Facts: facts})
	if len(list) > maxIncidents {
		list = slices.Delete(list, 0, 1)
	}
	d.Incidents[kind] = list
}

// rest says that a rule does not hold.
func (d *device) rest(kind Kind) {
	if n := len(d.Incidents[kind]); n > 0 {
		d.Incidents[kind][n-1].Open = false
	}
}

// findings joins the devices' incidents of one kind: where they overlap, or follow within rejoin, they are one.
func (s *Scorer) findings(kind Kind, limit int64) []Finding {
	type owned struct {
		incident
		device string
	}
	var all []owned
	for _, id := range s.deviceIDs() {
		for _, i := range s.devices[id].Incidents[kind] {
			if i.From <= limit {
				all = append(all, owned{i, id})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int { return int(max(-1, min(1, a.From-b.From))) })
	var joined []owned
	for _, next := range all {
		n := len(joined)
		if n == 0 || (next.From-joined[n-1].To > rejoin && !joined[n-1].Open) {
			joined = append(joined, next)
			continue
		}
		last := &joined[n-1]
		from, to, open := last.From, max(last.To, next.To), last.Open || next.Open
		if next.Score > last.Score {
			*last = next
		}
		last.From, last.To, last.Open = from, to, open
	}
	out := make([]Finding, len(joined))
	for k, j := range joined {
		out[k] = Finding{
			Kind: kind, Device: j.device, Score: j.Score, Open: j.Open,
			From: time.UnixMilli(j.From).UTC(), To: time.UnixMilli(j.To).UTC(),
			Sentence: s.sentence(kind, j.device, j.Facts), Drivers: maps.Clone(j.Facts),
		}
	}
	return out
}
