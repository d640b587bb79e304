package epcis

import "strings"

// An Identifier is a GS1 key taken apart: what kind of thing it names, and which.
type Identifier struct {
	Key    string // "GTIN", "SSCC", "GLN", "party GLN", "GRAI", "GIAI", "GSRN provider", "GDTI", …
	Value  string // the key itself, check digit included
	Lot    string // of a GTIN or ITIP
	Serial string // of whatever has one: an item, a part of a location, a component

	key key
}

// Identify takes an identifier apart, however it is written. It reports false for what is no GS1 identifier.
func Identify(uri string) (Identifier, bool) {
	k, ok := parseKey(uri)
	if !ok {
		return Identifier{}, false
	}
	id := Identifier{Key: keyTypes[k.ai].name, Value: k.value, key: k}
	for _, q := range k.qualifiers {
		switch q.ai {
		case "10":
			id.Lot = q.value
		case "21", "235", "254", "8011":
			id.Serial = q.value
		}
	}
	return id, true
}

// OwnerDigits are the digits of the key from where its owner's GS1 company prefix starts. The key is the owner's if
// they start with the prefix.
func (i Identifier) OwnerDigits() string {
	switch i.key.ai {
	case "00", "01", "8003", "8006":
		return i.Value[1:] // behind the extension digit, the indicator or the leading zero
	}
	return i.Value
}

// Class is the canonical Digital Link of the class that an item belongs to: its lot if the identifier says one, else
// its trade item. It is "" for what belongs to no class.
func (i Identifier) Class() string {
	if i.key.ai != "01" && i.key.ai != "8006" {
		return ""
	}
	class := key{ai: i.key.ai, value: i.Value}
	if i.Lot != "" {
		class.qualifiers = []qualifier{{"10", i.Lot}}
	}
	return class.constrained()
}

// IsInstance reports whether the identifier names one thing rather than a class of things.
func (i Identifier) IsInstance() bool {
	switch i.key.ai {
	case "01", "8006", "8010":
		return i.Serial != ""
	case "253", "255", "8003":
		return len(i.Value) > keyTypes[i.key.ai].digits
	}
	return true
}

// OwnedBy reports whether the key was made from a GS1 company prefix.
func (i Identifier) OwnedBy(companyPrefix string) bool {
	return companyPrefix != "" && strings.HasPrefix(i.OwnerDigits(), companyPrefix)
}
