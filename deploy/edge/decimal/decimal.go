// Package decimal reads measured numbers exactly, converts their units exactly, and rounds once, at the end, to the ledger's millionths.
// A binary float stands for the shortest decimal that denotes it: a sensor that sends the float32 21.3 means 21.3.
// Of ours it imports chaincode/provenance.
package decimal

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Number is an exact number. The zero Number is no number.
type Number struct{ rat *big.Rat }

// Limits of a number's text: no measured value needs more, and a huge exponent would cost memory.
const (
	maxDigits   = 64
	maxExponent = 64
)

// Parse reads a decimal as JSON writes it: "-1.5e3".
func Parse(text string) (Number, error) {
	if len(text) > maxDigits {
		return Number{}, fmt.Errorf("number of %d characters, at most %d are allowed", len(text), maxDigits)
	}
	if text == "" || strings.ContainsAny(text, "/_xXpPbBoOiIn+ ") && !plainExponent(text) {
		return Number{}, fmt.Errorf("%q is no decimal number", text)
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(text[i+1:])
		if err != nil || exponent > maxExponent || exponent < -maxExponent {
			return Number{}, fmt.Errorf("%q: the exponent is no number between -%d and %d", text, maxExponent, maxExponent)
		}
	}
	rat, ok := new(big.Rat).SetString(text)
	if !ok {
		return Number{}, fmt.Errorf("%q is no decimal number", text)
	}
	return Number{rat}, nil
}

// plainExponent allows the one plus sign that a number may have: that of its exponent.
func plainExponent(text string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToLower(text), "e+")
	return found && !strings.ContainsAny(mantissa+exponent, "/_xpboin+ ")
}

// Integer is a whole number.
func Integer(n int64) Number { return Number{new(big.Rat).SetInt64(n)} }

// Unsigned is a whole number that is not negative.
func Unsigned(n uint64) Number { return Number{new(big.Rat).SetInt(new(big.Int).SetUint64(n))} }

// Float reads a binary float of 16 and 32 bits (bits 32) or 64 bits.
func Float(f float64, bits int) (Number, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Number{}, fmt.Errorf("%v is no measured value", f)
	}
	return Parse(strconv.FormatFloat(f, 'e', -1, bits))
}

// Scaled is mantissa · base^exponent, as CBOR's decimal fractions (base 10) and bigfloats (base 2) say it.
func Scaled(mantissa *big.Int, base, exponent int64) (Number, error) {
	if exponent > maxExponent || exponent < -maxExponent || mantissa.BitLen() > 256 {
		return Number{}, fmt.Errorf("number with mantissa of %d bits and exponent %d is out of bounds", mantissa.BitLen(), exponent)
	}
	power := new(big.Int).Exp(big.NewInt(base), big.NewInt(max(exponent, -exponent)), nil)
	if exponent >= 0 {
		return Number{new(big.Rat).SetInt(power.Mul(power, mantissa))}, nil
	}
	return Number{new(big.Rat).SetFrac(mantissa, power)}, nil
}

// Plus adds.
func (n Number) Plus(m Number) Number { return Number{new(big.Rat).Add(n.rat, m.rat)} }

// Sign is -1, 0 or 1.
func (n Number) Sign() int { return n.rat.Sign() }

// IsSet tells whether it is a number at all.
func (n Number) IsSet() bool { return n.rat != nil }

// String writes it for people and for golden files.
func (n Number) String() string {
	if n.rat == nil {
		return ""
	}
	if n.rat.IsInt() {
		return n.rat.Num().String()
	}
	text := n.rat.FloatString(12)
	return strings.TrimRight(text, "0")
}

// maxMicro bounds a value: ±9.2e12 units fit the ledger's 64 bits.
var maxMicro = new(big.Int).SetInt64(math.MaxInt64)

// Micro rounds to millionths, a half to the even one.
func (n Number) Micro() (provenance.Micro, error) {
	rounded := n.times(provenance.MicroPerUnit)
	if new(big.Int).Abs(rounded).Cmp(maxMicro) > 0 {
		return 0, fmt.Errorf("%s is beyond what the ledger can hold", n)
	}
	return provenance.Micro(rounded.Int64()), nil
}

