package senml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/trailmark/trailmark/deploy/edge/decimal"
)

func readJSON(pack []byte) ([]record, error) {
	d := json.NewDecoder(bytes.NewReader(pack))
	d.UseNumber()
	if err := expect(d, json.Delim('[')); err != nil {
		return nil, fmt.Errorf("a SenML pack is a JSON or CBOR array of records: %w", err)
	}
	var records []record
	for d.More() {
		if len(records) == MaxRecords {
			return nil, fmt.Errorf("more than %d records", MaxRecords)
		}
		r, err := readJSONRecord(d)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", len(records), err)
		}
		records = append(records, r)
	}
	if err := expect(d, json.Delim(']')); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the pack")
	}
	return records, nil
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	if token != want {
		return fmt.Errorf("found %v, want %q", token, want.String())
	}
	return nil
}

func readJSONRecord(d *json.Decoder) (r record, err error) {
	if err := expect(d, '{'); err != nil {
		return r, err
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return r, fmt.Errorf("reading JSON: %w", err)
		}
		name := token.(string) // the decoder gives nothing else here
		if seen[name] {
			return r, fmt.Errorf("label %q stands twice", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return r, fmt.Errorf("reading JSON: %w", err)
		}
		label, known := labels[name]
		switch {
		case known:
			err = r.setJSON(label, raw)
		case mustUnderstand(name):
			err = errors.New("the label must be understood, and is not")
		}
		if err != nil {
			return r, fmt.Errorf("label %q: %w", name, err)
		}
	}
	return r, expect(d, '}')
}

func (r *record) setJSON(label int64, raw json.RawMessage) error {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return err
	}
	switch v := value.(type) {
	case json.Number:
		if label == labels["bver"] {
			version, err := v.Int64()
			r.version = &version
			return err
		}
		if place := r.number(label); place != nil {
			var err error
			*place, err = decimal.Parse(v.String())
			return err
		}
	case string:
		if known, err := r.setText(label, v); known {
			return err
		}
		switch label {
		case labels["vs"]:
			r.hasString = true
			return nil
		case labels["vd"]:
			r.hasData = true
			return nil
		}
	case bool:
		if label == labels["vb"] {
			r.hasBool = true
			return nil
		}
	}
	return fmt.Errorf("a value of this kind (%T) does not belong here", value)
}
