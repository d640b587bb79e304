// Package thermal generates the temperatures of a refrigerated truck: a compressor that cycles between two limits, defrosts,
// doors that open at stops, a day that warms and cools the walls, goods that follow slowly, sensors that lag, are a little off
// and round; and the ways all this fails. It is the normal life that models train on and the road that the demo drives.
//
// A Shipment is a pure function of its Config: the same seed gives the same readings on every machine, minute by minute.
//
// The package may import analytics/kernel only.
package thermal

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// Fault is what goes wrong.
type Fault string

// The faults. Each begins at Config.FaultAt and lasts to the end.
const (
	NoFault           Fault = ""
	CompressorFailure Fault = "compressor-failure" // it does not start any more
	CompressorWeak    Fault = "compressor-weak"    // it has a tenth of its power
	DoorLeftOpen      Fault = "door-left-open"
	SensorStuck       Fault = "sensor-stuck" // the first probe repeats its last reading
	SensorDrift       Fault = "sensor-drift" // the first probe gains 0.3 °C an hour
)

// Faults lists every fault but NoFault.
func Faults() []Fault {
	return []Fault{CompressorFailure, CompressorWeak, DoorLeftOpen, SensorStuck, SensorDrift}
}

// Config describes one shipment. Zero values of Probes, Resolution, Ambient and Swing take the usual: 1, 0.1 °C, 18 °C, 6 °C.
type Config struct {
	Seed       uint64
	Start      time.Time
	Setpoint   float64 // °C of the air
	Ambient    float64 // mean of the day outside
	Swing      float64 // half the difference between afternoon and night
	Probes     int
	Resolution float64 // °C a reading is rounded to
	Fault      Fault
	FaultAt    time.Duration // after Start
	// NoDoors leaves out the stops: a trailer that drives through.
	NoDoors bool
}

// MaxProbes bounds Config.Probes.
const MaxProbes = 64

// Sample is one minute of the shipment.
type Sample struct {
	Time          time.Time
	Air, Product  float64 // the truth, °C
	Outside       float64
	Cooling, Door bool
	Defrosting    bool
	Readings      []int64 // what each probe says, millionths of a degree
}

// Shipment is the state of one truck. It is not safe for concurrent use.
type Shipment struct {
	config Config
	random *rand.Rand
	truck  truck
	probes []probe
	minute int

	air, product, cloud float64
	cooling             bool
	doorUntil, nextStop int
	defrostUntil        int
}

// truck holds what differs from one vehicle to the next; times are minutes.
type truck struct {
	wall, doorway, load, exchange float64 // time constants: walls, open door, goods behind air, air before goods
	power                         float64 // °C a minute while cooling
	band                          float64 // the compressor runs between setpoint ± band
	stopEvery, defrostEvery       float64
}

type probe struct {
	offset, lag, inGoods, noise float64
	value, last                 float64
}

// New draws a truck, its goods and its sensors from the seed.
func New(config Config) (*Shipment, error) {
	if config.Probes == 0 {
		config.Probes = 1
	}
	if config.Resolution == 0 {
		config.Resolution = 0.1
	}
	if config.Ambient == 0 {
		config.Ambient = 18
	}
	if config.Swing == 0 {
		config.Swing = 6
	}
	switch {
	case config.Probes < 0 || config.Probes > MaxProbes:
		return nil, fmt.Errorf("a shipment has 1 to %d probes, not %d", MaxProbes, config.Probes)
	case !(config.Resolution >= 1e-6 && config.Resolution <= 5):
		return nil, fmt.Errorf("resolution %v is not between 1e-6 and 5 °C", config.Resolution)
	case !(config.Setpoint >= -40 && config.Setpoint <= 30):
		return nil, fmt.Errorf("setpoint %v is not between -40 and 30 °C", config.Setpoint)
	case !(config.Ambient >= -40 && config.Ambient <= 60) || !(config.Swing >= 0 && config.Swing <= 30):
		return nil, errors.New("the ambient mean must lie between -40 and 60 °C and its swing between 0 and 30")
	case config.FaultAt < 0:
		return nil, errors.New("a fault cannot begin before the start")
	case config.Fault != NoFault && !known(config.Fault):
		return nil, fmt.Errorf("fault %q is not known", config.Fault)
	}
	s := &Shipment{config: config, random: rand.New(rand.NewPCG(config.Seed, 0x7468_6572_6d61_6c00))}
	s.truck = truck{
		wall: s.uniform(200, 420), doorway: s.uniform(12, 24), load: s.uniform(240, 900), exchange: s.uniform(120, 300),
		power: s.uniform(0.30, 0.50), band: s.uniform(0.4, 0.9), stopEvery: s.uniform(150, 300), defrostEvery: s.uniform(360, 600),
	}
	s.air = config.Setpoint + s.uniform(-0.5, 0.5)
	s.product = config.Setpoint + s.uniform(-0.3, 0.3)
	s.nextStop = s.wait(s.truck.stopEvery)
	for range config.Probes {
		p := probe{offset: float64(0.2 * s.normal()), lag: s.uniform(2, 10), inGoods: s.uniform(0, 0.6), noise: s.uniform(0.03, 0.08)}
		p.value = s.mixed(&p)
		p.last = p.value
		s.probes = append(s.probes, p)
	}
	return s, nil
}

