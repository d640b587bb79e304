package evidence

import (
	"fmt"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// SenML labels (RFC 8428, 6) that a payload uses, as CBOR encodes them: bn = -2, bt = -3 and bu = -4 are negative integers.
const (
	senmlValue    = 2
	senmlTime     = 6
	senmlBaseName = 1 // -1 - (-2)
	senmlBaseTime = 2
	senmlBaseUnit = 3
)

// SenML takes a time below 2^28 seconds as relative to now; ours are absolute.
const firstAbsoluteMs = (1 << 28) * 1000

// Pack is a payload: readings of one device in one unit, by rising acquisition time.
type Pack struct {
	Device   string
	Unit     string
	Readings []provenance.Reading
}

// ParsePayload reads a SenML CBOR payload in its one form. Errors are *FrameError.
func ParsePayload(payload []byte) (*Pack, error) {
	if len(payload) > provenance.MaxMessage {
		return nil, refuse(provenance.Oversize, fmt.Sprintf("payload of %d bytes, at most %d are allowed", len(payload), provenance.MaxMessage))
	}
	c := &cursor{data: payload}
	n := c.expect(majorArray)
	if c.err == nil && (n == 0 || n > provenance.MaxReadingsInFrame) {
		return nil, refuse(provenance.Malformed, fmt.Sprintf("payload of %d readings, 1 to %d are allowed", n, provenance.MaxReadingsInFrame))
	}
	if c.err != nil {
		return nil, refuse(provenance.Malformed, "payload "+c.err.Error())
	}
	// A reading takes at least four bytes, so a short payload cannot make us allocate much.
	p := &Pack{Readings: make([]provenance.Reading, 0, min(n, uint64(len(payload))/4+1))}
	c.exactly(majorMap, 4)
	c.exactly(majorUint, senmlValue)
	value := c.fixed(6)
	c.exactly(majorNegative, senmlBaseName)
	p.Device = string(c.bytes(majorText, provenance.MaxIdentifier))
	c.exactly(majorNegative, senmlBaseTime)
	base := c.fixed(3)
	c.exactly(majorNegative, senmlBaseUnit)
	p.Unit = string(c.bytes(majorText, 16))
	if c.err == nil && (base < firstAbsoluteMs || base > 1<<52) {
		return nil, refuse(provenance.WrongTimes, "the payload's base time is not an absolute time")
	}
	p.Readings = append(p.Readings, provenance.Reading{Time: provenance.Time(base), Value: provenance.Micro(value)})
	previous := int64(0)
	for i := uint64(1); i < n && c.err == nil; i++ {
		c.exactly(majorMap, 2)
		c.exactly(majorUint, senmlValue)
		value := c.fixed(6)
		c.exactly(majorUint, senmlTime)
		offset := c.fixed(3)
		if c.err == nil && (offset <= previous || offset > provenance.MaxFrameSpan) {
			return nil, refuse(provenance.WrongTimes, fmt.Sprintf("reading %d does not lie after the one before it and within 31 days of the first", i))
		}
		previous = offset
		p.Readings = append(p.Readings, provenance.Reading{Time: provenance.Time(base + offset), Value: provenance.Micro(value)})
	}
	if err := c.done(); err != nil {
		return nil, refuse(provenance.Malformed, "payload "+err.Error())
	}
	return p, nil
}

// EncodePayload writes a pack in the form that ParsePayload reads.
func EncodePayload(p *Pack) ([]byte, error) {
	if len(p.Readings) == 0 || len(p.Readings) > provenance.MaxReadingsInFrame {
		return nil, provenance.Invalidf("payload of %d readings, 1 to %d are allowed", len(p.Readings), provenance.MaxReadingsInFrame)
	}
	base := int64(p.Readings[0].Time)
	b := appendHead(make([]byte, 0, 64+12*len(p.Readings)), majorArray, uint64(len(p.Readings)))
	b = appendHead(b, majorMap, 4)
	b = appendFixed(appendHead(b, majorUint, senmlValue), int64(p.Readings[0].Value), 6)
	b = appendBytes(appendHead(b, majorNegative, senmlBaseName), majorText, p.Device)
	b = appendFixed(appendHead(b, majorNegative, senmlBaseTime), base, 3)
	b = appendBytes(appendHead(b, majorNegative, senmlBaseUnit), majorText, p.Unit)
	for _, r := range p.Readings[1:] {
		b = appendHead(b, majorMap, 2)
		b = appendFixed(appendHead(b, majorUint, senmlValue), int64(r.Value), 6)
		b = appendFixed(appendHead(b, majorUint, senmlTime), int64(r.Time)-base, 3)
	}
	if _, err := ParsePayload(b); err != nil {
		return nil, err
	}
	return b, nil
}
