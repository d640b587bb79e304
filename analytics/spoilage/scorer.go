package spoilage

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
)

// Config is what is known of one shipment beyond its profile.
type Config struct {
	// InitialCount is the contamination at the start (log10, millionths), nil for the profile's own.
	InitialCount *int64 `json:"initialCount,omitempty"`
}

// Bounds on what one shipment may ask of memory.
const (
	maxDevices   = 256
	maxDeviceID  = 200
	maxIncidents = 32 // per device and kind; older ones are forgotten
)

var (
	// ErrOutOfOrder is returned for a reading not later than the device's last one: a back-filled reading. Recompute the
	// shipment from all its readings in order of time.
	ErrOutOfOrder = errors.New("reading is not later than the device's last one")
	// ErrImplausible is returned for a temperature no sensor can mean.
	ErrImplausible = errors.New("temperature is outside -273.15 to 200 °C")
)

// Scorer follows one shipment. It is not safe for concurrent use.
type Scorer struct {
	profile kinetics.Profile
	model   *autoencoder.Model
	config  Config
	devices map[string]*device
	scratch kernel.Scratch
}

// New starts a shipment. A nil model leaves anomalies out.
func New(profile kinetics.Profile, model *autoencoder.Model, config Config) (*Scorer, error) {
	if err := profile.Validate(); err != nil {
		return nil, fmt.Errorf("starting scorer: %w", err)
	}
	if c := config.InitialCount; c != nil && (*c < -4*kernel.Micro || *c > 12*kernel.Micro) {
		return nil, fmt.Errorf("starting scorer: initial count of %d millionths of log10 is outside -4 to 12", *c)
	}
	return &Scorer{profile: profile, model: model, config: config, devices: map[string]*device{}}, nil
}

// Observe takes the next reading of a device. It fails, changing nothing, for a reading that is out of order or implausible,
// or for more devices than a shipment may have.
func (s *Scorer) Observe(deviceID string, at time.Time, temperature int64) error {
	if temperature < -273_150_000 || temperature > 200_000_000 {
		return fmt.Errorf("%w: %d millionths", ErrImplausible, temperature)
	}
	d, known := s.devices[deviceID]
	if !known {
		if deviceID == "" || len(deviceID) > maxDeviceID {
			return fmt.Errorf("a device id must have 1 to %d bytes", maxDeviceID)
		}
		if len(s.devices) >= maxDevices {
			return fmt.Errorf("a shipment has at most %d devices", maxDevices)
		}
		d = s.newDevice()
		s.devices[deviceID] = d
	}
	millis := at.UnixMilli()
	if known && millis <= d.Last {
		return fmt.Errorf("%w: %s", ErrOutOfOrder, at.UTC().Format(time.RFC3339))
	}
	s.advance(d, millis, temperature)
	return nil
}

// Assess reports the shipment's incidents that began by asOf, gravest kind first, then by time. It changes nothing. It cannot
// unsee readings: asOf must not lie before a reading already observed.
func (s *Scorer) Assess(asOf time.Time) []Finding {
	limit := asOf.UnixMilli()
	var findings []Finding
	for _, kind := range Kinds() {
		findings = append(findings, s.findings(kind, limit)...)
	}
	return findings
}

// Recompute gives the findings of a shipment from its readings alone, those after asOf left out. The order of the readings
// does not matter; of several for one device and millisecond the lowest temperature's comes first and the rest are dropped, and
// so are implausible ones, as they are when observed live in that order.
func Recompute(profile kinetics.Profile, model *autoencoder.Model, config Config, readings []Reading, asOf time.Time) ([]Finding, error) {
	s, err := New(profile, model, config)
	if err != nil {
		return nil, err
	}
	ordered := slices.Clone(readings)
	slices.SortStableFunc(ordered, func(a, b Reading) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		if a.Device != b.Device {
			if a.Device < b.Device {
				return -1
			}
			return 1
		}
		return int(max(-1, min(1, a.Temperature-b.Temperature)))
	})
	for _, r := range ordered {
		if r.Time.After(asOf) {
			break
		}
		err := s.Observe(r.Device, r.Time, r.Temperature)
		if err != nil && !errors.Is(err, ErrOutOfOrder) && !errors.Is(err, ErrImplausible) {
			return nil, fmt.Errorf("recomputing: device %s: %w", r.Device, err)
		}
	}
	return s.Assess(asOf), nil
}

// Quality is what is predicted of the goods at the device where they are worst.
type Quality struct {
	Device string
	At     time.Time
	// Count is the predicted log10 count, or the used fraction of life, with a 90 % interval; zero without kinetics.
	Count kinetics.Count
	// Life is the remaining life in hours at the pace of the last day, with an 80 % interval; LifeNow the same at the current
	// temperature.
	Life, LifeNow kinetics.Life
	// Spoiled is the probability of spoilage within SpoilageHorizonHours.
	Spoiled int64
	// MeanKinetic is the mean kinetic temperature of the profile's window, for medicines and vaccines.
	MeanKinetic    int64
	HasMeanKinetic bool
}

// Quality predicts from all readings so far; ok is false before the first or where the profile has no kinetics.
func (s *Scorer) Quality() (worst Quality, ok bool) {
	if s.profile.Growth == nil && s.profile.Degradation == nil {
		return Quality{}, false
	}
	for _, id := range s.deviceIDs() {
		d := s.devices[id]
		q := d.quality()
		q.Device, q.At = id, time.UnixMilli(d.Last).UTC()
		if !ok || q.Life.Median < worst.Life.Median {
			worst, ok = q, true
		}
	}
	return worst, ok
}

func (s *Scorer) deviceIDs() []string {
	ids := make([]string, 0, len(s.devices))
	for id := range s.devices {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
