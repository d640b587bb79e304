package nab

import (
	"bufio"
	"bytes"
	"encoding/json"
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

// Bounds on what is read from outside; the largest file of the corpus has 22 695 rows.
const (
	maxRows       = 1 << 20
	maxLine       = 1 << 12
	maxFiles      = 1 << 12
	maxLabelBytes = 16 << 20
)

// timeLayout is how data files and labels write a timestamp; the fraction of a second is optional when parsing.
const timeLayout = "2006-01-02 15:04:05"

// Series is one file of the corpus.
type Series struct {
	Name    string // path below data/, with forward slashes: what the labels call it
	Times   []time.Time
	Values  []float64 // NaN where the file has no value
	Windows []Window  // labelled windows, in order
}

// Window is a labelled stretch of a series, rows First to Last inclusive.
type Window struct{ First, Last int }

// errHeader tells a file that is not a NAB series from one with a bad row.
var errHeader = errors.New(`header is not "timestamp,value"`)

// readSeries decodes one data file: a header, then a timestamp and a value a row. An empty value or "nan" is missing.
func readSeries(r io.Reader) ([]time.Time, []float64, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, maxLine), maxLine)
	if !sc.Scan() {
		if err := sc.Err(); err != nil {
			return nil, nil, fmt.Errorf("reading header: %w", err)
		}
		return nil, nil, errHeader
	}
	if h := strings.Split(strings.TrimSpace(sc.Text()), ","); len(h) < 2 || h[0] != "timestamp" || h[1] != "value" {
		return nil, nil, errHeader
	}
	var times []time.Time
	var values []float64
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" {
			continue
		}
		if len(times) == maxRows {
			return nil, nil, fmt.Errorf("more than %d rows", maxRows)
		}
		stamp, rest, ok := strings.Cut(line, ",")
		if !ok {
			return nil, nil, fmt.Errorf("row %d: no value column", len(times)+1)
		}
		field, _, _ := strings.Cut(rest, ",")
		t, err := time.Parse(timeLayout, stamp)
		if err != nil {
			return nil, nil, fmt.Errorf("row %d: parsing timestamp: %w", len(times)+1, err)
		}
		v := math.NaN()
		if field != "" {
			if v, err = strconv.ParseFloat(field, 64); err != nil {
				return nil, nil, fmt.Errorf("row %d: parsing value: %w", len(times)+1, err)
			}
		}
		times, values = append(times, t), append(values, v)
	}
	if err := sc.Err(); err != nil {
		return nil, nil, fmt.Errorf("reading row %d: %w", len(times)+1, err)
	}
	return times, values, nil
}

// readLabels decodes combined_windows.json: for each series its windows as [start, end].
func readLabels(raw []byte) (map[string][][2]time.Time, error) {
	var text map[string][][]string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("decoding labels: %w", err)
	}
	labels := make(map[string][][2]time.Time, len(text))
	for name, windows := range text {
		list := make([][2]time.Time, 0, len(windows))
		for i, w := range windows {
			if len(w) != 2 {
				return nil, fmt.Errorf("labels of %s: window %d has %d ends, not 2", name, i, len(w))
			}
			var ends [2]time.Time
			for j, s := range w {
				t, err := time.Parse(timeLayout, s)
				if err != nil {
					return nil, fmt.Errorf("labels of %s: window %d: %w", name, i, err)
				}
				ends[j] = t
			}
			if ends[1].Before(ends[0]) {
				return nil, fmt.Errorf("labels of %s: window %d ends before it starts", name, i)
			}
			list = append(list, ends)
		}
		sort.Slice(list, func(a, b int) bool { return list[a][0].Before(list[b][0]) })
		labels[name] = list
	}
	return labels, nil
}

// locate turns a labelled interval into rows. A window counts from the first row that carries its start to the first
// that carries its end, as in NAB; timestamps may repeat where clocks went back.
func locate(times []time.Time, ends [2]time.Time) (Window, error) {
	first := -1
	for i, t := range times {
		if first < 0 && t.Equal(ends[0]) {
			first = i
		}
		if first >= 0 && t.Equal(ends[1]) {
			return Window{First: first, Last: i}, nil
		}
	}
	return Window{}, fmt.Errorf("window %s to %s is not on the series' timestamps",
		ends[0].Format(timeLayout), ends[1].Format(timeLayout))
}

// Load reads a checkout: data/**/*.csv and labels/combined_windows.json. Series come in the order of their names. A
// data file that the labels do not name is returned in unlabelled and not loaded; a label without a file is not an
// error, so a part of the corpus can be scored.
func Load(dir string) (series []Series, unlabelled []string, err error) {
	raw, err := readBounded(filepath.Join(dir, "labels", "combined_windows.json"), maxLabelBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("reading labels: %w", err)
	}
	labels, err := readLabels(raw)
	if err != nil {
		return nil, nil, err
	}
	root := filepath.Join(dir, "data")
	var names []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".csv" {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if len(names) == maxFiles {
			return fmt.Errorf("more than %d data files", maxFiles)
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listing data files: %w", err)
	}
	sort.Strings(names)
	for _, name := range names {
		windows, ok := labels[name]
		if !ok {
			unlabelled = append(unlabelled, name)
			continue
		}
		s, err := loadSeries(root, name, windows)
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", name, err)
		}
		series = append(series, s)
	}
	if len(series) == 0 {
		return nil, nil, fmt.Errorf("no labelled series below %s", root)
	}
	return series, unlabelled, nil
}

func loadSeries(root, name string, windows [][2]time.Time) (Series, error) {
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return Series{}, err
	}
	defer f.Close()
	s := Series{Name: name}
	if s.Times, s.Values, err = readSeries(f); err != nil {
		return Series{}, err
	}
	if len(s.Times) == 0 {
		return Series{}, errors.New("no rows")
	}
	for _, ends := range windows {
		w, err := locate(s.Times, ends)
		if err != nil {
			return Series{}, err
		}
		if n := len(s.Windows); n > 0 && w.First <= s.Windows[n-1].Last {
			return Series{}, fmt.Errorf("labelled windows overlap at row %d", w.First)
		}
		s.Windows = append(s.Windows, w)
	}
	return s, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return buf.Bytes(), nil
}