// Milliseconds rounds seconds to milliseconds, a half to the even one.
func (n Number) Milliseconds() (int64, error) {
	rounded := n.times(1000)
	if !rounded.IsInt64() || rounded.Int64() > 1<<52 || rounded.Int64() < -1<<52 {
		return 0, fmt.Errorf("%s s is no time", n)
	}
	return rounded.Int64(), nil
}

// times multiplies by a positive whole number and rounds half to even.
func (n Number) times(factor int64) *big.Int {
	scaled := new(big.Rat).Mul(n.rat, new(big.Rat).SetInt64(factor))
	quotient, remainder := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int)) // remainder ≥ 0
	switch twice := remainder.Lsh(remainder, 1).Cmp(scaled.Denom()); {
	case twice > 0, twice == 0 && quotient.Bit(0) == 1:
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient
}

// Conversion turns a number in one unit into another: value·scale + offset, exactly.
type Conversion struct{ scale, offset *big.Rat }

// Apply converts.
func (c Conversion) Apply(n Number) Number {
	if c.scale == nil {
		return n
	}
	result := new(big.Rat).Mul(n.rat, c.scale)
	return Number{result.Add(result, c.offset)}
}

// Linear makes a conversion of two exact numbers, each a decimal or a fraction such as "5/9"; empty means 1 and 0.
func Linear(scale, offset string) (Conversion, error) {
	s, err := fraction(scale, "1")
	if err != nil {
		return Conversion{}, fmt.Errorf("scale: %w", err)
	}
	if s.Sign() == 0 {
		return Conversion{}, fmt.Errorf("scale: 0 would make every value the same")
	}
	o, err := fraction(offset, "0")
	if err != nil {
		return Conversion{}, fmt.Errorf("offset: %w", err)
	}
	return Conversion{s, o}, nil
}

func fraction(text, otherwise string) (*big.Rat, error) {
	if text == "" {
		text = otherwise
	}
	above, below, isFraction := strings.Cut(text, "/")
	numerator, err := Parse(strings.TrimSpace(above))
	if err != nil || !isFraction {
		return numerator.rat, err
	}
	denominator, err := Parse(strings.TrimSpace(below))
	if err != nil {
		return nil, err
	}
	if denominator.Sign() == 0 {
		return nil, fmt.Errorf("%q divides by zero", text)
	}
	return new(big.Rat).Quo(numerator.rat, denominator.rat), nil
}

// aliases are what devices call units that SenML has a name for.
var aliases = map[string]string{
	"°C": "Cel", "C": "Cel", "degC": "Cel", "Celsius": "Cel", "°F": "degF", "F": "degF", "Far": "degF", "Fahrenheit": "degF", "%rh": "%RH",
}

// conversions are by units as SenML names them (and degF, which it does not have): from, to → scale, offset.
var conversions = map[[2]string][2]string{
	{"degF", "Cel"}: {"5/9", "-160/9"}, {"K", "Cel"}: {"1", "-273.15"}, {"Cel", "K"}: {"1", "273.15"}, {"degF", "K"}: {"5/9", "45967/180"},
	{"/", "%"}: {"100", ""}, {"/", "%RH"}: {"100", ""}, {"%", "/"}: {"0.01", ""}, {"%RH", "/"}: {"0.01", ""}, {"%", "%RH"}: {}, {"%", "%EL"}: {}, {"/", "%EL"}: {"100", ""},
	{"mV", "V"}: {"0.001", ""}, {"mA", "A"}: {"0.001", ""}, {"hPa", "Pa"}: {"100", ""}, {"kPa", "Pa"}: {"1000", ""}, {"bar", "Pa"}: {"100000", ""}, {"mbar", "Pa"}: {"100", ""},
}

// Canonical is SenML's name of a unit.
func Canonical(unit string) string {
	if known, ok := aliases[unit]; ok {
		return known
	}
	return unit
}

// Between gives the conversion of one unit into another.
func Between(from, to string) (Conversion, error) {
	from, to = Canonical(from), Canonical(to)
	if from == to {
		return Conversion{}, nil
	}
	known, ok := conversions[[2]string{from, to}]
	if !ok {
		return Conversion{}, fmt.Errorf("no conversion from %q to %q is known; give scale and offset", from, to)
	}
	return Linear(known[0], known[1])
}
