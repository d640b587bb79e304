package skab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Bounds on what is read from outside; a file of the benchmark has some 1 100 rows of 8 sensors.
const (
	maxRows     = 1 << 18
	maxLine     = 1 << 14
	maxSensors  = 256
	maxFiles    = 1 << 12
	timeLayout  = "2006-01-02 15:04:05"
	labelColumn = "anomaly"
)

// Series is one experiment.
type Series struct {
	Name    string // path below data/, with forward slashes
	Sensors []string
	Times   []time.Time
	Rows    [][]float64 // NaN where a sensor has no value
	Anomaly []bool
}

// readSeries decodes one file: semicolons, a header with datetime first, the sensors, anomaly and (not used) changepoint.
func readSeries(r io.Reader) (Series, error) {
	var s Series
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, maxLine), maxLine)
	if !sc.Scan() {
		if err := sc.Err(); err != nil {
			return s, fmt.Errorf("reading header: %w", err)
		}
		return s, errors.New("no header")
	}
	header := strings.Split(strings.TrimSpace(sc.Text()), ";")
	if header[0] != "datetime" {
		return s, errors.New("first column is not datetime")
	}
	if len(header) > maxSensors {
		return s, fmt.Errorf("more than %d columns", maxSensors)
	}
	label := -1
	var columns []int
	for i, name := range header[1:] {
		switch name {
		case labelColumn:
			label = i + 1
		case "changepoint":
		default:
			columns = append(columns, i+1)
			s.Sensors = append(s.Sensors, name)
		}
	}
	if label < 0 {
		return s, errors.New("no anomaly column")
	}
	if len(columns) == 0 {
		return s, errors.New("no sensor column")
	}
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" {
			continue
		}
		row := len(s.Times) + 1
		if row > maxRows {
			return s, fmt.Errorf("more than %d rows", maxRows)
		}
		fields := strings.Split(line, ";")
		if len(fields) != len(header) {
			return s, fmt.Errorf("row %d: %d fields, not %d", row, len(fields), len(header))
		}
		t, err := time.Parse(timeLayout, fields[0])
		if err != nil {
			return s, fmt.Errorf("row %d: parsing time: %w", row, err)
		}
		values := make([]float64, len(columns))
		for j, c := range columns {
			if values[j] = math.NaN(); fields[c] != "" {
				if values[j], err = strconv.ParseFloat(fields[c], 64); err != nil {
					return s, fmt.Errorf("row %d: parsing %s: %w", row, header[c], err)
				}
			}
		}
		mark, err := strconv.ParseFloat(fields[label], 64)
		if err != nil || (mark != 0 && mark != 1) {
			return s, fmt.Errorf("row %d: label %q is neither 0 nor 1", row, fields[label])
		}
		s.Times, s.Rows, s.Anomaly = append(s.Times, t), append(s.Rows, values), append(s.Anomaly, mark == 1)
	}
	if err := sc.Err(); err != nil {
		return s, fmt.Errorf("reading row %d: %w", len(s.Times)+1, err)
	}
	return s, nil
}

// groups are the directories of the benchmark that hold labelled experiments; anomaly-free has no labels and is not
// scored by the leaderboard.
var groups = []string{"other", "valve1", "valve2"}

// Load reads data/{valve1,valve2,other}/*.csv below dir; any of them may be missing, but not all.
func Load(dir string) ([]Series, error) {
	root := filepath.Join(dir, "data")
	var list []Series
	for _, group := range groups {
		paths, err := filepath.Glob(filepath.Join(root, group, "*.csv"))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", group, err)
		}
		sort.Strings(paths)
		if len(list)+len(paths) > maxFiles {
			return nil, fmt.Errorf("more than %d files", maxFiles)
		}
		for _, path := range paths {
			s, err := loadSeries(path)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", path, err)
			}
			s.Name = group + "/" + filepath.Base(path)
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no experiments below %s", root)
	}
	return list, nil
}

func loadSeries(path string) (Series, error) {
	f, err := os.Open(path)
	if err != nil {
		return Series{}, err
	}
	defer f.Close()
	return readSeries(f)
}
