package epcis

import (
	"fmt"
	"strings"
)

// An epcScheme is one pure-identity EPC URI scheme of the Tag Data Standard whose key a Digital Link can carry.
type epcScheme struct {
	ai        string
	reference int  // company prefix and reference together have this many digits; 0: reference is text
	indicator bool // the reference's first digit comes before the company prefix in the key
	lead      string
	extra     int // two-digit fields between reference and serial number (ITIP's piece and total)
	serial    int // most characters of the serial number; 0 for none
	numeric   bool
	qualifier string // application identifier that carries the serial number, "" to append it to the key
}

// Both urn:epc:id: and urn:epc:class: schemes; a pattern (urn:epc:idpat:) is one of these with * for its serial.
var epcSchemes = map[string]epcScheme{
	"sgtin": {ai: "01", reference: 13, indicator: true, serial: 20, qualifier: "21"},
	"upui":  {ai: "01", reference: 13, indicator: true, serial: 28, qualifier: "235"},
	"lgtin": {ai: "01", reference: 13, indicator: true, serial: 20, qualifier: "10"},
	"itip":  {ai: "8006", reference: 13, indicator: true, extra: 2, serial: 20, qualifier: "21"},
	"sscc":  {ai: "00", reference: 17, indicator: true},
	"sgln":  {ai: "414", reference: 12, serial: 20, qualifier: "254"},
	"pgln":  {ai: "417", reference: 12},
	"grai":  {ai: "8003", reference: 12, lead: "0", serial: 16},
	"giai":  {ai: "8004"},
	"gsrn":  {ai: "8018", reference: 17},
	"gsrnp": {ai: "8017", reference: 17},
	"gdti":  {ai: "253", reference: 12, serial: 17},
	"sgcn":  {ai: "255", reference: 12, serial: 12, numeric: true},
	"cpi":   {ai: "8010", serial: 12, numeric: true, qualifier: "8011"},
	"ginc":  {ai: "401"},
	"gsin":  {ai: "402", reference: 16},
}

// otherEPCs are the schemes of others than GS1's key owners: known, but with no Digital Link.
var otherEPCs = words("gid usdod adi bic imovn")

// parseEPC reads an EPC URI. It reports false for what is none, or is of a scheme that no Digital Link carries.
func parseEPC(uri string) (k key, ok bool, err error) {
	rest, isEPC := strings.CutPrefix(uri, "urn:epc:")
	if !isEPC {
		return key{}, false, nil
	}
	form, rest, _ := strings.Cut(rest, ":")
	name, rest, colon := strings.Cut(rest, ":")
	if !colon {
		return key{}, false, fmt.Errorf("%s has no scheme and identity", quote(uri))
	}
	scheme, known := epcSchemes[name]
	switch form {
	case "id":
		if name == "lgtin" {
			return key{}, false, fmt.Errorf("an LGTIN is a class: urn:epc:class:lgtin")
		}
	case "class":
		if name != "lgtin" {
			return key{}, false, fmt.Errorf("%q is no EPC class scheme", name)
		}
	case "idpat":
	case "tag", "raw", "pat":
		return key{}, false, fmt.Errorf("urn:epc:%s: is how a tag is encoded, not an identity", form)
	default:
		return key{}, false, fmt.Errorf("urn:epc:%s: is no EPC URI", form)
	}
	if !known {
		if otherEPCs[name] && rest != "" {
			return key{}, false, nil
		}
		return key{}, false, fmt.Errorf("%q is no EPC scheme", name)
	}
	if form == "idpat" {
		return scheme.pattern(name, rest)
	}
	k, err = scheme.parse(name, rest, false)
	return k, err == nil, err
}

// pattern reads an EPC pattern. With a star for the serial number it stands for a class, which has a Digital Link;
// wider patterns are correct, but have none.
func (s epcScheme) pattern(name, rest string) (key, bool, error) {
	if strings.HasSuffix(rest, ".*.*") || rest == "*" || s.serial == 0 {
		return key{}, false, nil
	}
	body, star := strings.CutSuffix(rest, ".*")
	if !star {
		return key{}, false, fmt.Errorf("the pattern %s does not end in .*", quote(rest))
	}
	k, err := s.parse(name, body, true)
	return k, err == nil, err
}

