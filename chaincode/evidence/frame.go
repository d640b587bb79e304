package evidence

import (
	"crypto/sha256"
	"fmt"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Labels and values of the protected header.
const (
	headerAlgorithm       = 1
	headerKeyID           = 4
	headerPayloadHash     = 258
	headerPreimageType    = 259
	headerTrailmark       = 65536 // -1 - (-65537)
	hashSHA256            = 15    // -1 - (-16)
	contentSenMLCBOR      = 112
	tagSign1              = 18
	maxProtected          = 256
	signatureSize         = 64
	maxPublishedDeviation = 10 * 366 * 24 * 3600 * 1000 // ms
)

// Frame is a signed envelope, decoded: what a device vouches for, without the payload that it commits to.
type Frame struct {
	Raw         []byte // the COSE_Sign1: the leaf of a batch's tree
	ID          provenance.FrameID
	Algorithm   int
	First, Last provenance.Time // acquisition times of the first and the last reading
	Published   provenance.Time // the device's clock when it signed
	Count       int             // readings
	PayloadHash provenance.Hash
	Protected   []byte // shares memory with Raw, as does Signature
	Signature   []byte
}

// SplitMessage separates a message into frame and payload without looking into the payload.
func SplitMessage(message []byte) (frame, payload []byte, err error) {
	if len(message) > provenance.MaxMessage {
		return nil, nil, refuse(provenance.Oversize, fmt.Sprintf("message of %d bytes, at most %d are allowed", len(message), provenance.MaxMessage))
	}
	c := &cursor{data: message}
	skipFrame(c)
	if c.err != nil {
		return nil, nil, refuse(provenance.Malformed, "frame "+c.err.Error())
	}
	n := len(message) - len(c.data)
	if n > provenance.MaxEnvelope {
		return nil, nil, refuse(provenance.Oversize, fmt.Sprintf("frame of %d bytes, at most %d are allowed", n, provenance.MaxEnvelope))
	}
	return message[:n:n], message[n:], nil
}

func skipFrame(c *cursor) (protected, hash, signature []byte) {
	c.exactly(majorTag, tagSign1)
	c.exactly(majorArray, 4)
	protected = c.bytes(majorBytes, maxProtected)
	c.exactly(majorMap, 0)
	hash = c.bytes(majorBytes, sha256.Size)
	signature = c.bytes(majorBytes, signatureSize)
	if c.err == nil && (len(hash) != sha256.Size || len(signature) != signatureSize) {
		c.fail(errType)
	}
	return protected, hash, signature
}

// ParseMessage splits a message and decodes its frame. Errors are *FrameError.
func ParseMessage(message []byte) (*Frame, []byte, error) {
	raw, payload, err := SplitMessage(message)
	if err != nil {
		return nil, nil, err
	}
	f, err := ParseFrame(raw)
	if err != nil {
		return nil, nil, err
	}
	return f, payload, nil
}

// ParseFrame decodes a frame in its one form. Errors are *FrameError.
func ParseFrame(raw []byte) (*Frame, error) {
	if len(raw) > provenance.MaxEnvelope {
		return nil, refuse(provenance.Oversize, fmt.Sprintf("frame of %d bytes, at most %d are allowed", len(raw), provenance.MaxEnvelope))
	}
	c := &cursor{data: raw}
	f := &Frame{Raw: raw}
	var hash []byte
	f.Protected, hash, f.Signature = skipFrame(c)
	if err := c.done(); err != nil {
		return nil, refuse(provenance.Malformed, "frame "+err.Error())
	}
	copy(f.PayloadHash[:], hash)
	return f, f.parseProtected()
}

func (f *Frame) parseProtected() error {
	c := &cursor{data: f.Protected}
	c.exactly(majorMap, 5)
	c.exactly(majorUint, headerAlgorithm)
	f.Algorithm = int(c.integer())
	if c.err == nil && f.Algorithm != AlgorithmEdDSA && f.Algorithm != AlgorithmES256 {
		return refuse(provenance.UnsupportedAlgorithm, fmt.Sprintf("algorithm %d; -8 (EdDSA) and -7 (ES256) are allowed", f.Algorithm))
	}
	c.exactly(majorUint, headerKeyID)
	f.ID.Device = string(c.bytes(majorBytes, provenance.MaxIdentifier))
	c.exactly(majorUint, headerPayloadHash)
	if major, argument := c.head(); c.err == nil && (major != majorNegative || argument != hashSHA256) {
		return refuse(provenance.UnsupportedAlgorithm, "the payload's hash algorithm is not SHA-256 (-16)")
	}
	c.exactly(majorUint, headerPreimageType)
	c.exactly(majorUint, contentSenMLCBOR)
	c.exactly(majorNegative, headerTrailmark)
	c.exactly(majorArray, 6)
	epoch, sequence := c.expect(majorUint), c.expect(majorUint)
	first, span, published, count := c.expect(majorUint), c.expect(majorUint), c.integer(), c.expect(majorUint)
	if err := c.done(); err != nil {
		return refuse(provenance.Malformed, "protected header "+err.Error())
	}
	if err := provenance.CheckIdentifier("kid", f.ID.Device); err != nil {
		return refuse(provenance.Malformed, err.Error())
	}
	switch {
	case epoch == 0 || epoch > 1<<31 || sequence == 0 || sequence > 1<<53:
		return refuse(provenance.Malformed, "epoch and sequence number count from 1")
	case first < firstAbsoluteMs || first > 1<<52 || span > provenance.MaxFrameSpan:
		return refuse(provenance.WrongTimes, "the frame's time span is out of bounds")
	case published > maxPublishedDeviation || published < -maxPublishedDeviation:
		return refuse(provenance.WrongTimes, "the time of signing is out of bounds")
	case count == 0 || count > provenance.MaxReadingsInFrame:
		return refuse(provenance.Malformed, fmt.Sprintf("frame of %d readings, 1 to %d are allowed", count, provenance.MaxReadingsInFrame))
	case f.Algorithm == AlgorithmES256 && !isLowS(f.Signature):
		return refuse(provenance.Malformed, "the ES256 signature is not in its low-s form")
	}
	f.ID.Epoch, f.ID.Sequence, f.Count = uint32(epoch), sequence, int(count)
	f.First, f.Last = provenance.Time(first), provenance.Time(first+span)
	f.Published = f.Last + provenance.Time(published)
	return nil
}

// Verify tells whether the frame's signature is the key's. The algorithm must be the key's own.
func (f *Frame) Verify(key *PublicKey) bool {
	return key.Algorithm == f.Algorithm && key.Verify(signedBytes(f.Protected, f.PayloadHash), f.Signature)
}

// signedBytes is the Sig_structure of RFC 9052, 4.4, with empty external data.
func signedBytes(protected []byte, payloadHash provenance.Hash) []byte {
	b := make([]byte, 0, 64+len(protected))
	b = appendHead(b, majorArray, 4)
	b = appendBytes(b, majorText, "Signature1")
	b = appendBytes(b, majorBytes, protected)
	b = appendBytes(b, majorBytes, "")
	return appendBytes(b, majorBytes, payloadHash[:])
}

// assembleFrame writes the COSE_Sign1.
func assembleFrame(protected []byte, payloadHash provenance.Hash, signature []byte) []byte {
	b := make([]byte, 0, len(protected)+112)
	b = appendHead(b, majorTag, tagSign1)
	b = appendHead(b, majorArray, 4)
	b = appendBytes(b, majorBytes, protected)
	b = appendHead(b, majorMap, 0)
	b = appendBytes(b, majorBytes, payloadHash[:])
	return appendBytes(b, majorBytes, signature)
}
