package epcis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Canonical is the constrained canonical GS1 Digital Link of an identifier, whether it is written as an EPC URI, an
// EPC class or pattern, or a Digital Link on any domain. Whatever is none of these is returned as it is. Two
// identifiers of the same thing have the same canonical form.
func Canonical(uri string) string {
	k, ok := parseKey(uri)
	if !ok {
		return uri
	}
	return k.constrained()
}

func parseKey(uri string) (key, bool) {
	if strings.HasPrefix(uri, "urn:epc:") {
		k, ok, _ := parseEPC(uri)
		return k, ok
	}
	return parseDigitalLink(uri)
}

// EPCURI writes an identifier as an EPC URI (a class or pattern URI where there is no serial number). The length of
// the owner's GS1 company prefix must be given, because a Digital Link does not say it.
func EPCURI(uri string, prefixLength int) (string, error) {
	k, ok := parseKey(uri)
	if !ok {
		return "", fmt.Errorf("%s is no GS1 identifier", quote(uri))
	}
	if prefixLength < 6 || prefixLength > 12 {
		return "", fmt.Errorf("a company prefix has 6 to 12 digits, not %d", prefixLength)
	}
	name, form, serial := k.scheme()
	scheme := epcSchemes[name]
	if scheme.reference == 0 {
		if len(k.value) <= prefixLength || !allDigits(k.value[:prefixLength]) {
			return "", fmt.Errorf("%s is too short for a company prefix of %d digits", quote(k.value), prefixLength)
		}
		out := "urn:epc:" + form + ":" + name + ":" + k.value[:prefixLength] + "." + encodeEPC(k.value[prefixLength:])
		if scheme.serial > 0 {
			out += "." + encodeEPCSerial(serial)
		}
		return out, nil
	}
	if err := k.verify(); err != nil {
		return "", err
	}
	digits := strings.TrimPrefix(k.value[:len(scheme.lead)+scheme.reference], scheme.lead)
	if scheme.indicator {
		digits = digits[1:1+prefixLength] + digits[:1] + digits[1+prefixLength:]
	}
	out := "urn:epc:" + form + ":" + name + ":" + digits[:prefixLength] + "." + digits[prefixLength:]
	if scheme.extra > 0 {
		out += "." + k.value[14:16] + "." + k.value[16:18]
	}
	if scheme.serial > 0 {
		out += "." + encodeEPCSerial(serial)
	}
	return out, nil
}

// scheme is the EPC scheme that a key is written in, and the serial number or lot it has there ("" for a class).
func (k key) scheme() (name, form, serial string) {
	finest := ""
	for _, ai := range strings.Fields(keyTypes[k.ai].kept) {
		for _, q := range k.qualifiers {
			if q.ai == ai {
				finest, serial = q.ai, q.value
			}
		}
	}
	form = "id"
	switch k.ai {
	case "01":
		switch finest {
		case "10":
			return "lgtin", "class", serial
		case "235":
			return "upui", form, serial
		}
		name = "sgtin"
	case "414":
		if serial == "" {
			serial = "0"
		}
		name = "sgln"
	case "8006":
		if finest == "10" {
			serial = "" // there is no EPC for a lot of pieces; the class is the nearest
		}
		name = "itip"
	default:
		for _, candidate := range sortedKeys(epcSchemes) {
			if epcSchemes[candidate].ai == k.ai {
				name = candidate
			}
		}
		if t := keyTypes[k.ai]; t.more > 0 && epcSchemes[name].qualifier == "" && epcSchemes[name].serial > 0 {
			serial = k.value[t.digits:]
		}
	}
	if serial == "" && epcSchemes[name].serial > 0 {
		form = "idpat"
	}
	return name, form, serial
}

func encodeEPCSerial(s string) string {
	if s == "" {
		return "*"
	}
	return encodeEPC(s)
}

func encodeEPC(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; !graphic(c) || strings.IndexByte(`"%&/<>?#`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var errCheckDigit = errors.New("wrong check digit")

// verify checks a key's check digit, and that its qualifiers come in the order of the Digital Link standard.
func (k key) verify() error {
	t := keyTypes[k.ai]
	if t.check > 0 {
		if want := checkDigit(k.value[:t.check-1]); k.value[t.check-1] != want {
			return fmt.Errorf("%w: the check digit of the %s %s is %c, not %c", errCheckDigit, t.name, k.value, want, k.value[t.check-1])
		}
	}
	if k.ai == "8003" && k.value[0] != '0' {
		return fmt.Errorf("a GRAI starts with a zero, not %q", k.value[0])
	}
	order := strings.Fields(t.qualifiers)
	for _, q := range k.qualifiers {
		for len(order) > 0 && order[0] != q.ai {
			order = order[1:]
		}
		if len(order) == 0 {
			return fmt.Errorf("the qualifier %s of a %s stands in the wrong order or twice", q.ai, t.name)
		}
		order = order[1:]
	}
	return nil
}

// checkIdentifier says which rule of GS1's identifiers a URI breaks. A URI that is no GS1 identifier breaks none,
// unless it starts like a key on id.gs1.org, where it can be nothing else.
func checkIdentifier(uri string) (rule string, err error) {
	if strings.HasPrefix(uri, "urn:epc:") {
		if _, _, err := parseEPC(uri); err != nil {
			return "key/epc-uri", err
		}
		return "", nil
	}
	k, ok := parseDigitalLink(uri)
	if !ok {
		if first, onStandard := strings.CutPrefix(uri, digitalLinks+"/"); onStandard && namesKey(first) {
			return "key/digital-link", fmt.Errorf("%s is no GS1 Digital Link of a key, its qualifiers and their lengths", quote(uri))
		}
		return "", nil
	}
	err = k.verify()
	switch {
	case err == nil:
		return "", nil
	case k.ai == "8003" && !strings.HasPrefix(uri, digitalLinks+"/"):
		return "", nil // public documents call assets so, with digits that no GRAI can have; there it is just a URI
	case errors.Is(err, errCheckDigit):
		return "key/check-digit", err
	default:
		return "key/digital-link", err
	}
}

func namesKey(path string) bool {
	ai, _, _ := strings.Cut(path, "/")
	_, known := keyTypes[ai]
	return known || keyOfAlias[ai] != ""
}

// isURI accepts any absolute URI or compact URI; text without a scheme is neither.
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || rest == "" || strings.ContainsAny(s, " \t\r\n<>\"{}|\\^`") {
		return false
	}
	for i := range len(scheme) {
		c := scheme[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte("+-.", c) < 0) {
			return false
		}
	}
	return true
}

// quote writes text from outside so that it can stand in a message: quoted, and not longer than a line.
func quote(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return strconv.Quote(s)
}
