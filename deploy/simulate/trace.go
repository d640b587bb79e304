package simulate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TraceFormat says how a logger's CSV is read.
type TraceFormat struct {
	Column string // of the value; empty: the first of the usual names that the file has
	Time   string // of the time: minutes, or RFC 3339; empty: the first column. A blank cell follows the one before it by a step
	Step   time.Duration
}

// The names that loggers give a temperature of the goods or, failing that, of the air.
var usualColumns = []string{"tempm", "temperature", "temp", "temp_c", "temperature_c", "value", "celsius"}

const (
	maxTraceBytes = 64 << 20
	maxTraceRows  = 1 << 20
)

// ReadTrace reads a logger's CSV. Times of the result begin with the first row at zero: the caller shifts them.
// A row without a value is a gap; a value that is no number, or a time that does not rise, is an error that names its line.
func ReadTrace(path string, format TraceFormat) ([]provenance.Reading, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := csv.NewReader(io.LimitReader(file, maxTraceBytes))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: reading the header: %w", path, err)
	}
	value, at, err := format.columns(header)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var readings []provenance.Reading
	clock := traceClock{step: format.Step}
	for row := 2; ; row++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if row > maxTraceRows {
			return nil, fmt.Errorf("%s: more than %d rows", path, maxTraceRows)
		}
		t, err := clock.next(cell(record, at))
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, row, err)
		}
		text := cell(record, value)
		if text == "" || strings.EqualFold(text, "na") || strings.EqualFold(text, "nan") {
			continue
		}
		v, err := parseMicro(text)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d, column %s: %w", path, row, header[value], err)
		}
		readings = append(readings, provenance.Reading{Time: t, Value: v})
	}
	if len(readings) == 0 {
		return nil, fmt.Errorf("%s: no readings in column %s", path, header[value])
	}
	first := readings[0].Time
	for i := range readings {
		readings[i].Time -= first
	}
	return readings, nil
}

func (f TraceFormat) columns(header []string) (value, at int, err error) {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
	}
	value = -1
	if f.Column != "" {
		value = slices.Index(names, strings.ToLower(f.Column))
	} else {
		for _, usual := range usualColumns {
			if value = slices.Index(names, usual); value >= 0 {
				break
			}
		}
	}
	if value < 0 {
		return 0, 0, fmt.Errorf("no column %q among %s; name the one with the temperature", f.Column, strings.Join(header, ", "))
	}
	if f.Time != "" {
		if at = slices.Index(names, strings.ToLower(f.Time)); at < 0 {
			return 0, 0, fmt.Errorf("no time column %q among %s", f.Time, strings.Join(header, ", "))
		}
	}
	if at == value {
		at = -1 // the file has values only: rows follow one another by a step
	}
	return value, at, nil
}

func cell(record []string, i int) string {
	if i < 0 || i >= len(record) {
		return ""
	}
	return strings.TrimSpace(record[i])
}

// traceClock turns the time column into milliseconds: minutes counted from anywhere, or RFC 3339; blank: a step after the last.
type traceClock struct {
	step    time.Duration
	last    provenance.Time
	started bool
}

func (c *traceClock) next(text string) (provenance.Time, error) {
	t := c.last + provenance.Time(c.step.Milliseconds())
	if text != "" {
		if moment, err := time.Parse(time.RFC3339, text); err == nil {
			t = provenance.TimeOf(moment)
		} else {
			minutes, err := parseMicro(text)
			if err != nil {
				return 0, fmt.Errorf("time %q is neither minutes nor RFC 3339", text)
			}
			t = provenance.Time(int64(minutes) * 60_000 / provenance.MicroPerUnit)
		}
	} else if !c.started {
		t = 0
	}
	if c.started && t <= c.last {
		return 0, fmt.Errorf("time %q does not lie after the row before it", text)
	}
	c.last, c.started = t, true
	return t, nil
}

// parseMicro reads a decimal number, rounding what is finer than a millionth.
func parseMicro(text string) (provenance.Micro, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > 1e9 { // below that a float64 holds every millionth
		return 0, fmt.Errorf("%q is no number between -1e9 and 1e9", text)
	}
	return provenance.Micro(math.Round(n * provenance.MicroPerUnit)), nil
}
