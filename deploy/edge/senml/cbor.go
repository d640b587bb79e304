package senml

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/trailmark/trailmark/deploy/edge/decimal"
)

// reader takes any well-formed CBOR: sensors need not write the one form that ours do.
var reader = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 8, MaxArrayElements: MaxRecords, MaxMapPairs: 64,
		UTF8: cbor.UTF8RejectInvalid, BigIntDec: cbor.BigIntDecodePointer,
	}.DecMode()
	if err != nil {
		panic(err) // options are constant
	}
	return mode
}()

func readCBOR(pack []byte) ([]record, error) {
	var list []map[any]cbor.RawMessage
	if err := reader.Unmarshal(pack, &list); err != nil {
		return nil, fmt.Errorf("reading CBOR: %w", err)
	}
	records := make([]record, len(list))
	for i, fields := range list {
		keys := slices.SortedFunc(maps.Keys(fields), func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, key := range keys { // in an order, so that the same pack has the same error
			if err := records[i].setCBOR(key, fields[key]); err != nil {
				return nil, fmt.Errorf("record %d: label %v: %w", i, key, err)
			}
		}
	}
	return records, nil
}

func (r *record) setCBOR(key any, raw cbor.RawMessage) error {
	var label int64
	switch k := key.(type) {
	case int64:
		label = k
	case uint64:
		label = int64(min(k, 1<<32))
	case string:
		if _, known := labels[k]; known {
			return errors.New("in CBOR this label is a number (RFC 8428, 6)")
		}
		if mustUnderstand(k) {
			return errors.New("the label must be understood, and is not")
		}
		return nil
	default:
		return fmt.Errorf("a label is a number or a text, not a %T", key)
	}
	if place := r.number(label); place != nil {
		var err error
		*place, err = readNumber(raw)
		return err
	}
	var value any
	if err := reader.Unmarshal(raw, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case string:
		if known, err := r.setText(label, v); known {
			return err
		}
		if label == labels["vs"] {
			r.hasString = true
			return nil
		}
	case []byte:
		if label == labels["vd"] {
			r.hasData = true
			return nil
		}
	case bool:
		if label == labels["vb"] {
			r.hasBool = true
			return nil
		}
	case uint64:
		if label == labels["bver"] {
			version := int64(min(v, 1<<32))
			r.version = &version
			return nil
		}
	}
	if label < labels["bs"] || label > labels["vd"] {
		return nil // not known, so ignored
	}
	return fmt.Errorf("a value of this kind (%T) does not belong here", value)
}

// Tags of numbers (RFC 8949, 3.4).
const (
	tagDecimalFraction = 4
	tagBigFloat        = 5
)

func readNumber(raw cbor.RawMessage) (decimal.Number, error) {
	var value any
	if err := reader.Unmarshal(raw, &value); err != nil {
		return decimal.Number{}, err
	}
	switch v := value.(type) {
	case uint64:
		return decimal.Unsigned(v), nil
	case int64:
		return decimal.Integer(v), nil
	case *big.Int:
		return decimal.Scaled(v, 10, 0)
	case float64:
		bits := 64
		if raw[0] != 0xfb {
			bits = 32
		}
		return decimal.Float(v, bits)
	case cbor.Tag:
		return readFraction(v)
	}
	return decimal.Number{}, fmt.Errorf("a %T is no number", value)
}

func readFraction(tag cbor.Tag) (decimal.Number, error) {
	base := int64(10)
	if tag.Number == tagBigFloat {
		base = 2
	} else if tag.Number != tagDecimalFraction {
		return decimal.Number{}, fmt.Errorf("tag %d is no number", tag.Number)
	}
	parts, ok := tag.Content.([]any)
	if !ok || len(parts) != 2 {
		return decimal.Number{}, fmt.Errorf("tag %d wants exponent and mantissa", tag.Number)
	}
	exponent, mantissa := integer(parts[0]), integer(parts[1])
	if exponent == nil || mantissa == nil || !exponent.IsInt64() {
		return decimal.Number{}, fmt.Errorf("tag %d wants whole numbers", tag.Number)
	}
	return decimal.Scaled(mantissa, base, exponent.Int64())
}

func integer(value any) *big.Int {
	switch v := value.(type) {
	case uint64:
		return new(big.Int).SetUint64(v)
	case int64:
		return big.NewInt(v)
	case *big.Int:
		return v
	}
	return nil
}
