package epcis

import (
	"net/url"
	"strings"
)

// A key is a GS1 identification key as a Digital Link URI carries it.
type key struct {
	ai         string // application identifier: "01", "414", …
	value      string // decoded
	qualifiers []qualifier
}

type qualifier struct{ ai, value string }

// A keyType says what a key's value looks like and which qualifiers refine it.
type keyType struct {
	name       string
	alias      string // the short name that older Digital Links use for the application identifier
	digits     int    // the value starts with this many digits; of a GTIN, the longest
	check      int    // the one of them that is the check digit, counted from 1; 0 for none
	more       int    // characters that may follow
	moreDigits bool   // they are digits too
	qualifiers string // in the order that a Digital Link has them
	kept       string // those that a constrained Digital Link keeps
	exclusive  bool   // of those kept, only the last counts: a serial number makes the lot redundant
}

var keyTypes = map[string]keyType{
	"00":   {name: "SSCC", alias: "sscc", digits: 18, check: 18},
	"01":   {name: "GTIN", alias: "gtin", digits: 14, check: 14, qualifiers: "22 10 21 235", kept: "10 21 235", exclusive: true},
	"253":  {name: "GDTI", alias: "gdti", digits: 13, check: 13, more: 17},
	"255":  {name: "GCN", alias: "gcn", digits: 13, check: 13, more: 12, moreDigits: true},
	"401":  {name: "GINC", alias: "ginc", digits: 4, more: 26},
	"402":  {name: "GSIN", alias: "gsin", digits: 17, check: 17},
	"414":  {name: "GLN", alias: "gln", digits: 13, check: 13, qualifiers: "254 7040", kept: "254"},
	"417":  {name: "party GLN", alias: "party", digits: 13, check: 13, qualifiers: "7040"},
	"8003": {name: "GRAI", alias: "grai", digits: 14, check: 14, more: 16},
	"8004": {name: "GIAI", alias: "giai", digits: 4, more: 26, qualifiers: "7040"},
	"8006": {name: "ITIP", alias: "itip", digits: 18, check: 14, qualifiers: "22 10 21", kept: "10 21", exclusive: true},
	"8010": {name: "CPID", alias: "cpid", digits: 4, more: 26, qualifiers: "8011", kept: "8011"},
	"8017": {name: "GSRN provider", alias: "gsrnp", digits: 18, check: 18, qualifiers: "8019"},
	"8018": {name: "GSRN recipient", alias: "gsrn", digits: 18, check: 18, qualifiers: "8019"},
}

var keyOfAlias = func() map[string]string {
	of := map[string]string{}
	for ai, t := range keyTypes {
		of[t.alias] = ai
	}
	return of
}()

var qualifierLimits = map[string]int{"22": 20, "10": 20, "21": 20, "235": 28, "254": 20, "7040": 4, "8011": 12, "8019": 10}

var qualifierOfAlias = map[string]string{"cpv": "22", "lot": "10", "ser": "21", "glnx": "254", "cpsn": "8011", "srin": "8019", "tpx": "235"}

// parseDigitalLink finds the GS1 key in a URI: the last pair of path segments that names a key, with nothing but
// its qualifiers behind it. Query and fragment say nothing about identity.
func parseDigitalLink(uri string) (key, bool) {
	rest, ok := strings.CutPrefix(uri, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(uri, "http://"); !ok {
			return key{}, false
		}
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	segments = segments[1:] // without the host
	for i := len(segments) - 2; i >= 0; i -= 2 {
		ai := segments[i]
		if of, ok := keyOfAlias[ai]; ok {
			ai = of
		}
		t, ok := keyTypes[ai]
		if !ok {
			continue
		}
		found := key{ai: ai}
		if found.value, ok = decodeSegment(segments[i+1]); !ok || !t.fits(ai, found.value) {
			return key{}, false
		}
		if ai == "01" {
			found.value = strings.Repeat("0", 14-len(found.value)) + found.value
		}
		for j := i + 2; j < len(segments); j += 2 {
			q := qualifier{ai: segments[j]}
			if of, ok := qualifierOfAlias[q.ai]; ok {
				q.ai = of
			}
			if !listed(t.qualifiers, q.ai) {
				return key{}, false
			}
			if q.value, ok = decodeSegment(segments[j+1]); !ok || q.value == "" || len(q.value) > qualifierLimits[q.ai] {
				return key{}, false
			}
			found.qualifiers = append(found.qualifiers, q)
		}
		return found, true
	}
	return key{}, false
}

func (t keyType) fits(ai, value string) bool {
	if ai == "01" {
		switch len(value) {
		case 8, 12, 13, 14:
			return allDigits(value)
		}
		return false
	}
	if len(value) < t.digits || len(value) > t.digits+t.more || !allDigits(value[:t.digits]) {
		return false
	}
	return !t.moreDigits || len(value) == t.digits || allDigits(value[t.digits:])
}

// constrained writes the canonical Digital Link that CBV's event hash wants: the standard's domain, and no more
// than the finest level of identification.
func (k key) constrained() string {
	t := keyTypes[k.ai]
	var kept []qualifier
	for _, ai := range strings.Fields(t.kept) {
		for _, q := range k.qualifiers {
			if q.ai == ai {
				kept = append(kept, q)
			}
		}
	}
	if t.exclusive && len(kept) > 1 {
		kept = kept[len(kept)-1:]
	}
	return key{ai: k.ai, value: k.value, qualifiers: kept}.uri()
}

func (k key) uri() string {
	var b strings.Builder
	b.WriteString(digitalLinks)
	for _, part := range append([]qualifier{{k.ai, k.value}}, k.qualifiers...) {
		b.WriteByte('/')
		b.WriteString(part.ai)
		b.WriteByte('/')
		b.WriteString(encodeSegment(part.value))
	}
	return b.String()
}

func decodeSegment(s string) (string, bool) {
	decoded, err := url.PathUnescape(s)
	return decoded, err == nil
}

// encodeSegment percent-encodes all but the characters that a Digital Link leaves alone.
func encodeSegment(s string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._'=;", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func listed(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}

func allDigits(s string) bool {
	digits, rest := leadingDigits(s)
	return digits != "" && rest == ""
}

// checkDigit is GS1's modulo 10 digit over the digits before it.
func checkDigit(digits string) byte {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			d *= 3
		}
		sum += d
	}
	return byte('0' + (10-sum%10)%10)
}
