package milk

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/trailmark/trailmark/analytics/kernel"
)

const (
	maxFileBytes = 64 << 20
	maxDay       = 60
)

type count struct {
	kind   string
	minute int
	value  float64
}

// table reads a CSV file row by row; columns are found by name whatever their case.
func table(path string, columns []string, row func(line int, field []string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening table: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	reader := csv.NewReader(io.LimitReader(file, maxFileBytes))
	reader.FieldsPerRecord = -1
	header, err := reader.Read()
	if err != nil {
		return fmt.Errorf("reading header of %s: %w", path, err)
	}
	at := make([]int, len(columns))
	for k, name := range columns {
		at[k] = -1
		for i, field := range header {
			if strings.EqualFold(strings.Trim(strings.TrimSpace(field), "\ufeff"), name) {
				at[k] = i
			}
		}
		if at[k] < 0 {
			return fmt.Errorf("%s has no column %q", path, name)
		}
	}
	fields := make([]string, len(columns))
	for line := 2; ; line++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		for k, i := range at {
			fields[k] = ""
			if i < len(record) {
				fields[k] = strings.TrimSpace(record[i])
			}
		}
		if err := row(line, fields); err != nil {
			return fmt.Errorf("%s line %d: %w", path, line, err)
		}
	}
}

// readTrace returns one product temperature a minute in millionths; the place in the file is the minute. A missing value
// holds the one before.
func readTrace(path string) ([]int64, error) {
	var trace []int64
	missing := 0
	err := table(path, []string{"tempM"}, func(_ int, field []string) error {
		if missingValue(field[0]) {
			if len(trace) == 0 {
				missing++
			} else {
				trace = append(trace, trace[len(trace)-1])
			}
			return nil
		}
		celsius, err := strconv.ParseFloat(field[0], 64)
		if err != nil || !(celsius > -100 && celsius < 150) {
			return fmt.Errorf("temperature %q is not a plausible number", field[0])
		}
		for ; missing > 0; missing-- { // the first known value stands for those before it
			trace = append(trace, kernel.ToMicro(celsius))
		}
		trace = append(trace, kernel.ToMicro(celsius))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(trace) == 0 {
		return nil, fmt.Errorf("%s has no temperature", path)
	}
	return trace, nil
}

func missingValue(text string) bool { return text == "" || strings.EqualFold(text, "NA") }

func readCounts(path string) ([]count, error) {
	var counts []count
	err := table(path, []string{"day", "tod", "type", "sma"}, func(_ int, field []string) error {
		if missingValue(field[3]) {
			return nil // no colony was counted
		}
		if strings.Join(field, "") == "" {
			return nil
		}
		day, err := strconv.Atoi(field[0])
		if err != nil || day < 1 || day > maxDay {
			return fmt.Errorf("day %q is not between 1 and %d", field[0], maxDay)
		}
		value, err := strconv.ParseFloat(field[3], 64)
		if err != nil || !(value > -10 && value < 15) {
			return fmt.Errorf("count %q is not a plausible log10", field[3])
		}
		c := count{kind: field[2], minute: (day - 1) * 1440, value: value}
		switch {
		case strings.EqualFold(field[1], "End"):
			c.minute += shareTableMinutes
		case !strings.EqualFold(field[1], "Start"):
			return fmt.Errorf("time of day %q is neither Start nor End", field[1])
		}
		counts = append(counts, c)
		return nil
	})
	return counts, err
}

// typesOf lists the types in the order they appear.
func typesOf(counts []count) []string {
	var types []string
	seen := map[string]bool{}
	for _, c := range counts {
		if !seen[c.kind] {
			seen[c.kind] = true
			types = append(types, c.kind)
		}
	}
	return types
}
