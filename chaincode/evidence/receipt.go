package evidence

import (
	"fmt"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// The kinds of receipt.
const (
	ReceiptReading = "reading" // entries: the batch's manifest, the device's record
	ReceiptAlert   = "alert"   // entries: the alert, its model, its shipment
	ReceiptRecord  = "record"  // entries: any one record
)

// Limits of a receipt.
const (
	MaxReceipt = 1 << 20
	maxNotes   = 64
	maxEntries = 16
)

// Receipt shows, without a network, that records stand in the logs of organisations. See FORMATS.md.
type Receipt struct {
	Version uint     `cbor:"1,keyasint"`
	Kind    string   `cbor:"2,keyasint"`
	Notes   []string `cbor:"3,keyasint"` // signed checkpoints, by organisation
	Entries []Entry  `cbor:"4,keyasint"`
	Subject *Subject `cbor:"5,keyasint,omitempty"`
}

// Entry is a record with its way into the log.
type Entry struct {
	Leaf        []byte              `cbor:"1,keyasint"`
	Record      []byte              `cbor:"2,keyasint"`
	RecordProof Proof               `cbor:"3,keyasint"` // of the record in its transaction
	Paths       [][]provenance.Hash `cbor:"4,keyasint"` // of the leaf in the tree of each note
	Index       uint64              `cbor:"5,keyasint"` // of the leaf in the log
}

// Subject is the reading that a receipt of kind "reading" is about.
type Subject struct {
	Frame   []byte         `cbor:"1,keyasint"`
	Payload []byte         `cbor:"2,keyasint"`
	Proof   Proof          `cbor:"3,keyasint"` // of the frame in the manifest's tree
	Reading SubjectReading `cbor:"4,keyasint"`
}

// SubjectReading names one reading of the frame and repeats what it says.
type SubjectReading struct {
	_     struct{} `cbor:",toarray"`
	Index uint32
	Time  provenance.Time
	Value provenance.Micro
}

// Encode writes the receipt's file.
func (r *Receipt) Encode() ([]byte, error) { return Marshal(r) }

// DecodeReceipt reads a receipt's file; it checks the encoding, not what it shows: that is Verify's.
func DecodeReceipt(data []byte) (*Receipt, error) {
	if len(data) > MaxReceipt {
		return nil, fmt.Errorf("receipt of %d bytes, at most %d are allowed", len(data), MaxReceipt)
	}
	r := new(Receipt)
	if err := Unmarshal(data, r); err != nil {
		return nil, err
	}
	if r.Version != 1 {
		return nil, fmt.Errorf("receipt of version %d, want 1", r.Version)
	}
	if len(r.Notes) > maxNotes || len(r.Entries) > maxEntries {
		return nil, fmt.Errorf("receipt with %d checkpoints and %d entries, at most %d and %d are allowed", len(r.Notes), len(r.Entries), maxNotes, maxEntries)
	}
	return r, nil
}