func known(f Fault) bool {
	for _, other := range Faults() {
		if f == other {
			return true
		}
	}
	return false
}

// Step returns the next minute.
func (s *Shipment) Step() Sample {
	at := s.config.Start.Add(time.Duration(s.minute) * time.Minute)
	faulty := s.config.Fault != NoFault && time.Duration(s.minute)*time.Minute >= s.config.FaultAt
	outside := s.outside(at)
	door := s.door(faulty && s.config.Fault == DoorLeftOpen)
	defrosting := s.defrost()
	s.compress(faulty, defrosting)
	// Ten steps a minute keep the fastest exchange, an open door, well resolved.
	const steps = 10
	for range steps {
		flow := (outside - s.air) / s.truck.wall
		flow += (s.product - s.air) / s.truck.exchange
		if door {
			flow += (outside - s.air) / s.truck.doorway
		}
		if s.cooling {
			power := s.truck.power
			if faulty && s.config.Fault == CompressorWeak {
				power /= 10
			}
			flow -= power
		}
		if defrosting {
			flow += 0.05 // the evaporator's heater
		}
		s.air += flow / steps
		s.product += (s.air - s.product) / s.truck.load / steps
	}
	sample := Sample{Time: at, Air: s.air, Product: s.product, Outside: outside, Cooling: s.cooling, Door: door, Defrosting: defrosting}
	for k := range s.probes {
		sample.Readings = append(sample.Readings, s.read(k, faulty && k == 0))
	}
	s.minute++
	return sample
}

// outside is a day with its warmest hour at three in the afternoon, and weather that wanders.
func (s *Shipment) outside(at time.Time) float64 {
	s.cloud += float64(0.08*s.normal()) - s.cloud/240
	hour := float64(at.UTC().Hour()*60+at.UTC().Minute())/60 - 15
	if hour < -12 {
		hour += 24
	}
	// A parabola through the day: +1 at 15 h, −1 at 3 h. No trigonometry, which differs between machines.
	phase := math.Abs(hour) / 12
	wave := 1 - float64(2*float64(phase*phase)*(3-float64(2*phase)))
	return s.config.Ambient + float64(s.config.Swing*wave) + s.cloud
}

func (s *Shipment) door(stuck bool) bool {
	if stuck {
		return true
	}
	if s.config.NoDoors {
		return false
	}
	if s.minute >= s.nextStop {
		s.doorUntil = s.minute + 2 + int(s.uniform(0, 5))
		s.nextStop = s.doorUntil + s.wait(s.truck.stopEvery)
	}
	return s.minute < s.doorUntil
}

func (s *Shipment) defrost() bool {
	every := int(s.truck.defrostEvery)
	if s.minute > 0 && s.minute%every == 0 {
		s.defrostUntil = s.minute + 6 + int(s.uniform(0, 6))
	}
	return s.minute < s.defrostUntil
}

func (s *Shipment) compress(faulty, defrosting bool) {
	switch {
	case defrosting || (faulty && s.config.Fault == CompressorFailure):
		s.cooling = false
	case s.air > s.config.Setpoint+s.truck.band:
		s.cooling = true
	case s.air < s.config.Setpoint-s.truck.band:
		s.cooling = false
	}
}

func (s *Shipment) mixed(p *probe) float64 {
	return s.air + float64(p.inGoods*(s.product-s.air))
}

func (s *Shipment) read(k int, faulty bool) int64 {
	p := &s.probes[k]
	p.value += (s.mixed(p) - p.value) / p.lag
	shown := p.value + p.offset + float64(p.noise*s.normal())
	switch {
	case faulty && s.config.Fault == SensorStuck:
		shown = p.last
	case faulty && s.config.Fault == SensorDrift:
		shown += float64((float64(s.minute) - s.config.FaultAt.Minutes()) * 0.005)
	}
	p.last = shown
	// A sensor rounds in decimal: 0.1 °C is 100 000 millionths exactly, never 99 999.
	grain := kernel.ToMicro(s.config.Resolution)
	return int64(math.Round(float64(kernel.ToMicro(shown))/float64(grain))) * grain
}

func (s *Shipment) uniform(low, high float64) float64 {
	return low + float64((high-low)*s.random.Float64())
}

func (s *Shipment) normal() float64 {
	return kernel.NormalQuantile(float64(s.random.Uint64()>>11)/(1<<53) + 1.0/(1<<54))
}

// wait draws the minutes to the next event that comes every so often on average.
func (s *Shipment) wait(mean float64) int {
	return 1 + int(float64(-mean*kernel.Log(1-s.random.Float64())))
}
