package api

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

const (
	silentAfter = 30 * time.Minute // without a reading, by the node's clock
	// roadTime is how long a reading takes to the read model at most when all is well. A simulated clock that runs fast leaves it more
	// than silentAfter behind.
	roadTime = 20 * time.Second
	// predictionCoverage is how much of the probability lies between the hoursLeftLow and hoursLeftHigh of a spoilage alert.
	predictionCoverage = 0.8
	// anomalyLasts is the span of readings that one anomaly is about.
	anomalyLasts = time.Hour
)

// moment is the node's clock when something is judged.
type moment struct {
	now   time.Time
	speed float64 // of a simulated clock, else 1
}

// judgement is what the facts come to.
type judgement struct {
	state      ShipmentState
	sentence   string
	action     *Action
	latest     *deviceFacts // the thermometer whose reading is the latest, or is out of band
	outNow     bool
	outMinutes float64
	excursions []Excursion
	prediction *Prediction
	readings   int64
	attached   int
	troubles   []trouble
}

// trouble is something about a device that somebody should look after.
type trouble struct {
	kind   ActionKind
	device string
	text   string // a sentence
	advice string
}

func judge(f *facts, at moment) *judgement {
	j := &judgement{}
	open := f.shipment.Closed == 0
	for i := range f.devices {
		d := &f.devices[i]
		j.readings += d.course.readings
		now := open && attachedNow(d.attached, at.now)
		if now {
			j.attached++
			j.troubles = append(j.troubles, troublesOf(d, at)...)
		}
		if !isThermometer(&d.Device.Device) || d.course.readings == 0 {
			continue
		}
		for _, e := range d.course.all() {
			j.excursions = append(j.excursions, e.shown(d.ID, now && e.side != 0 && e.from == d.course.run.from))
		}
		out := now && d.course.run.side != 0
		if j.latest == nil || out && !j.outNow || out == j.outNow && d.course.last.Time > j.latest.course.last.Time {
			j.latest = d
		}
		j.outNow = j.outNow || out
	}
	slices.SortStableFunc(j.excursions, func(a, b Excursion) int { return a.From.Compare(b.From) })
	j.outMinutes = outOfBand(f).Minutes()
	j.prediction = predict(f.alerts)
	j.state = j.stateOf(f)
	j.sentence = j.say(f)
	j.action = j.advise(f)
	return j
}

func attachedNow(attached []provenance.Attachment, now time.Time) bool {
	at := provenance.TimeOf(now)
	return slices.ContainsFunc(attached, func(a provenance.Attachment) bool { return a.To == 0 || a.To > at })
}

func (e excursion) shown(device string, open bool) Excursion {
	direction := Above
	if e.side < 0 {
		direction = Below
	}
	return Excursion{
		Device: device, From: e.from.Time(), To: e.to.Time(), Open: open, Direction: direction, Minutes: e.to.Time().Sub(e.from.Time()).Minutes(),
		Extreme: e.extreme.Float(), ExtremeTime: e.extremeTime.Time(),
	}
}

// outOfBand is the time in which any of the thermometers was out of band.
func outOfBand(f *facts) time.Duration {
	var runs []excursion
	unlisted := int64(0)
	for i := range f.devices {
		runs = append(runs, f.devices[i].course.all()...)
		unlisted = max(unlisted, f.devices[i].course.dropped)
	}
	slices.SortFunc(runs, func(a, b excursion) int { return cmp.Compare(a.from, b.from) })
	total, until := unlisted, provenance.Time(math.MinInt64)
	for _, r := range runs {
		if from := max(r.from, until); r.to > from {
			total += int64(r.to - from)
		}
		until = max(until, r.to)
	}
	return time.Duration(total) * time.Millisecond
}

func troublesOf(d *deviceFacts, at moment) (list []trouble) {
	switch d.Status {
	case provenance.Suspended:
		list = append(list, trouble{CheckDevice, d.ID, fmt.Sprintf("%s is suspended.", d.ID), fmt.Sprintf("Find out why %s is suspended, or replace it.", d.ID)})
	case provenance.Revoked:
		list = append(list, trouble{CheckDevice, d.ID, fmt.Sprintf("%s is revoked.", d.ID), fmt.Sprintf("Replace %s: its readings are refused for good.", d.ID)})
	}
	heard := d.course.last.Time
	for _, a := range d.attached {
		if a.To == 0 {
			heard = max(heard, a.From)
		}
	}
	quiet, allowed := at.now.Sub(heard.Time()), max(silentAfter, time.Duration(float64(roadTime)*at.speed))
	if quiet > allowed {
		list = append(list, trouble{CheckDevice, d.ID, fmt.Sprintf("%s is silent since %s.", d.ID, clockTime(heard)), fmt.Sprintf("Check power and connection of %s.", d.ID)})
	}
	if due := d.CalibrationDue.Time(); due.Before(at.now) {
		list = append(list, trouble{
			RenewCalibration, d.ID, fmt.Sprintf("The calibration of %s was due on %s.", d.ID, due.Format("2 January 2006")),
			fmt.Sprintf("Have %s calibrated, or replace it by a device whose calibration is valid.", d.ID),
		})
	}
	return list
}

