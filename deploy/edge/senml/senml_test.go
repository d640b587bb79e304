package senml

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown is a measurement as the golden files write it.
type shown struct {
	Name     string `json:"name"`
	Unit     string `json:"unit,omitempty"`
	Value    string `json:"value,omitempty"`
	Other    string `json:"other,omitempty"`
	Time     int64  `json:"time"`
	Relative bool   `json:"relative,omitempty"`
}

func show(ms []Measurement) []shown {
	list := make([]shown, len(ms))
	for i, m := range ms {
		list[i] = shown{m.Name, m.Unit, m.Value.String(), m.Other, m.Time, m.Relative}
	}
	return list
}

// readCase reads the input of a golden case: input.json as it stands, or input.hex with comments after #.
func readCase(t testing.TB, dir string) []byte {
	if text, err := os.ReadFile(filepath.Join(dir, "input.json")); err == nil {
		return text
	}
	text, err := os.ReadFile(filepath.Join(dir, "input.hex"))
	require.NoError(t, err)
	digits := ""
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits += strings.Join(strings.Fields(line), "")
	}
	input, err := hex.DecodeString(digits)
	require.NoError(t, err)
	return input
}

func TestGoldenCases(t *testing.T) {
	dirs, err := filepath.Glob("testdata/cases/*")
	require.NoError(t, err)
	require.Greater(t, len(dirs), 20)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got, err := Decode(readCase(t, dir))
			if text, readErr := os.ReadFile(filepath.Join(dir, "expected.error")); readErr == nil {
				require.EqualError(t, err, strings.TrimSpace(string(text)))
				return
			}
			require.NoError(t, err)
			var want []shown
			text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &want))
			require.Equal(t, want, show(got))
		})
	}
}

func TestBounds(t *testing.T) {
	_, err := Decode(make([]byte, MaxBytes+1))
	require.ErrorContains(t, err, "at most")
	many := "[" + strings.Repeat(`{"n":"a","v":1},`, MaxRecords) + `{"n":"a","v":1}]`
	_, err = Decode([]byte(many))
	require.ErrorContains(t, err, "more than 4096 records")
	_, err = Decode([]byte(strings.Repeat("[", 100_000)))
	require.Error(t, err)
	_, err = Decode([]byte(strings.Repeat("\x81", 100_000)))
	require.Error(t, err)
}

func FuzzDecode(f *testing.F) {
	dirs, err := filepath.Glob("testdata/cases/*")
	require.NoError(f, err)
	for _, dir := range dirs {
		f.Add(readCase(f, dir))
	}
	f.Fuzz(func(t *testing.T, pack []byte) {
		first, err := Decode(pack)
		second, again := Decode(pack)
		if err != nil {
			require.EqualError(t, again, err.Error())
			return
		}
		require.Equal(t, show(first), show(second))
		for _, m := range first {
			require.NoError(t, checkName(m.Name))
			require.True(t, m.Value.IsSet() != (m.Other != ""), "a number or something else")
			if m.Value.IsSet() {
				_, _ = m.Value.Micro()
			}
		}
	})
}
