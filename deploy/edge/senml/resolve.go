package senml

import (
	"errors"
	"fmt"

	"github.com/trailmark/trailmark/deploy/edge/decimal"
)

// Limits of a pack.
const (
	MaxBytes   = 256 << 10
	MaxRecords = 4096
	maxText    = 256
)

// Measurement is a resolved record (RFC 8428, 4.6).
type Measurement struct {
	Name string
	Unit string // empty where the pack does not say
	// Value is the number measured, not set where the record holds something else, which Other names.
	Value decimal.Number
	Other string
	Time  int64 // milliseconds since 1970, or after receipt where Relative
	// Relative tells that the pack counts its times from when it was sent (RFC 8428, 4.5.3).
	Relative bool
}

// Decode reads a pack in JSON or CBOR, told apart by the first byte: a JSON array begins with a bracket, a CBOR array with 0x80 to 0x9f.
func Decode(pack []byte) ([]Measurement, error) {
	if len(pack) > MaxBytes {
		return nil, fmt.Errorf("pack of %d bytes, at most %d are allowed", len(pack), MaxBytes)
	}
	if len(pack) == 0 {
		return nil, errors.New("the message is empty")
	}
	var records []record
	var err error
	if pack[0]&0xe0 == 0x80 {
		records, err = readCBOR(pack)
	} else {
		records, err = readJSON(pack)
	}
	if err != nil {
		return nil, err
	}
	return resolve(records)
}

// record is a record as it stands in the pack.
type record struct {
	baseName, baseUnit, name, unit      *string
	baseTime, baseValue, baseSum, value decimal.Number
	sum, time, update                   decimal.Number
	version                             *int64
	hasString, hasBool, hasData         bool
}

// Versions of SenML: 10 is RFC 8428; features are added as powers of two (RFC 9100), of which secondary units are one (2^4).
const (
	versionPlain          = 10
	versionSecondaryUnits = versionPlain + 1<<4
)

// relativeBelow parts relative from absolute times, in seconds (RFC 8428, 4.5.3): 2^28.
const relativeBelow = int64(1<<28) * 1000

func resolve(records []record) ([]Measurement, error) {
	if len(records) == 0 {
		return nil, errors.New("a pack has at least one record")
	}
	var base record
	zero := decimal.Integer(0)
	base.baseTime, base.baseValue = zero, zero
	version := int64(versionPlain)
	result := make([]Measurement, 0, len(records))
	for i := range records {
		r := &records[i]
		if r.version != nil {
			if i > 0 && *r.version != version {
				return nil, fmt.Errorf("record %d: bver %d, but the pack began with %d", i, *r.version, version)
			}
			version = *r.version
			if version < 1 || version > versionPlain && version != versionSecondaryUnits {
				return nil, fmt.Errorf("record %d: bver %d is not known; 10 and 26 are", i, version)
			}
		}
		inherit(&base, r)
		m, err := resolveOne(&base, r)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		if m != nil {
			result = append(result, *m)
		}
	}
	return result, nil
}

func inherit(base, r *record) {
	if r.baseName != nil {
		base.baseName = r.baseName
	}
	if r.baseUnit != nil {
		base.baseUnit = r.baseUnit
	}
	if r.baseTime.IsSet() {
		base.baseTime = r.baseTime
	}
	if r.baseValue.IsSet() {
		base.baseValue = r.baseValue
	}
	if r.baseSum.IsSet() {
		base.baseSum = r.baseSum
	}
}

// resolveOne returns nil for a record that holds base fields only.
func resolveOne(base, r *record) (*Measurement, error) {
	values := 0
	for _, has := range []bool{r.value.IsSet(), r.hasString, r.hasBool, r.hasData} {
		if has {
			values++
		}
	}
	hasSum := r.sum.IsSet() || base.baseSum.IsSet()
	switch {
	case values > 1:
		return nil, errors.New("more than one of v, vs, vb, vd")
	case values == 0 && !hasSum && r.name == nil && r.unit == nil && !r.time.IsSet() && !r.update.IsSet():
		return nil, nil
	case values == 0 && !hasSum:
		return nil, errors.New("no value: one of v, vs, vb, vd, or s is needed")
	}
	m := &Measurement{Name: text(base.baseName) + text(r.name), Unit: text(base.baseUnit)}
	if r.unit != nil {
		m.Unit = *r.unit
	}
	if err := checkName(m.Name); err != nil {
		return nil, err
	}
	switch {
	case r.value.IsSet():
		m.Value = base.baseValue.Plus(r.value)
	case r.hasString:
		m.Other = "a string"
	case r.hasBool:
		m.Other = "a boolean"
	case r.hasData:
		m.Other = "binary data"
	default:
		m.Other = "a sum"
	}
	at := base.baseTime
	if r.time.IsSet() {
		at = at.Plus(r.time)
	}
	var err error
	if m.Time, err = at.Milliseconds(); err != nil {
		return nil, err
	}
	m.Relative = m.Time < relativeBelow
	return m, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// checkName holds a resolved name to RFC 8428, 4.5.1.
func checkName(name string) error {
	if name == "" {
		return errors.New("neither bn nor n gives a name")
	}
	if len(name) > maxText {
		return fmt.Errorf("name of %d bytes, at most %d are allowed", len(name), maxText)
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if letter || i > 0 && (c == '-' || c == ':' || c == '.' || c == '/' || c == '_') {
			continue
		}
		return fmt.Errorf("name %q has a character that SenML does not allow there", name)
	}
	return nil
}

// field is one of the labels of RFC 8428, table 4, and of CBOR, table 6.
var labels = map[string]int64{
	"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}

// number gives the place of a numeric label.
func (r *record) number(label int64) *decimal.Number {
	switch label {
	case -3:
		return &r.baseTime
	case -5:
		return &r.baseValue
	case -6:
		return &r.baseSum
	case 2:
		return &r.value
	case 5:
		return &r.sum
	case 6:
		return &r.time
	case 7:
		return &r.update
	}
	return nil
}

// setText sets a textual label; false where the label is none.
func (r *record) setText(label int64, value string) (known bool, err error) {
	switch label {
	case -2:
		r.baseName = &value
	case -4:
		r.baseUnit = &value
	case 0:
		r.name = &value
	case 1:
		r.unit = &value
	default:
		return false, nil
	}
	if len(value) > maxText {
		return true, fmt.Errorf("text of %d bytes, at most %d are allowed", len(value), maxText)
	}
	return true, nil
}

// mustUnderstand tells whether a label that we do not know forbids reading the pack (RFC 8428, 4.4).
func mustUnderstand(label string) bool { return label != "" && label[len(label)-1] == '_' }
