package evidence

import (
	"crypto/sha256"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Capture is what one transaction of events:Capture brings.
type Capture struct {
	ID      string // the job's, new for each
	Proceed bool   // record what is good; otherwise all or nothing
	Events  []CapturedEvent
}

// CapturedEvent is an EPCIS event as it came: epcis.Event's Fields and Context.
type CapturedEvent struct {
	_       struct{} `cbor:",toarray"`
	Fields  []byte
	Context []byte // empty for none
}

// Digest binds the event's text.
func (e CapturedEvent) Digest() provenance.Hash { return sha256.Sum256(mustMarshal(e)) }

type captureArgument struct {
	_       struct{} `cbor:",toarray"`
	Version uint
	ID      string
	Proceed bool
	RawSize uint32
	Body    []byte // zstd of the CBOR array of the events: contexts repeat
}

const captureVersion = 1

// EncodeCapture writes a capture as the argument of events:Capture.
func EncodeCapture(c *Capture) ([]byte, error) {
	if n := len(c.Events); n == 0 || n > provenance.MaxEventsInCapture {
		return nil, provenance.Invalidf("capture of %d events, 1 to %d are allowed", n, provenance.MaxEventsInCapture)
	}
	raw, err := encoder.Marshal(c.Events)
	if err != nil {
		return nil, err
	}
	if len(raw) > provenance.MaxCaptureRaw {
		return nil, provenance.Invalidf("capture of %d bytes before compression, at most %d are allowed", len(raw), provenance.MaxCaptureRaw)
	}
	return encoder.Marshal(captureArgument{
		Version: captureVersion, ID: c.ID, Proceed: c.Proceed, RawSize: uint32(len(raw)), Body: compressor.EncodeAll(raw, make([]byte, 0, len(raw)/4)),
	})
}

// DecodeCapture reads the argument of events:Capture. It checks limits and shape, not the events: each of those gets a
// verdict of its own.
func DecodeCapture(argument []byte) (*Capture, error) {
	var a captureArgument
	if err := Unmarshal(argument, &a); err != nil {
		return nil, provenance.Invalidf("reading capture: %v", err)
	}
	if a.Version != captureVersion {
		return nil, provenance.Invalidf("capture of version %d, want %d", a.Version, captureVersion)
	}
	if a.RawSize > provenance.MaxCaptureRaw {
		return nil, provenance.Invalidf("capture of %d bytes before compression, at most %d are allowed", a.RawSize, provenance.MaxCaptureRaw)
	}
	raw, err := decompressor.DecodeAll(a.Body, make([]byte, 0, a.RawSize))
	if err != nil || len(raw) != int(a.RawSize) {
		return nil, provenance.Invalidf("decompressing capture: got %d of %d bytes: %v", len(raw), a.RawSize, err)
	}
	c := &Capture{ID: a.ID, Proceed: a.Proceed}
	if err := Unmarshal(raw, &c.Events); err != nil {
		return nil, provenance.Invalidf("reading events: %v", err)
	}
	if n := len(c.Events); n == 0 || n > provenance.MaxEventsInCapture {
		return nil, provenance.Invalidf("capture of %d events, 1 to %d are allowed", n, provenance.MaxEventsInCapture)
	}
	return c, nil
}
