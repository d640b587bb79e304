// Package provenance holds Trailmark's domain: the words of the ledger (devices, frames, shipments, alerts …) as plain
// types, and the rules over them that need nothing but the values themselves. It imports the standard library only, is
// deterministic (no clock, no randomness, no map iteration that shows), and is spoken by every other package.
//
// The cbor struct tags are the numbers of chaincode/FORMATS.md; the json tags are the names used in contract arguments and in the API.
package provenance

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Micro is a fixed-point number in millionths: 4.5 °C is Micro(4_500_000).
type Micro int64

// MicroPerUnit is the number of millionths in one.
const MicroPerUnit = 1_000_000

// String writes the shortest decimal form: "4.5", "-0.000001", "12".
func (m Micro) String() string {
	sign := ""
	u := uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	whole, fraction := u/MicroPerUnit, u%MicroPerUnit
	if fraction == 0 {
		return fmt.Sprintf("%s%d", sign, whole)
	}
	digits := fmt.Sprintf("%06d", fraction)
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return fmt.Sprintf("%s%d.%s", sign, whole, digits)
}

// Float returns the number as a float64, for charts and models; never for a decision on the ledger.
func (m Micro) Float() float64 { return float64(m) / MicroPerUnit }

// Time is a moment in milliseconds since the Unix epoch, UTC.
type Time int64

// TimeOf converts, dropping what is finer than a millisecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// Time converts to the standard library's type, in UTC.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// String writes RFC 3339 with milliseconds.
func (t Time) String() string { return t.Time().Format("2006-01-02T15:04:05.000Z07:00") }

// Hash is a SHA-256 value.
type Hash [32]byte

// String writes lower-case hexadecimal.
func (h Hash) String() string { return fmt.Sprintf("%x", h[:]) }

// MarshalText writes hexadecimal, for JSON.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return Invalidf("hash of %d characters, want %d hexadecimal digits", len(text), hex.EncodedLen(len(h)))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return Invalidf("hash: %v", err)
	}
	return nil
}

// MaxIdentifier is the longest identifier, in bytes.
const MaxIdentifier = 64

// CheckIdentifier tells whether s may name a device, a shipment, an organisation, a model or an alert: 1 to 64 of
// letters, digits and ". _ : -", the first a letter or a digit. Such a name is safe in keys, topics, paths and URLs.
func CheckIdentifier(what, s string) error {
	if s == "" {
		return Invalidf("%s: an identifier is missing", what)
	}
	if len(s) > MaxIdentifier {
		return Invalidf("%s: identifier of %d bytes, at most %d are allowed", what, len(s), MaxIdentifier)
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != ':' && c != '-') {
			return Invalidf("%s: %q at position %d is not allowed in an identifier (letters, digits, and . _ : - after the first)", what, c, i+1)
		}
	}
	return nil
}
