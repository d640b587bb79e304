package kinetics

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Kind says which rules a profile's goods fall under.
type Kind string

// The kinds of goods.
const (
	Food     Kind = "food"
	Medicine Kind = "medicine"
	Vaccine  Kind = "vaccine"
)

// Profile describes how one kind of goods bears temperature. All numbers are integers, so that a profile has one canonical
// form and one hash. Temperatures are millionths of a degree Celsius, counts millionths of log10 CFU/mL, rates millionths of
// the natural logarithm per hour.
type Profile struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Source  string `json:"source"`
	Band    Band   `json:"band"`
	// Storage is the temperature a forecast starts from before there is a day of readings.
	Storage int64 `json:"storage"`
	// Growth or Degradation, never both, says how quality is lost; a profile with neither has only its band.
	Growth      *Growth      `json:"growth,omitempty"`
	Degradation *Degradation `json:"degradation,omitempty"`
}

// Band is the allowed temperature and how long it may be left.
type Band struct {
	Low                int64 `json:"low"`
	High               int64 `json:"high"`
	ConsecutiveMinutes int   `json:"consecutiveMinutes"`
	CumulativeMinutes  int   `json:"cumulativeMinutes"`
}

// Growth is the kinetics of one spoilage organism in one food. A spread is a standard deviation of what the next shipment
// may bring: uncertainty of the parameter and biological variability together.
type Growth struct {
	ReferenceRate        int64 `json:"referenceRate"`        // ln units per hour at ReferenceTemperature
	ReferenceTemperature int64 `json:"referenceTemperature"` // where the rate was measured
	RateSpread           int64 `json:"rateSpread"`           // of ln rate
	MinimumTemperature   int64 `json:"minimumTemperature"`   // Ratkowsky's notional Tmin
	MinimumSpread        int64 `json:"minimumSpread"`
	MaximumTemperature   int64 `json:"maximumTemperature"` // no growth above
	LagWork              int64 `json:"lagWork"`            // Baranyi's h0 = rate × lag; 0 is no lag
	MaximumCount         int64 `json:"maximumCount"`
	MaximumSpread        int64 `json:"maximumSpread"`
	InitialCount         int64 `json:"initialCount"` // where a shipment's own is not known
	InitialSpread        int64 `json:"initialSpread"`
	MeasurementSpread    int64 `json:"measurementSpread"` // of one plate count about the true one
	DetectionLimit       int64 `json:"detectionLimit"`
	SpoiledAt            int64 `json:"spoiledAt"`
}

// Degradation is the first-order loss of a medicine or vaccine, given by its life at a reference temperature and an
// activation energy. Life is used up at 1.0; fractions are millionths.
type Degradation struct {
	ActivationEnergy     int64 `json:"activationEnergy"` // J/mol
	EnergySpread         int64 `json:"energySpread"`     // J/mol
	ReferenceTemperature int64 `json:"referenceTemperature"`
	LifeHours            int64 `json:"lifeHours"`  // at ReferenceTemperature
	RateSpread           int64 `json:"rateSpread"` // of ln rate
	// MeanKineticWindowHours is the trailing window of the mean kinetic temperature (USP <1079.2>: 24 h for cold, 720 h for
	// controlled room temperature); MeanKineticLimit is the temperature it may not exceed.
	MeanKineticWindowHours int   `json:"meanKineticWindowHours"`
	MeanKineticLimit       int64 `json:"meanKineticLimit"`
}

// MaxProfileBytes bounds an encoded profile.
const MaxProfileBytes = 16 << 10

