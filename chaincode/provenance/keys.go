package provenance

import (
	"fmt"
	"strconv"
	"strings"
)

// The state keys of chaincode/FORMATS.md.

func key(parts ...string) string { return strings.Join(parts, "/") }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// OrganisationKey is the state key of an organisation.
func OrganisationKey(id string) string { return key("o", id) }

// DeviceKeyState is the state key of a device.
func DeviceKeyState(id string) string { return key("d", id) }

// HeadKey is the state key of a device's head in an epoch.
func HeadKey(device string, epoch uint32) string { return key("h", device, number(uint64(epoch))) }

// LaneKey is the state key of a lane.
func LaneKey(organisation string, lane uint32) string {
	return key("l", organisation, number(uint64(lane)))
}

// ManifestKey is the state key of a batch's manifest.
func ManifestKey(organisation string, lane uint32, batch uint64) string {
	return key("b", organisation, number(uint64(lane)), number(batch))
}

// ShipmentKey is the state key of a shipment.
func ShipmentKey(id string) string { return key("s", id) }

// ModelKey is the state key of a model.
func ModelKey(name, version string) string { return key("m", name, version) }

// AlertKey is the state key of an alert.
func AlertKey(shipment, id string) string { return key("a", shipment, id) }

// CheckpointKey is the state key of an organisation's checkpoint.
func CheckpointKey(organisation string, size uint64) string {
	return key("c", organisation, sortable(size))
}

// ContradictionKey is the state key of contradicting checkpoints of one size.
func ContradictionKey(size uint64) string { return key("x", sortable(size)) }

// sortable writes a number so that the order of texts is that of numbers: ranges of keys are walked by size.
func sortable(n uint64) string { return fmt.Sprintf("%020d", n) }