func (s epcScheme) parse(name, rest string, class bool) (key, error) {
	fail := func(format string, args ...any) (key, error) {
		return key{}, fmt.Errorf("%s: "+format, append([]any{strings.ToUpper(name)}, args...)...)
	}
	prefix, rest, dot := strings.Cut(rest, ".")
	if !dot || !allDigits(prefix) || len(prefix) < 6 || len(prefix) > 12 {
		return fail("the company prefix %s is not 6 to 12 digits with a dot behind", quote(prefix))
	}
	if s.reference == 0 {
		return s.parseText(prefix, rest, class, fail)
	}
	want := s.reference - len(prefix)
	reference, rest, more := strings.Cut(rest, ".")
	if len(reference) != want || (want > 0 && !allDigits(reference)) {
		return fail("after a company prefix of %d digits the reference has %d digits, not %s", len(prefix), want, quote(reference))
	}
	digits := s.lead + prefix + reference
	if s.indicator {
		if reference == "" {
			return fail("the reference lacks its first digit")
		}
		digits = reference[:1] + prefix + reference[1:]
	}
	k := key{ai: s.ai, value: digits + string(checkDigit(digits))}
	for range s.extra {
		var field string
		if field, rest, more = strings.Cut(rest, "."); len(field) != 2 || !allDigits(field) {
			return fail("piece and total have two digits each")
		}
		k.value += field
	}
	if class && more {
		return fail("a pattern has nothing but * for the serial number")
	}
	if class || (s.serial == 0 && !more) {
		return k, nil
	}
	if s.serial == 0 || !more {
		return fail("wrong number of fields")
	}
	serial, err := s.decodeSerial(rest)
	if err != nil {
		return fail("%w", err)
	}
	switch {
	case name == "sgln" && rest == "0": // the location itself, not a part of it
	case s.qualifier != "":
		k.qualifiers = []qualifier{{s.qualifier, serial}}
	default:
		k.value += serial
	}
	return k, nil
}

// parseText reads the schemes whose reference is text: GIAI, GINC and CPI.
func (s epcScheme) parseText(prefix, rest string, class bool, fail func(string, ...any) (key, error)) (key, error) {
	reference, serial := rest, ""
	if s.serial > 0 && !class {
		var ok bool
		if reference, serial, ok = strings.Cut(rest, "."); !ok || !allDigits(serial) || len(serial) > s.serial {
			return fail("the serial number %s is not 1 to %d digits", quote(serial), s.serial)
		}
	}
	decoded, err := decodeEPC(reference)
	if err != nil {
		return fail("%w", err)
	}
	if len(prefix)+len(decoded) > 30 {
		return fail("company prefix and reference have more than 30 characters")
	}
	if s.ai == "8010" {
		for i := range len(decoded) {
			if c := decoded[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '-' && c != '#' && c != '/' {
				return fail("a component reference has no %q", c)
			}
		}
	}
	k := key{ai: s.ai, value: prefix + decoded}
	if serial != "" {
		k.qualifiers = []qualifier{{s.qualifier, serial}}
	}
	return k, nil
}

func (s epcScheme) decodeSerial(raw string) (string, error) {
	serial, err := decodeEPC(raw)
	switch {
	case err != nil:
		return "", err
	case len(serial) > s.serial:
		return "", fmt.Errorf("a serial number has at most %d characters", s.serial)
	case s.numeric && !allDigits(serial):
		return "", fmt.Errorf("the serial number %s is not numeric", quote(raw))
	}
	return serial, nil
}

// decodeEPC undoes the percent-encoding of an EPC URI, which has it for seven characters and no others.
func decodeEPC(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("a field is empty")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return "", fmt.Errorf("%s ends within a percent-encoding", quote(s))
			}
			decoded, ok := decodeSegment(s[i : i+3])
			if !ok || !graphic(decoded[0]) {
				return "", fmt.Errorf("%q encodes no character of GS1's set", s[i:i+3])
			}
			b.WriteByte(decoded[0])
			i += 2
		case graphic(c) && strings.IndexByte(`"%&/<>?#`, c) < 0:
			b.WriteByte(c)
		default:
			return "", fmt.Errorf("%q must not stand in an EPC URI unencoded", c)
		}
	}
	return b.String(), nil
}

// graphic reports whether GS1's character sets 82 and 39 have the character.
func graphic(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(`!"%&'()*+,-./_:;<=>?#`, c) >= 0
}