// ParseProfile reads a profile from JSON. Unknown fields, trailing bytes and values outside physical bounds are errors.
func ParseProfile(encoded []byte) (Profile, error) {
	var p Profile
	if len(encoded) > MaxProfileBytes {
		return Profile{}, fmt.Errorf("parsing profile: %d bytes, at most %d are allowed", len(encoded), MaxProfileBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return Profile{}, fmt.Errorf("parsing profile: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Profile{}, errors.New("parsing profile: bytes after the object")
	}
	if err := p.Validate(); err != nil {
		return Profile{}, fmt.Errorf("parsing profile: %w", err)
	}
	return p, nil
}

// Encode returns the canonical JSON of the profile: fields in the order of the type, no white space.
func (p Profile) Encode() []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil { // a struct of integers and strings cannot fail
		panic(err)
	}
	return bytes.TrimRight(buffer.Bytes(), "\n")
}

// Hash is the SHA-256 of Encode.
func (p Profile) Hash() [32]byte { return sha256.Sum256(p.Encode()) }

type bound struct {
	name           string
	value, low, up int64
}

func check(bounds []bound) error {
	for _, b := range bounds {
		if b.value < b.low || b.value > b.up {
			return fmt.Errorf("%s is %d, it must be between %d and %d", b.name, b.value, b.low, b.up)
		}
	}
	return nil
}

const million = 1_000_000

// Validate reports the first value that no goods can have.
func (p Profile) Validate() error {
	switch {
	case p.ID == "" || len(p.ID) > 64:
		return errors.New("profile id must have 1 to 64 characters")
	case len(p.Name) > 200 || len(p.Source) > 2000:
		return errors.New("profile name or source is too long")
	case p.Kind != Food && p.Kind != Medicine && p.Kind != Vaccine:
		return fmt.Errorf("kind %q is not food, medicine or vaccine", p.Kind)
	case p.Growth != nil && p.Degradation != nil:
		return errors.New("a profile has growth or degradation, not both")
	case p.Band.Low >= p.Band.High:
		return errors.New("the band's low end must lie below its high end")
	}
	if err := check([]bound{
		{"version", int64(p.Version), 1, 1 << 30},
		{"band.low", p.Band.Low, -273 * million, 200 * million},
		{"band.high", p.Band.High, -273 * million, 200 * million},
		{"band.consecutiveMinutes", int64(p.Band.ConsecutiveMinutes), 0, 100_000},
		{"band.cumulativeMinutes", int64(p.Band.CumulativeMinutes), 0, 1_000_000},
		{"storage", p.Storage, -273 * million, 200 * million},
	}); err != nil {
		return err
	}
	if g := p.Growth; g != nil {
		return g.validate()
	}
	if d := p.Degradation; d != nil {
		return d.validate()
	}
	return nil
}

func (g Growth) validate() error {
	if err := check([]bound{
		{"growth.referenceRate", g.ReferenceRate, 1, 10 * million},
		{"growth.referenceTemperature", g.ReferenceTemperature, -30 * million, 60 * million},
		{"growth.rateSpread", g.RateSpread, 0, 2 * million},
		{"growth.minimumTemperature", g.MinimumTemperature, -40 * million, 40 * million},
		{"growth.minimumSpread", g.MinimumSpread, 0, 5 * million},
		{"growth.maximumTemperature", g.MaximumTemperature, 0, 100 * million},
		{"growth.lagWork", g.LagWork, 0, 20 * million},
		{"growth.maximumCount", g.MaximumCount, 0, 12 * million},
		{"growth.maximumSpread", g.MaximumSpread, 0, 2 * million},
		{"growth.initialCount", g.InitialCount, -4 * million, 10 * million},
		{"growth.initialSpread", g.InitialSpread, 0, 3 * million},
		{"growth.measurementSpread", g.MeasurementSpread, 0, 2 * million},
		{"growth.detectionLimit", g.DetectionLimit, -4 * million, 10 * million},
		{"growth.spoiledAt", g.SpoiledAt, 0, 12 * million},
	}); err != nil {
		return err
	}
	// Members vary Tmin by at most 2.5 spreads; the square-root law needs the reference clear of it.
	if g.ReferenceTemperature-g.MinimumTemperature < 5*g.MinimumSpread/2+million {
		return errors.New("growth.referenceTemperature must lie a degree and 2.5 spreads above growth.minimumTemperature")
	}
	if g.MaximumTemperature <= g.ReferenceTemperature {
		return errors.New("growth.maximumTemperature must lie above growth.referenceTemperature")
	}
	return nil
}

func (d Degradation) validate() error {
	return check([]bound{
		{"degradation.activationEnergy", d.ActivationEnergy, 10_000, 400_000},
		{"degradation.energySpread", d.EnergySpread, 0, 40_000},
		{"degradation.referenceTemperature", d.ReferenceTemperature, -100 * million, 100 * million},
		{"degradation.lifeHours", d.LifeHours, 1, 1_000_000},
		{"degradation.rateSpread", d.RateSpread, 0, 2 * million},
		{"degradation.meanKineticWindowHours", int64(d.MeanKineticWindowHours), 1, 24 * 31},
		{"degradation.meanKineticLimit", d.MeanKineticLimit, -273 * million, 200 * million},
	})
}
