package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

var (
	start  = provenance.TimeOf(time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC))
	minute = provenance.Time(60_000)
)

// well is a device with which nothing is wrong an hour after it was attached.
func well() (*Facts, provenance.Time) {
	now := start + 60*minute
	return &Facts{
		Device:   &provenance.Device{ID: "s1", Quantity: "temperature", Unit: "Cel", CalibrationDue: now + 1},
		Attached: provenance.Interval{From: start}, Last: &provenance.Reading{Time: now - minute, Value: 4_500_000},
		Arrivals: []Arrival{{now - 3*minute, now - 3*minute + 500}, {now - 2*minute, now - 2*minute + 800}, {now - minute, now - minute + 300}},
		Battery:  &provenance.Reading{Time: now - 5*minute, Value: 80 * provenance.MicroPerUnit}, Companion: "s1.battery",
	}, now
}

func TestEachTroubleIsItsOwnKind(t *testing.T) {
	f, now := well()
	require.Empty(t, Assess(f, Defaults, now))
	for name, c := range map[string]struct {
		change func(*Facts)
		kind   string
		from   provenance.Time
		says   string
	}{
		"silent":               {func(f *Facts) { f.Last.Time = now - 30*minute }, provenance.KindDeviceSilent, now - 30*minute, "sent its last reading at 2026-11-20T08:30:00.000Z and has been silent for 30 minutes"},
		"never sent":           {func(f *Facts) { f.Last = nil }, provenance.KindDeviceSilent, start, "has not sent a reading since it was attached at 2026-11-20T08:00:00.000Z"},
		"last before attached": {func(f *Facts) { f.Last.Time = start - 1 }, provenance.KindDeviceSilent, start, "has not sent a reading since"},
		"clock ahead": {func(f *Facts) {
			for i := range f.Arrivals {
				f.Arrivals[i].Published += 5 * minute
			}
		}, provenance.KindDeviceClock, start, "is 4 minutes ahead"},
		"clock behind": {func(f *Facts) {
			for i := range f.Arrivals {
				f.Arrivals[i].Published -= 3 * minute
			}
		}, provenance.KindDeviceClock, start, "is 3 minutes behind"},
		"battery":               {func(f *Facts) { f.Battery.Value = 20 * provenance.MicroPerUnit }, provenance.KindDeviceBattery, start, "has 20 % left"},
		"calibration":           {func(f *Facts) { f.Device.CalibrationDue = now - 1 }, provenance.KindDeviceCalibration, now - 1, "was due on 2026-11-20"},
		"calibration long past": {func(f *Facts) { f.Device.CalibrationDue = start - 48*60*minute }, provenance.KindDeviceCalibration, start, "was due on 2026-11-18"},
	} {
		f, now := well()
		c.change(f)
		found := Assess(f, Defaults, now)
		require.Len(t, found, 1, name)
		require.Equal(t, c.kind, found[0].Kind, name)
		require.Equal(t, c.from, found[0].From, name)
		require.Contains(t, found[0].Message, c.says, name)
		require.GreaterOrEqual(t, found[0].Score, provenance.Micro(0), name)
		require.LessOrEqual(t, found[0].Score, provenance.Micro(provenance.MicroPerUnit), name)
	}
}

func TestWhatIsNoTrouble(t *testing.T) {
	for name, change := range map[string]func(*Facts, *provenance.Time){
		"a slow frame among fast ones": func(f *Facts, _ *provenance.Time) { f.Arrivals[0].Received += 9 * minute },
		"too few frames": func(f *Facts, _ *provenance.Time) {
			f.Arrivals = f.Arrivals[:2]
			f.Arrivals[0].Published += 9 * minute
			f.Arrivals[1].Published += 9 * minute
		},
		"silent not long enough":     func(f *Facts, now *provenance.Time) { f.Last.Time = *now - 30*minute + 1 },
		"detached":                   func(f *Facts, now *provenance.Time) { f.Last = nil; f.Attached.To = *now },
		"not yet attached":           func(f *Facts, now *provenance.Time) { f.Last = nil; f.Attached.From = *now + 1 },
		"suspended":                  func(f *Facts, _ *provenance.Time) { f.Last = nil; f.Device.Status = provenance.Suspended },
		"battery of another journey": func(f *Facts, _ *provenance.Time) { f.Battery = &provenance.Reading{Time: start - 1} },
		"no battery measured":        func(f *Facts, _ *provenance.Time) { f.Battery = nil },
	} {
		f, now := well()
		change(f, &now)
		require.Empty(t, Assess(f, Defaults, now), name)
	}
}

func TestAnIncidentKeepsItsNameWhileItLasts(t *testing.T) {
	f, now := well()
	f.Last.Time = now - 40*minute
	first := Assess(f, Defaults, now)[0]
	later := Assess(f, Defaults, now+90*minute)
	require.Equal(t, first.ID(), later[len(later)-1].ID())
	require.Regexp(t, `^device-silent-[0-9a-f]{8}-20261120T082000Z$`, first.ID())
	require.NoError(t, provenance.CheckIdentifier("alert", first.ID()))
	f.Last.Time = now - 35*minute
	require.NotEqual(t, first.ID(), Assess(f, Defaults, now)[0].ID(), "another silence is another incident")
	other := *f.Device
	other.ID = "s2"
	require.NotEqual(t, first.ID(), (&Finding{Kind: first.Kind, Device: "s2", From: first.From}).ID())
}

func TestAlertNamesWhatItRestsOn(t *testing.T) {
	f, now := well()
	f.Battery.Value = 5 * provenance.MicroPerUnit
	finding := Assess(f, Defaults, now)[0]
	a := finding.Alert("ship", 12)
	require.Equal(t, []string{"s1"}, a.Devices)
	require.Equal(t, uint64(1), a.Readings)
	require.NotEqual(t, provenance.Hash{}, a.InputRoot)
	require.Equal(t, "device-health", a.ModelName)
	f.Battery.Value++
	changed := Assess(f, Defaults, now)[0].Alert("ship", 12)
	require.NotEqual(t, a.InputRoot, changed.InputRoot)
	f, now = well()
	f.Last = nil
	a = Assess(f, Defaults, now)[0].Alert("ship", 12)
	require.Zero(t, a.Readings)
	require.LessOrEqual(t, a.From, a.To)
}

func TestIsBattery(t *testing.T) {
	of, ok := IsBattery(&provenance.Device{ID: "s1.battery", Quantity: "battery", Unit: "%EL"})
	require.True(t, ok)
	require.Equal(t, "s1", of)
	for _, d := range []provenance.Device{{ID: "s1", Quantity: "battery", Unit: "%EL"}, {ID: "s1.battery", Quantity: "temperature", Unit: "Cel"}, {ID: "s1.battery", Quantity: "battery", Unit: "V"}, {ID: ".battery", Quantity: "battery", Unit: "%"}} {
		_, ok := IsBattery(&d)
		require.False(t, ok, d.ID)
	}
}
