package evidence

import (
	"crypto/sha256"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// BatchFrame is a frame in a batch, with its payload (nil where that is confidential) and when ingest received it.
type BatchFrame struct {
	Received provenance.Time
	Raw      []byte
	Payload  []byte
}

// Batch is what one transaction records.
type Batch struct {
	Organisation string
	Lane         uint32
	Number       uint64
	Fence        uint64
	Frames       []BatchFrame
}

// batchArgument is the wire form of a batch, and columns that of its frames: alike bytes stand together, so that they compress.
type batchArgument struct {
	_            struct{} `cbor:",toarray"`
	Version      uint
	Organisation string
	Lane         uint32
	Number       uint64
	Fence        uint64
	RawSize      uint32
	Body         []byte
}

type columns struct {
	_          struct{} `cbor:",toarray"`
	Received   []int64  // the first absolute, then differences
	Protected  [][]byte
	Payloads   [][]byte           // empty where confidential
	Hashes     []*provenance.Hash // null where the payload is there
	Signatures []byte
}

const batchVersion = 1

var (
	compressor   = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2)))
	decompressor = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(provenance.MaxBatchRaw)))
)

// EncodeBatch writes a batch as the argument of readings:Commit.
func EncodeBatch(b *Batch) ([]byte, error) {
	n := len(b.Frames)
	if n == 0 || n > provenance.MaxFramesInBatch {
		return nil, provenance.Invalidf("batch of %d frames, 1 to %d are allowed", n, provenance.MaxFramesInBatch)
	}
	c := columns{
		Received:   make([]int64, n),
		Protected:  make([][]byte, n),
		Payloads:   make([][]byte, n),
		Hashes:     make([]*provenance.Hash, n),
		Signatures: make([]byte, 0, n*signatureSize),
	}
	previous := int64(0)
	for i, f := range b.Frames {
		cur := &cursor{data: f.Raw}
		protected, hash, signature := skipFrame(cur)
		if err := cur.done(); err != nil {
			return nil, fmt.Errorf("frame %d %w", i, err)
		}
		c.Received[i], previous = int64(f.Received)-previous, int64(f.Received)
		c.Protected[i], c.Payloads[i] = protected, f.Payload
		if len(f.Payload) == 0 {
			h := provenance.Hash(hash)
			c.Hashes[i] = &h
		} else if sha256.Sum256(f.Payload) != provenance.Hash(hash) {
			return nil, refuse(provenance.PayloadMismatch, fmt.Sprintf("frame %d: the payload is not the one that was signed", i))
		}
		c.Signatures = append(c.Signatures, signature...)
	}
	raw, err := Marshal(c)
	if err != nil {
		return nil, err
	}
	if len(raw) > provenance.MaxBatchRaw {
		return nil, provenance.Invalidf("batch of %d bytes before compression, at most %d are allowed", len(raw), provenance.MaxBatchRaw)
	}
	return Marshal(batchArgument{
		Version: batchVersion, Organisation: b.Organisation, Lane: b.Lane, Number: b.Number, Fence: b.Fence,
		RawSize: uint32(len(raw)), Body: compressor.EncodeAll(raw, make([]byte, 0, len(raw)/2)),
	})
}

// DecodeBatch reads the argument of readings:Commit and rebuilds its frames. It checks limits and shape, not the frames: each
// of those gets a verdict of its own.
func DecodeBatch(argument []byte) (*Batch, error) {
	var a batchArgument
	if err := decoder.Unmarshal(argument, &a); err != nil {
		return nil, provenance.Invalidf("reading batch: %v", err)
	}
	if a.Version != batchVersion {
		return nil, provenance.Invalidf("batch of version %d, want %d", a.Version, batchVersion)
	}
	if a.RawSize > provenance.MaxBatchRaw {
		return nil, provenance.Invalidf("batch of %d bytes before compression, at most %d are allowed", a.RawSize, provenance.MaxBatchRaw)
	}
	raw, err := decompressor.DecodeAll(a.Body, make([]byte, 0, a.RawSize))
	if err != nil || len(raw) != int(a.RawSize) {
		return nil, provenance.Invalidf("decompressing batch: got %d of %d bytes: %v", len(raw), a.RawSize, err)
	}
	var c columns
	if err := decoder.Unmarshal(raw, &c); err != nil {
		return nil, provenance.Invalidf("reading batch columns: %v", err)
	}
	n := len(c.Protected)
	if n == 0 || n > provenance.MaxFramesInBatch {
		return nil, provenance.Invalidf("batch of %d frames, 1 to %d are allowed", n, provenance.MaxFramesInBatch)
	}
	if len(c.Received) != n || len(c.Payloads) != n || len(c.Hashes) != n || len(c.Signatures) != n*signatureSize {
		return nil, provenance.Invalidf("the batch's columns are not of one length")
	}
	b := &Batch{Organisation: a.Organisation, Lane: a.Lane, Number: a.Number, Fence: a.Fence, Frames: make([]BatchFrame, n)}
	received := int64(0)
	for i := range b.Frames {
		payload, hash := c.Payloads[i], c.Hashes[i]
		switch {
		case (len(payload) == 0) == (hash == nil):
			return nil, provenance.Invalidf("frame %d of the batch needs either a payload or its hash", i)
		case len(c.Protected[i]) > maxProtected:
			return nil, provenance.Invalidf("frame %d of the batch has a protected header of %d bytes, at most %d are allowed", i, len(c.Protected[i]), maxProtected)
		case hash != nil:
			payload = nil
		default:
			h := provenance.Hash(sha256.Sum256(payload))
			hash = &h
		}
		received += c.Received[i]
		signature := c.Signatures[i*signatureSize : (i+1)*signatureSize]
		b.Frames[i] = BatchFrame{Received: provenance.Time(received), Raw: assembleFrame(c.Protected[i], *hash, signature), Payload: payload}
	}
	return b, nil
}
