package provenance

import (
	"crypto/sha256"
	"strings"
)

// LicenceKey is the state key of the licence of a GS1 company prefix or a GLN.
func LicenceKey(digits string) string { return key("k", digits) }

// RolesKey is the state key of an organisation's roles.
func RolesKey(organisation string) string { return key("w", organisation) }

// CaptureKey is the state key of a capture of events.
func CaptureKey(organisation, id string) string { return key("j", organisation, id) }

// EventKey is the state key of an event.
func EventKey(hash Hash) string { return key("e", hash.String()) }

const digitalLinks = "https://id.gs1.org/"

// ItemKey is the state key of an item or a lot, by its canonical identifier. What follows the standard's domain begins with a
// digit, and a URI with a letter, so no two identifiers share a key.
func ItemKey(id string) string {
	if rest, ok := strings.CutPrefix(id, digitalLinks); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		return key("i", rest)
	}
	return key("i", id)
}

// LinkKey is the state key of a link. Identifiers hold slashes, so the key has their hashes.
func LinkKey(from, to string) string { return LinksFrom(from) + hashed(to) }

// LinksFrom is what the keys of all links from an identifier begin with.
func LinksFrom(from string) string { return key("g", hashed(from)) + "/" }

// HandoverKey is the state key of a handover.
func HandoverKey(id string) string { return key("v", id) }

// ShipmentCustodyKey is the state key of who answers for a shipment's temperature.
func ShipmentCustodyKey(shipment string) string { return key("t", shipment) }

// RecallKey is the state key of a recall.
func RecallKey(id string) string { return key("r", id) }

// RecalledKey is the state key of what is under a recall.
func RecalledKey(recall, id string) string { return RecallThings(recall) + hashed(id) }

// RecallThings is what the keys of all that is under a recall begin with.
func RecallThings(recall string) string { return key("f", recall) + "/" }

func hashed(id string) string { return Hash(sha256.Sum256([]byte(id))).String() }
