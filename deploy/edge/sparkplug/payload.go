// Package sparkplug reads Sparkplug B messages (Eclipse Sparkplug 3.0): topics, the protobuf payload of Eclipse Tahu's
// sparkplug_b.proto, and the names behind the aliases that BIRTH certificates announce. A metric's own time is when it was
// acquired; the payload's is when it was published, and never stands in for the former. It reads with protobuf's wire package what
// this needs of the schema, bounds everything, and never panics. Of ours it imports deploy/edge/decimal.
package sparkplug

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trailmark/trailmark/deploy/edge/decimal"
)

// Limits of a payload.
const (
	MaxBytes   = 256 << 10
	MaxMetrics = 4096
	maxName    = 256
)

// Type is the data type of a metric, as numbered by the specification (6.4.16).
type Type uint32

// The types that hold a number.
const (
	Int8 Type = iota + 1
	Int16
	Int32
	Int64
	UInt8
	UInt16
	UInt32
	UInt64
	Float
	Double
)

var otherTypes = map[Type]string{
	11: "a boolean", 12: "a string", 13: "a date", 14: "a text", 15: "a UUID", 16: "a data set", 17: "bytes", 18: "a file", 19: "a template",
}

// payload is a decoded message body.
type payload struct {
	published uint64 // milliseconds since 1970, by the publisher's clock; 0: not said
	sequence  *uint64
	metrics   []metric
}

// metric as it stands in a payload; the pointers are nil where it does not say.
type metric struct {
	name     string
	alias    *uint64
	time     *uint64 // of acquisition, milliseconds since 1970
	datatype Type
	null     bool
	kind     protowire.Number // which of the value fields it has; 0: none
	bits     uint64           // of a number
}

// Field numbers of org.eclipse.tahu.protobuf.Payload and Payload.Metric.
const (
	payloadTimestamp = 1
	payloadMetrics   = 2
	payloadSequence  = 3

	metricName     = 1
	metricAlias    = 2
	metricTime     = 3
	metricDatatype = 4
	metricNull     = 7
	metricInt      = 10
	metricLong     = 11
	metricFloat    = 12
	metricDouble   = 13
	metricBoolean  = 14
	metricLast     = 19 // 15 to 19 hold texts, bytes, data sets, templates, extensions
)

var errCut = errors.New("the protobuf encoding is broken")

func parsePayload(b []byte) (*payload, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("payload of %d bytes, at most %d are allowed", len(b), MaxBytes)
	}
	p := &payload{}
	err := fields(b, func(number protowire.Number, kind protowire.Type, varint uint64, bytes []byte) error {
		switch {
		case number == payloadTimestamp && kind == protowire.VarintType:
			p.published = varint
		case number == payloadSequence && kind == protowire.VarintType:
			p.sequence = &varint
		case number == payloadMetrics && kind == protowire.BytesType:
			if len(p.metrics) == MaxMetrics {
				return fmt.Errorf("more than %d metrics", MaxMetrics)
			}
			m, err := parseMetric(bytes)
			if err != nil {
				return fmt.Errorf("metric %d: %w", len(p.metrics), err)
			}
			p.metrics = append(p.metrics, m)
		case number <= payloadSequence && number > 0:
			return fmt.Errorf("field %d has the wrong type", number)
		}
		return nil
	})
	return p, err
}

func parseMetric(b []byte) (m metric, err error) {
	err = fields(b, func(number protowire.Number, kind protowire.Type, varint uint64, bytes []byte) error {
		want := protowire.VarintType
		switch {
		case number == metricName || number > metricBoolean:
			want = protowire.BytesType
		case number == metricFloat:
			want = protowire.Fixed32Type
		case number == metricDouble:
			want = protowire.Fixed64Type
		case number == 8 || number == 9: // metadata and properties do not concern us
			return nil
		}
		if number <= metricLast && kind != want {
			return fmt.Errorf("field %d has the wrong type", number)
		}
		switch number {
		case metricName:
			if len(bytes) > maxName {
				return fmt.Errorf("name of %d bytes, at most %d are allowed", len(bytes), maxName)
			}
			m.name = string(bytes)
		case metricAlias:
			m.alias = &varint
		case metricTime:
			m.time = &varint
		case metricDatatype:
			m.datatype = Type(min(varint, math.MaxUint32))
		case metricNull:
			m.null = varint != 0
		}
		if number >= metricInt && number <= metricLast {
			m.kind, m.bits = number, varint
		}
		return nil
	})
	return m, err
}

// fields walks the fields of a message; fixed-width values are given as varint too.
func fields(b []byte, each func(number protowire.Number, kind protowire.Type, varint uint64, bytes []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errCut
		}
		b = b[n:]
		var varint uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(b)
			varint = uint64(bits)
		case protowire.Fixed64Type:
			varint, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return errCut
		}
		b = b[n:]
		if err := each(number, kind, varint, bytes); err != nil {
			return err
		}
	}
	return nil
}

// number reads the value by its type. other says what a value that is no number is.
func (m *metric) number(t Type) (value decimal.Number, other string, err error) {
	if word, ok := otherTypes[t]; ok {
		return value, word, nil
	}
	wrong := func() (decimal.Number, string, error) {
		return value, "", fmt.Errorf("a metric of data type %d does not hold its value in field %d", t, m.kind)
	}
	switch t {
	case Int8, Int16, Int32, UInt8, UInt16, UInt32:
		if m.kind != metricInt {
			return wrong()
		}
	case Int64, UInt64:
		if m.kind != metricLong {
			return wrong()
		}
	case Float:
		if m.kind != metricFloat {
			return wrong()
		}
		value, err = decimal.Float(float64(math.Float32frombits(uint32(m.bits))), 32)
		return value, "", err
	case Double:
		if m.kind != metricDouble {
			return wrong()
		}
		value, err = decimal.Float(math.Float64frombits(m.bits), 64)
		return value, "", err
	case 0:
		return value, "", errors.New("no data type: neither the metric nor a BIRTH gives one")
	default:
		return value, fmt.Sprintf("of data type %d", t), nil
	}
	// Signed types are written as two's complement of their width, which some clients extend to 32 or 64 bits.
	switch t {
	case Int8:
		return decimal.Integer(int64(int8(m.bits))), "", nil
	case Int16:
		return decimal.Integer(int64(int16(m.bits))), "", nil
	case Int32:
		return decimal.Integer(int64(int32(m.bits))), "", nil
	case Int64:
		return decimal.Integer(int64(m.bits)), "", nil
	}
	return decimal.Unsigned(m.bits), "", nil
}
