package evidence

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// EventName is the name of the one event that our chaincode sets; its payload is the transaction's digest.
const EventName = "trailmark.1"

// Write is one public write of a transaction; an empty value is a deletion.
type Write struct {
	_     struct{} `cbor:",toarray"`
	Key   string
	Value []byte
}

// EncodeRecord writes the leaf of a transaction's tree.
func EncodeRecord(w Write) []byte {
	b := appendHead(make([]byte, 0, 12+len(w.Key)+len(w.Value)), majorArray, 2)
	b = appendBytes(b, majorText, w.Key)
	return appendBytes(b, majorBytes, w.Value)
}

// DecodeRecord reads what EncodeRecord wrote.
func DecodeRecord(record []byte) (Write, error) {
	var w Write
	err := Unmarshal(record, &w)
	return w, err
}

// Digest is what a transaction's event carries: it binds every public write of the transaction and their number.
func Digest(writes []Write) provenance.Hash {
	leaves := RecordLeaves(writes)
	return digestOf(uint64(len(leaves)), Root(leaves))
}

// RecordLeaves gives the leaf hashes of a transaction's records, sorted by key.
func RecordLeaves(writes []Write) []provenance.Hash {
	sorted := slices.Clone(writes)
	slices.SortFunc(sorted, func(a, b Write) int { return cmp.Compare(a.Key, b.Key) })
	leaves := make([]provenance.Hash, len(sorted))
	for i, w := range sorted {
		leaves[i] = LeafHash(EncodeRecord(w))
	}
	return leaves
}

// digestOf binds the number of records to their root: without it a proof could claim another size.
func digestOf(records uint64, root provenance.Hash) provenance.Hash {
	b := appendHead(make([]byte, 0, 48), majorArray, 2)
	b = appendHead(b, majorUint, records)
	return sha256.Sum256(appendBytes(b, majorBytes, root[:]))
}

// DecodeState reads a value of the ledger by its key's prefix into the type that FORMATS.md names for it (a pointer), and
// refuses one whose key is not the value's own.
func DecodeState(key string, value []byte) (any, error) {
	prefix, rest, _ := strings.Cut(key, "/")
	v := map[string]func() any{
		"o":  func() any { return new(provenance.Organisation) },
		"d":  func() any { return new(provenance.Device) },
		"h":  func() any { return new(provenance.Head) },
		"l":  func() any { return new(provenance.Lane) },
		"b":  func() any { return new(provenance.Manifest) },
		"s":  func() any { return new(provenance.Shipment) },
		"m":  func() any { return new(provenance.Model) },
		"a":  func() any { return new(provenance.Alert) },
		"c":  func() any { return new(provenance.Checkpoint) },
		"ds": func() any { return new(provenance.Dataset) },
		"u":  func() any { return new(provenance.DatasetUse) },
		"tr": func() any { return new(provenance.TrainingRun) },
		"p":  func() any { return new(provenance.Policy) },
		"x":  func() any { return new(provenance.Contradiction) },
	}[prefix]
	if v == nil {
		v = goodsKinds[prefix]
	}
	if v == nil {
		return nil, fmt.Errorf("state key %q is of no known kind", key)
	}
	state := v()
	if err := Unmarshal(value, state); err != nil {
		return nil, fmt.Errorf("reading state %q: %w", key, err)
	}
	if own := stateKey(state); own != "" && own != key {
		return nil, fmt.Errorf("state %q holds the value of %q", key, own)
	}
	if prefix == "h" && !strings.Contains(rest, "/") {
		return nil, fmt.Errorf("state key %q names no epoch", key)
	}
	return state, nil
}

// stateKey is the key under which a value stands, empty for a head, which does not name itself.
func stateKey(state any) string {
	switch s := state.(type) {
	case *provenance.Organisation:
		return provenance.OrganisationKey(s.ID)
	case *provenance.Device:
		return provenance.DeviceKeyState(s.ID)
	case *provenance.Lane:
		return provenance.LaneKey(s.Organisation, s.Lane)
	case *provenance.Manifest:
		return provenance.ManifestKey(s.Organisation, s.Lane, s.Number)
	case *provenance.Shipment:
		return provenance.ShipmentKey(s.ID)
	case *provenance.Model:
		return provenance.ModelKey(s.Name, s.Version)
	case *provenance.Alert:
		return provenance.AlertKey(s.Shipment, s.ID)
	case *provenance.Checkpoint:
		return provenance.CheckpointKey(s.Organisation, s.Size)
	case *provenance.Dataset:
		return provenance.DatasetKey(s.ID)
	case *provenance.DatasetUse:
		return provenance.DatasetUseKey(s.Dataset, s.Name, s.Version)
	case *provenance.TrainingRun:
		return provenance.TrainingKey(s.ID)
	case *provenance.Policy:
		return provenance.PolicyKey(s.Name)
	case *provenance.Contradiction:
		return provenance.ContradictionKey(s.Size)
	}
	return goodsKey(state)
}