func clockTime(t provenance.Time) string { return t.Time().Format("2 January 15:04") + " UTC" }

// driver finds a named number of an alert.
func driver(a *readmodel.Alert, name string) (float64, bool) {
	for _, d := range a.Drivers {
		if d.Name == name {
			return d.Value.Float(), true
		}
	}
	return 0, false
}

// predict reads the newest spoilage alert.
func predict(alerts []readmodel.Alert) *Prediction {
	for i := range alerts {
		a := &alerts[i]
		if a.Kind != provenance.KindSpoilage {
			continue
		}
		low, known1 := driver(a, "hoursLeftLow")
		high, known2 := driver(a, "hoursLeftHigh")
		if !known1 || !known2 {
			return nil
		}
		p := &Prediction{
			Alert: a.ID, AsOf: a.Interval.To.Time(), Probability: predictionCoverage,
			Earliest: after(a.Interval.To, low), Latest: after(a.Interval.To, high),
		}
		if middle, known := driver(a, "hoursLeft"); known {
			expected := after(a.Interval.To, middle)
			p.Expected = &expected
		}
		return p
	}
	return nil
}

// after adds hours; more than a century is a century.
func after(t provenance.Time, hours float64) time.Time {
	const century = 100 * 365.25 * 24
	return t.Time().Add(time.Duration(min(max(hours, -century), century) * float64(time.Hour))).Truncate(time.Millisecond)
}

func (j *judgement) stateOf(f *facts) ShipmentState {
	switch {
	case f.shipment.Closed != 0:
		return Decided
	case f.shipment.OpenAlerts > 0:
		return Act
	case j.readings == 0:
		return NoData
	case j.outNow, j.usedUp(f), len(j.troubles) > 0, slices.ContainsFunc(f.alerts, func(a readmodel.Alert) bool { return j.lasts(&a) }):
		return Watch
	}
	return InBand
}

// usedUp: the minutes allowed outside the band are.
func (j *judgement) usedUp(f *facts) bool {
	return j.outMinutes > 0 && j.outMinutes >= float64(f.shipment.Limits.AllowedMinutes)
}

// lasts tells whether what an alert warned of still is so. Growth does not go back, so a predicted spoilage lasts; a forecast does
// until the time that it gave is over.
func (j *judgement) lasts(a *readmodel.Alert) bool {
	switch a.Kind {
	case provenance.KindSpoilage:
		return true
	case provenance.KindBandExcursion:
		return j.outNow
	case provenance.KindExcursionForecast:
		left, _ := driver(a, "minutesLeft")
		return j.latest != nil && !j.latest.course.last.Time.Time().After(after(a.Interval.To, left/60))
	case provenance.KindAnomaly:
		return j.latest != nil && j.latest.course.last.Time.Time().Sub(a.Interval.To.Time()) < anomalyLasts
	}
	return false
}

// say writes the judgement in a sentence or two. Durations are as of the latest reading, so it does not change between readings.
func (j *judgement) say(f *facts) string {
	allowed := int64(f.shipment.Limits.AllowedMinutes)
	if f.shipment.Closed != 0 {
		how := "in band throughout"
		switch {
		case j.readings == 0:
			how = "without a reading"
		case j.latest == nil:
			how = "without a temperature"
		case j.outMinutes > 0:
			how = fmt.Sprintf("out of band for %s in all, %s allowed", minutesText(j.outMinutes), minutesText(float64(allowed)))
		}
		return fmt.Sprintf("Closed on %s; %s.", f.shipment.Closed.Time().Format("2 January 2006"), how)
	}
	if j.readings == 0 {
		if j.attached == 0 {
			return "No reading yet: no device is attached."
		}
		return strings.Join(append([]string{fmt.Sprintf("No reading yet from %s.", counted(j.attached, "device"))}, j.troubleTexts()...), " ")
	}
	parts := []string{j.sayTemperature(allowed) + j.sayPrediction() + "."}
	if warning := j.warning(f); warning != "" {
		parts = append(parts, warning)
	}
	return strings.Join(append(parts, j.troubleTexts()...), " ")
}

