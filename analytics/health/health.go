// Package health finds what is wrong with devices themselves: silence, a clock that is off, a low battery, a calibration that has run
// out. Each is its own kind of alert.
//
// Assess is a pure function of what a node has recorded and of a moment, so that every organisation comes to the same findings, and a
// finding's identity is its incident: asking again finds the same one. It may import chaincode/provenance and chaincode/evidence.
package health

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits say when something is wrong.
type Limits struct {
	Silent  time.Duration    // without a reading
	Clock   time.Duration    // between the device's clock and ingest's
	Battery provenance.Micro // per cent left
}

// Defaults are the limits unless somebody sets others.
var Defaults = Limits{Silent: 30 * time.Minute, Clock: 2 * time.Minute, Battery: 20 * provenance.MicroPerUnit}

// Arrival is a frame's times: when the device signed it by its own clock, and when ingest received it.
type Arrival struct{ Published, Received provenance.Time }

// Facts are what is recorded of a device of an open shipment.
type Facts struct {
	Device   *provenance.Device
	Attached provenance.Interval // to the shipment; To is 0 while it lasts
	Last     *provenance.Reading // its latest reading, nil if it never sent one while attached
	// Arrivals of its latest frames that were not back-filled, in any order; a few are enough.
	Arrivals []Arrival
	// Battery is the latest reading of a companion device that measures this one's battery, nil where there is none: see IsBattery.
	Battery   *provenance.Reading
	Companion string // the companion's name
}

// fewestArrivals is how many frames a judgement about a clock needs: a single one can be held up on its way.
const fewestArrivals = 3

// IsBattery tells whether a device measures a battery, and of which device: its quantity is "battery", its unit a percentage, and its
// name that of the other with ".battery" or ":battery" at the end.
func IsBattery(d *provenance.Device) (of string, ok bool) {
	if d.Quantity != "battery" || d.Unit != "%EL" && d.Unit != "%" {
		return "", false
	}
	for _, suffix := range []string{".battery", ":battery"} {
		if name, found := strings.CutSuffix(d.ID, suffix); found && name != "" {
			return name, true
		}
	}
	return "", false
}

// Finding is something wrong with a device.
type Finding struct {
	Kind    string // one of provenance's Kind constants
	Device  string
	From    provenance.Time // when it began, which names the incident
	To      provenance.Time // the moment of the judgement
	Score   provenance.Micro
	Message string
	Drivers []provenance.Driver
	Seen    map[string][]provenance.Reading // the readings it rests on, by device
}

// Assess gives what is wrong with a device at a moment, by kind. A moment after the device was detached finds nothing.
func Assess(f *Facts, limits Limits, now provenance.Time) []Finding {
	if now < f.Attached.From || f.Attached.To != 0 && now >= f.Attached.To || f.Device.Status != provenance.Active {
		return nil
	}
	var found []Finding
	for _, rule := range []func(*Facts, Limits, provenance.Time) *Finding{batteryLow, calibrationPast, clockOff, silent} {
		if finding := rule(f, limits, now); finding != nil {
			finding.Device, finding.To = f.Device.ID, now
			found = append(found, *finding)
		}
	}
	return found
}

// silent counts from the last reading, or from when the device was attached.
func silent(f *Facts, limits Limits, now provenance.Time) *Finding {
	since, seen := f.Attached.From, map[string][]provenance.Reading{}
	what := "has not sent a reading since it was attached"
	if f.Last != nil && f.Last.Time >= since {
		since, what = f.Last.Time, "sent its last reading"
		seen[f.Device.ID] = []provenance.Reading{*f.Last}
	}
	lasts := now.Time().Sub(since.Time())
	if lasts < limits.Silent {
		return nil
	}
	return &Finding{
		Kind: provenance.KindDeviceSilent, From: since, Score: ratio(lasts, limits.Silent), Seen: seen,
		Message: fmt.Sprintf("Sensor %s %s at %s and has been silent for %s. What happens to the goods meanwhile is not recorded.", f.Device.ID, what, since, inWords(lasts)),
		Drivers: []provenance.Driver{{Name: "silent for", Value: minutes(lasts), Unit: "min"}, {Name: "limit", Value: minutes(limits.Silent), Unit: "min"}},
	}
}

// clockOff compares the clocks by the frame that came fastest: what is held up on its way looks like a clock that is behind, but
// nothing arrives before it was sent.
func clockOff(f *Facts, limits Limits, _ provenance.Time) *Finding {
	if len(f.Arrivals) < fewestArrivals {
		return nil
	}
	fastest := slices.MinFunc(f.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.Received-a.Published, b.Received-b.Published) })
	behind := fastest.Received.Time().Sub(fastest.Published.Time())
	off, direction := behind, "behind"
	if behind < 0 {
		off, direction = -behind, "ahead"
	}
	if off < limits.Clock {
		return nil
	}
	newest := slices.MaxFunc(f.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.Received, b.Received) })
	var seen map[string][]provenance.Reading
	if f.Last != nil {
		seen = map[string][]provenance.Reading{f.Device.ID: {*f.Last}}
	}
	return &Finding{
		Kind: provenance.KindDeviceClock, From: max(dayOf(newest.Received), f.Attached.From), Score: ratio(off, limits.Clock), Seen: seen,
		Message: fmt.Sprintf("The clock of sensor %s is %s %s, so its readings stand at the wrong moments. Set its clock, and mind the shift when you judge.", f.Device.ID, inWords(off), direction),
		Drivers: []provenance.Driver{{Name: "clock " + direction, Value: seconds(off), Unit: "s"}, {Name: "limit", Value: seconds(limits.Clock), Unit: "s"}},
	}
}

