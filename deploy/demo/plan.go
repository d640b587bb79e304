package demo

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/thermal"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/simulate"
)

// plan is what this run plays: shipments, each with its sensors.
type plan struct {
	start     time.Time // simulated
	shipments []shipment
	traceEnds time.Time // zero without a trace
}

type shipment struct {
	opening provenance.Opening
	sensors []sensor
}

type sensor struct {
	device   string
	course   simulate.Course
	perFrame int
}

// lanesOfDemo is how many lanes the carrier's sensors are spread over.
const lanesOfDemo = 2

// plan makes the shipments of this run. Every run has its own trucks: a second run continues the ledger, not the first one's roads.
func (d *Demo) plan() (*plan, error) {
	run := time.Now().UTC().Format("060102-150405")
	if d.config.Trace != "" {
		return d.planTrace(run)
	}
	p := &plan{start: time.Now().Add(-d.config.Past).Truncate(time.Minute)}
	for i, scene := range scenes {
		s := shipment{opening: d.opening(fmt.Sprintf("SHP-%s-%d", run, i+1), scene.profile, p.start)}
		s.opening.Goods, s.opening.Origin, s.opening.Destination = scene.goods, scene.origin, scene.destination
		s.opening.Initial = scene.initial
		config := scene.truck
		config.Start, config.Probes = p.start, 2
		for probe, name := range []string{"front", "rear"} {
			course, err := simulate.Truck(config, probe)
			if err != nil {
				return nil, err
			}
			s.sensors = append(s.sensors, sensor{device: fmt.Sprintf("TRK%d-%s-%s", i+1, run, name), course: course, perFrame: 10})
		}
		p.shipments = append(p.shipments, s)
	}
	return p, nil
}

// scene is a simulated shipment.
type scene struct {
	profile             kinetics.Profile
	goods               []provenance.Goods
	origin, destination string
	initial             provenance.Micro
	truck               thermal.Config
}

// scenes are three ordinary shipments, on one of which the compressor fails.
var scenes = []scene{
	{
		profile: kinetics.Milk, initial: 2_500_000, origin: "Dairy Salzburg", destination: "Market hall Vienna",
		goods: []provenance.Goods{{GTIN: "09506000134352", Lot: "MLK-2611", Description: "Fresh milk, 1 L", Quantity: 9600}},
		truck: thermal.Config{Seed: 11, Setpoint: 4, Ambient: 21, Fault: thermal.CompressorFailure, FaultAt: 9 * time.Hour},
	},
	{
		profile: vaccine(), origin: "Plant Lyon", destination: "Hospital pharmacy Graz",
		goods: []provenance.Goods{{GTIN: "09506000134369", Lot: "VX-0417", Description: "Vaccine, 10-dose vials (VVM7)", Quantity: 1200}},
		truck: thermal.Config{Seed: 23, Setpoint: 5, Ambient: 14, NoDoors: true},
	},
	{
		profile: kinetics.ChilledFood, origin: "Kitchen Linz", destination: "Airport Munich",
		goods: []provenance.Goods{{GTIN: "09506000134376", Lot: "CF-88", Description: "Chilled ready meals", Quantity: 2400}},
		truck: thermal.Config{Seed: 37, Setpoint: 2, Ambient: 16},
	},
}

func vaccine() kinetics.Profile {
	p, _ := kinetics.ByID("vaccine-vvm7")
	return p
}

// opening describes a shipment with the limits of its product profile.
func (d *Demo) opening(id string, profile kinetics.Profile, at time.Time) provenance.Opening {
	return provenance.Opening{
		ID: id, Parties: d.cast.all(), Profile: profile.ID, Opened: provenance.TimeOf(at),
		Limits: provenance.Limits{Min: provenance.Micro(profile.Band.Low), Max: provenance.Micro(profile.Band.High), AllowedMinutes: uint32(profile.Band.CumulativeMinutes)},
	}
}

// planTrace makes one shipment of a logger's trace, which ends now.
func (d *Demo) planTrace(run string) (*plan, error) {
	profile, known := kinetics.ByID(d.config.Profile)
	if !known {
		return nil, fmt.Errorf("product profile %q is not known; known are %s", d.config.Profile, profileNames())
	}
	readings, err := simulate.ReadTrace(d.config.Trace, simulate.TraceFormat{Column: d.config.Column, Time: d.config.Time, Step: time.Minute})
	if err != nil {
		return nil, err
	}
	length := readings[len(readings)-1].Time
	p := &plan{start: time.Now().Add(-time.Duration(length)*time.Millisecond - time.Minute).Truncate(time.Minute)}
	for i := range readings {
		readings[i].Time += provenance.TimeOf(p.start)
		if d.config.Unit == "Fah" {
			readings[i].Value = (readings[i].Value - 32*provenance.MicroPerUnit) * 5 / 9
		}
	}
	p.traceEnds = readings[len(readings)-1].Time.Time()
	s := shipment{opening: d.opening("TRACE-"+run, profile, p.start)}
	s.opening.Initial = provenance.Micro(d.config.Initial * provenance.MicroPerUnit)
	s.opening.Goods = []provenance.Goods{{Description: profile.Name, Lot: "TRACE", Quantity: 1}}
	s.opening.Origin, s.opening.Destination = filepath.Base(d.config.Trace), "replay"
	s.sensors = []sensor{{device: "LOGGER-" + run, course: simulate.Recorded(readings), perFrame: 15}}
	p.shipments = []shipment{s}
	return p, nil
}

func profileNames() (names []string) {
	for _, p := range kinetics.Builtin() {
		names = append(names, p.ID)
	}
	return names
}