func (j *judgement) sayTemperature(allowed int64) string {
	if j.latest == nil {
		return "No temperature is measured"
	}
	value := j.latest.course.last.Value.Float()
	switch {
	case j.outNow:
		run := j.latest.course.run
		lasting := run.to.Time().Sub(run.from.Time()).Minutes()
		text := fmt.Sprintf("Out of band for %s, now %.1f °C", minutesText(lasting), value)
		if lasting < 1 {
			text = fmt.Sprintf("Out of band since %s, now %.1f °C", clockTime(run.from), value)
		}
		if j.outMinutes > lasting+1 {
			text += fmt.Sprintf(", %s in all", minutesText(j.outMinutes))
		}
		return text
	case j.outMinutes >= 1:
		return fmt.Sprintf("Back in band at %.1f °C after %s outside, %s allowed", value, minutesText(j.outMinutes), minutesText(float64(allowed)))
	}
	return fmt.Sprintf("In band, now %.1f °C", value)
}

func (j *judgement) sayPrediction() string {
	p := j.prediction
	if p == nil || p.Expected == nil || j.latest == nil {
		return ""
	}
	now := j.latest.course.last.Time.Time()
	left, low, high := p.Expected.Sub(now).Hours(), max(0, p.Earliest.Sub(now).Hours()), max(0, p.Latest.Sub(now).Hours())
	share := int(math.Round(100 * p.Probability))
	switch {
	case high == 0:
		return "; predicted spoiled by now"
	case left < 1:
		return fmt.Sprintf("; predicted spoiled about now (%d %% within %s)", share, hoursText(high))
	case left >= 72:
		return fmt.Sprintf("; predicted spoiled in %.1f days (%d %% between %.1f and %.1f)", left/24, share, low/24, high/24)
	}
	return fmt.Sprintf("; predicted spoiled in %.0f h (%d %% between %.0f and %.0f)", left, share, low, high)
}

// warning gives the words of a forecast or an anomaly that nobody has acknowledged.
func (j *judgement) warning(f *facts) string {
	for i := range f.alerts {
		a := &f.alerts[i]
		if a.Acknowledgement == nil && (a.Kind == provenance.KindExcursionForecast && !j.outNow || a.Kind == provenance.KindAnomaly) {
			return a.Message
		}
	}
	return ""
}

func (j *judgement) troubleTexts() (texts []string) {
	for i, t := range j.troubles {
		if i == 2 && len(j.troubles) > 3 {
			return append(texts, fmt.Sprintf("%d more findings about devices.", len(j.troubles)-2))
		}
		texts = append(texts, t.text)
	}
	return texts
}

// advise names the single most useful thing to do.
func (j *judgement) advise(f *facts) *Action {
	if f.shipment.Closed != 0 {
		return nil
	}
	if a := mostUrgent(f.alerts); a != nil {
		return &Action{Kind: Acknowledge, Text: "Look into it, and acknowledge the alert with what you found: " + a.Message, Alert: &a.ID}
	}
	switch {
	case j.outNow:
		id := j.latest.ID
		return &Action{Kind: CheckGoods, Text: fmt.Sprintf("Have the goods and their cooling checked: %s reads %.1f °C.", id, j.latest.course.last.Value.Float()), Device: &id}
	case j.prediction != nil:
		id := j.prediction.Alert
		return &Action{Kind: CheckGoods, Text: "Have the goods checked before they are used: they are predicted to spoil.", Alert: &id}
	case j.attached == 0:
		return &Action{Kind: AttachDevice, Text: "Attach a device: nothing measures this shipment."}
	}
	for _, kind := range []ActionKind{CheckDevice, RenewCalibration} {
		for _, t := range j.troubles {
			if t.kind == kind {
				return &Action{Kind: kind, Text: t.text + " " + t.advice, Device: &t.device}
			}
		}
	}
	if j.usedUp(f) {
		return &Action{Kind: CheckGoods, Text: fmt.Sprintf("Have the goods checked: they were out of band for %s, %s allowed.", minutesText(j.outMinutes), minutesText(float64(f.shipment.Limits.AllowedMinutes)))}
	}
	return nil
}

var urgency = map[string]int{provenance.KindSpoilage: 3, provenance.KindBandExcursion: 2, provenance.KindExcursionForecast: 1}

// mostUrgent is the alert to acknowledge first, nil where none waits; of several of a kind the newest.
func mostUrgent(alerts []readmodel.Alert) (found *readmodel.Alert) {
	for i := range alerts {
		if a := &alerts[i]; a.Acknowledgement == nil && (found == nil || urgency[a.Kind] > urgency[found.Kind]) {
			found = a
		}
	}
	return found
}

func minutesText(m float64) string {
	whole := int64(math.Round(m))
	switch {
	case whole < 180:
		return counted(int(whole), "minute")
	case whole%60 == 0:
		return fmt.Sprintf("%d h", whole/60)
	}
	return fmt.Sprintf("%d h %d min", whole/60, whole%60)
}

func hoursText(h float64) string {
	if h < 1 {
		return "an hour"
	}
	return fmt.Sprintf("%.0f h", h)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