func batteryLow(f *Facts, limits Limits, _ provenance.Time) *Finding {
	if f.Battery == nil || f.Battery.Value > limits.Battery || f.Battery.Time < f.Attached.From {
		return nil
	}
	left := max(f.Battery.Value, 0)
	return &Finding{
		Kind: provenance.KindDeviceBattery, From: max(dayOf(f.Battery.Time), f.Attached.From), Score: provenance.MicroPerUnit - provenance.Micro(int64(left)/100),
		Seen:    map[string][]provenance.Reading{f.Companion: {*f.Battery}},
		Message: fmt.Sprintf("The battery of sensor %s has %s %% left. Replace it, or the sensor, before it falls silent.", f.Device.ID, f.Battery.Value),
		Drivers: []provenance.Driver{{Name: "battery left", Value: f.Battery.Value, Unit: "%"}, {Name: "limit", Value: limits.Battery, Unit: "%"}},
	}
}

func calibrationPast(f *Facts, _ Limits, now provenance.Time) *Finding {
	due := f.Device.CalibrationDue
	if now <= due {
		return nil
	}
	late := now.Time().Sub(due.Time())
	days := int64(late / (24 * time.Hour))
	var seen map[string][]provenance.Reading
	if f.Last != nil {
		seen = map[string][]provenance.Reading{f.Device.ID: {*f.Last}}
	}
	return &Finding{
		Kind: provenance.KindDeviceCalibration, From: max(due, f.Attached.From), Score: provenance.MicroPerUnit, Seen: seen,
		Message: fmt.Sprintf("The calibration of sensor %s was due on %s. Readings since then do not meet good distribution practice until it is calibrated or replaced.", f.Device.ID, due.Time().Format(time.DateOnly)),
		Drivers: []provenance.Driver{{Name: "past due", Value: provenance.Micro(days * provenance.MicroPerUnit), Unit: "d"}},
	}
}

// dayOf is the beginning of the day, in UTC: an incident without a moment of its own is named by its day.
func dayOf(t provenance.Time) provenance.Time {
	return provenance.TimeOf(t.Time().Truncate(24 * time.Hour))
}

// ratio is how far a limit is passed, as 1 − limit/value: 0 at the limit, towards 1 beyond it.
func ratio(value, limit time.Duration) provenance.Micro {
	return provenance.Micro(int64(provenance.MicroPerUnit) - limit.Milliseconds()*provenance.MicroPerUnit/max(value.Milliseconds(), 1))
}

func minutes(d time.Duration) provenance.Micro {
	return provenance.Micro(int64(d/time.Minute) * provenance.MicroPerUnit)
}

func seconds(d time.Duration) provenance.Micro {
	return provenance.Micro(int64(d/time.Second) * provenance.MicroPerUnit)
}

func inWords(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// rules describes what Assess computes; its hash is how the rules stand on the ledger as a model. Change it with them.
const rules = "trailmark device health 1: silent, clock (fastest arrival), battery, calibration; identity by start or day"

// Model is what the ledger must know before a finding can be raised.
func Model() provenance.ModelRequest {
	return provenance.ModelRequest{Name: "device-health", Version: "1", Hash: sha256.Sum256([]byte(rules)), Kernel: "integer-1", TrainingRoot: sha256.Sum256(nil)}
}

// Alert is what the ledger is asked to record of a finding about a device of a shipment, as of a block.
func (f *Finding) Alert(shipment string, asOfBlock uint64) provenance.AlertRequest {
	model := Model()
	request := provenance.AlertRequest{
		ID: f.ID(), Shipment: shipment, Kind: f.Kind, Score: f.Score, ModelName: model.Name, ModelVersion: model.Version, From: f.From, To: f.To,
		AsOfBlock: asOfBlock, Devices: []string{f.Device}, Message: f.Message, Drivers: f.Drivers,
	}
	var inputs []evidence.InputReading
	for device, readings := range f.Seen {
		for _, r := range readings {
			inputs = append(inputs, evidence.InputReading{Device: device, Time: r.Time, Value: r.Value})
		}
	}
	request.Readings = uint64(len(inputs))
	request.InputRoot = evidence.InputRoot(inputs)
	return request
}

// ID names the incident: its kind, its device and when it began.
func (f *Finding) ID() string {
	device := sha256.Sum256([]byte(f.Device)) // its name may be as long as an identifier can be
	return fmt.Sprintf("%s-%x-%s", f.Kind, device[:4], f.From.Time().Format("20060102T150405Z"))
}
