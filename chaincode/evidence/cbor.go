// Package evidence holds what proves: the encodings that are signed and hashed (SenML payloads, COSE frames, batches,
// records, log leaves, checkpoints, receipts; see chaincode/FORMATS.md), RFC 6962 trees and proofs over them, and the
// verifier that needs no network. It is deterministic, never panics on foreign bytes, refuses every encoding but the one
// canonical form, and compiles to WebAssembly. It may import chaincode/provenance.
package evidence

import (
	"bytes"
	"errors"

	"github.com/fxamacker/cbor/v2"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

var (
	encoder = must(encodingOptions().EncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 17,
		MaxMapPairs:       1 << 10,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

func encodingOptions() cbor.EncOptions {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty // one encoding for "none", whether a slice is nil or empty
	return options
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // wrong options are a programming error, found by the first test
	}
	return v
}

// Marshal writes core-deterministic CBOR.
func Marshal(v any) ([]byte, error) { return encoder.Marshal(v) }

// errNotCanonical says that bytes decode, but are not the one encoding of what they say.
var errNotCanonical = errors.New("not in the canonical encoding")

// Unmarshal reads the one canonical encoding of a value: unknown fields, trailing bytes and any other encoding of the
// same value are refused.
func Unmarshal(data []byte, v any) error {
	if err := decoder.Unmarshal(data, v); err != nil {
		return err
	}
	again, err := encoder.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return errNotCanonical
	}
	return nil
}

// mustMarshal encodes our own types, which cannot fail.
func mustMarshal(v any) []byte { return must(encoder.Marshal(v)) }

// The major types of CBOR that frames and payloads use.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
)

// cursor walks over CBOR that has exactly one encoding. It is written out by hand because frames and payloads are decoded
// by every process for every reading; the first error sticks.
type cursor struct {
	data []byte
	err  error
}

var (
	errTruncated = errors.New("ends in the middle of an item")
	errNotShort  = errors.New("has a number that is not in its shortest form")
	errType      = errors.New("has an item of another type or value than the format says")
)

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// head reads an item's head: its major type and argument.
func (c *cursor) head() (major byte, argument uint64) {
	if c.err != nil {
		return 0, 0
	}
	if len(c.data) == 0 {
		c.fail(errTruncated)
		return 0, 0
	}
	first := c.data[0]
	major, info := first>>5, first&0x1f
	if info < 24 {
		c.data = c.data[1:]
		return major, uint64(info)
	}
	if info > 27 {
		c.fail(errType)
		return 0, 0
	}
	size := 1 << (info - 24)
	if len(c.data) < 1+size {
		c.fail(errTruncated)
		return 0, 0
	}
	for _, b := range c.data[1 : 1+size] {
		argument = argument<<8 | uint64(b)
	}
	c.data = c.data[1+size:]
	if argument < 24 || size > 1 && argument>>(4*size) == 0 {
		c.fail(errNotShort)
	}
	return major, argument
}

// expect reads a head of the given type.
func (c *cursor) expect(major byte) uint64 {
	got, argument := c.head()
	if got != major {
		c.fail(errType)
		return 0
	}
	return argument
}

// exactly reads a head that must be this one.
func (c *cursor) exactly(major byte, argument uint64) {
	if c.expect(major) != argument {
		c.fail(errType)
	}
}

// bytes reads a byte or text string of at most limit bytes; the result shares memory with the input.
func (c *cursor) bytes(major byte, limit int) []byte {
	n := c.expect(major)
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.data)) {
		c.fail(errTruncated)
		return nil
	}
	if n > uint64(limit) {
		c.fail(errType)
		return nil
	}
	s := c.data[:n:n]
	c.data = c.data[n:]
	return s
}

// integer reads a signed integer.
func (c *cursor) integer() int64 {
	major, argument := c.head()
	if major > majorNegative || argument > 1<<62 {
		c.fail(errType)
		return 0
	}
	if major == majorNegative {
		return -1 - int64(argument)
	}
	return int64(argument)
}

// fixed reads a number in its one form and scales it by 10^digits: an integer, or a decimal fraction with an exponent
// from -digits to -1 and a mantissa that ten does not divide.
func (c *cursor) fixed(digits int) int64 {
	if c.err != nil || len(c.data) == 0 || c.data[0]>>5 != majorTag {
		return c.scale(c.integer(), digits)
	}
	c.exactly(majorTag, 4)
	c.exactly(majorArray, 2)
	exponent, mantissa := c.integer(), c.integer()
	if exponent > -1 || exponent < int64(-digits) || mantissa%10 == 0 {
		c.fail(errType)
		return 0
	}
	return c.scale(mantissa, digits+int(exponent))
}

func (c *cursor) scale(n int64, digits int) int64 {
	for range digits {
		if n > 1<<62/10 || n < -(1<<62)/10 {
			c.fail(errType)
			return 0
		}
		n *= 10
	}
	return n
}

// done checks that nothing is left.
func (c *cursor) done() error {
	if c.err == nil && len(c.data) != 0 {
		return errors.New("has bytes after its end")
	}
	return c.err
}

// appendHead writes an item's head in the shortest form.
func appendHead(b []byte, major byte, argument uint64) []byte {
	m := major << 5
	switch {
	case argument < 24:
		return append(b, m|byte(argument))
	case argument < 1<<8:
		return append(b, m|24, byte(argument))
	case argument < 1<<16:
		return append(b, m|25, byte(argument>>8), byte(argument))
	case argument < 1<<32:
		return append(b, m|26, byte(argument>>24), byte(argument>>16), byte(argument>>8), byte(argument))
	default:
		b = append(b, m|27)
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(argument>>shift))
		}
		return b
	}
}

func appendInteger(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNegative, uint64(-1-n))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendBytes[S []byte | string](b []byte, major byte, s S) []byte {
	return append(appendHead(b, major, uint64(len(s))), s...)
}

// appendFixed writes n / 10^digits in the one form that fixed reads.
func appendFixed(b []byte, n int64, digits int) []byte {
	for digits > 0 && n%10 == 0 {
		n /= 10
		digits--
	}
	if digits == 0 {
		return appendInteger(b, n)
	}
	b = append(b, majorTag<<5|4, majorArray<<5|2)
	return appendInteger(appendInteger(b, int64(-digits)), n)
}

// FrameError is why a frame is refused: the verdict, and what exactly was wrong.
type FrameError struct {
	Verdict provenance.Verdict
	Detail  string
}

func (e *FrameError) Error() string {
	if e.Detail == "" {
		return e.Verdict.String() + ": " + e.Verdict.Reason()
	}
	return e.Verdict.String() + ": " + e.Detail
}

func refuse(v provenance.Verdict, detail string) error { return &FrameError{v, detail} }
