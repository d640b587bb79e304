package devices

import (
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Entry is a line of a fleet file: one sensor to enrol.
type Entry struct {
	ID             string
	Quantity, Unit string
	Min, Max       provenance.Micro
	CalibrationDue provenance.Time
	Lane           uint32
	PublicKey      []byte // COSE_Key, where the sensor keeps its own private key
	Attestation    provenance.Attestation
	// DueAssumed tells that nobody said when the calibration is due: a folder that was made before keeps its own date, so that what
	// was interrupted can go on another day.
	DueAssumed bool
}

// LaneOf spreads sensors over lanes by their names.
func LaneOf(id string, lanes uint32) uint32 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32() % max(lanes, 1)
}

// maxFleet bounds a fleet file.
const maxFleet = 1_000_000

// ReadFleet reads a fleet file; what a line leaves out is as in usual. An error names the line.
func ReadFleet(path string, usual Entry, lanes uint32) ([]Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: reading the header: %w", path, err)
	}
	for i := range header {
		header[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(header[i], "\ufeff")))
		if !slices.Contains(fleetColumns, header[i]) {
			return nil, fmt.Errorf("%s: column %q is not known; known are %s", path, header[i], strings.Join(fleetColumns, ", "))
		}
	}
	if !slices.Contains(header, "id") {
		return nil, fmt.Errorf("%s: there is no column id", path)
	}
	var fleet []Entry
	seen := map[string]int{}
	for line := 2; ; line++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return fleet, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		entry, err := parseEntry(header, record, usual, lanes)
		if err == nil && seen[entry.ID] != 0 {
			err = fmt.Errorf("sensor %s stands in line %d already", entry.ID, seen[entry.ID])
		}
		if err == nil && len(fleet) == maxFleet {
			err = fmt.Errorf("more than %d sensors", maxFleet)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, line, err)
		}
		seen[entry.ID] = line
		fleet = append(fleet, entry)
	}
}

var fleetColumns = []string{"id", "quantity", "unit", "min", "max", "calibration_due", "lane", "public_key", "attestation"}

func parseEntry(header, record []string, usual Entry, lanes uint32) (Entry, error) {
	e := usual
	laneGiven := false
	for i, column := range header {
		text := strings.TrimSpace(record[i])
		if text == "" {
			continue
		}
		var err error
		switch column {
		case "id":
			e.ID = text
		case "quantity":
			e.Quantity = text
		case "unit":
			e.Unit = text
		case "min":
			e.Min, err = micro(text)
		case "max":
			e.Max, err = micro(text)
		case "calibration_due":
			var day time.Time
			day, err = time.Parse(time.DateOnly, text)
			e.CalibrationDue, e.DueAssumed = provenance.TimeOf(day), false
		case "lane":
			var n uint64
			n, err = strconv.ParseUint(text, 10, 32)
			e.Lane, laneGiven = uint32(n), true
		case "attestation":
			e.Attestation, err = ParseAttestation(text)
		case "public_key":
			if e.PublicKey, err = base64.StdEncoding.DecodeString(text); err == nil {
				_, err = evidence.ParseKey(e.PublicKey)
			}
		}
		if err != nil {
			return e, fmt.Errorf("column %s, %q: %w", column, text, err)
		}
	}
	if !laneGiven {
		e.Lane = LaneOf(e.ID, lanes)
	}
	if e.Lane >= lanes {
		return e, fmt.Errorf("lane %d, but ingest has %d", e.Lane, lanes)
	}
	enrolment := e.enrolment(nil)
	return e, enrolment.Check()
}

// ParseAttestation reads who signs for a device: "sensor" or "edge".
func ParseAttestation(text string) (provenance.Attestation, error) {
	for _, a := range []provenance.Attestation{provenance.BySensor, provenance.ByEdge} {
		if text == a.String() {
			return a, nil
		}
	}
	return 0, errors.New("want sensor or edge")
}

// enrolment is what the ledger is asked to record.
func (e *Entry) enrolment(key []byte) provenance.Enrolment {
	return provenance.Enrolment{
		ID: e.ID, Key: key, Quantity: e.Quantity, Unit: e.Unit, Min: e.Min, Max: e.Max, CalibrationDue: e.CalibrationDue, Lane: e.Lane, Attestation: e.Attestation,
	}
}

func micro(text string) (provenance.Micro, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && !(math.Abs(f) < 1e9) {
		err = errors.New("out of range")
	}
	return provenance.Micro(math.Round(f * provenance.MicroPerUnit)), err
}
