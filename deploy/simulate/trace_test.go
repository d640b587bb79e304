package simulate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func read(t *testing.T, text string, format TraceFormat) ([]provenance.Reading, error) {
	path := filepath.Join(t.TempDir(), "trace.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	if format.Step == 0 {
		format.Step = time.Minute
	}
	return ReadTrace(path, format)
}

func TestReadTrace(t *testing.T) {
	got, err := read(t, "Min,tempM,Rtemp\n,4.5,8\n,4.25,8\n3,-0.1,8\n4,,8\n5,12,8\n", TraceFormat{})
	require.NoError(t, err)
	require.Equal(t, []provenance.Reading{{Time: 0, Value: 4_500_000}, {Time: 60_000, Value: 4_250_000}, {Time: 180_000, Value: -100_000}, {Time: 300_000, Value: 12_000_000}}, got)

	got, err = read(t, "when;x\n", TraceFormat{})
	require.Error(t, err, got)
	got, err = read(t, "when,air\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n", TraceFormat{Column: "Air"})
	require.NoError(t, err)
	require.Equal(t, provenance.Time(300_000), got[1].Time)
	got, err = read(t, "temp\n1\n2\n", TraceFormat{Step: 10 * time.Second})
	require.NoError(t, err)
	require.Equal(t, provenance.Time(10_000), got[1].Time)

	for name, text := range map[string]string{
		"no number":   "Min,tempM\n1,warm\n",
		"a fraction":  "Min,tempM\n1,1/3\n",
		"falls":       "Min,tempM\n2,1\n1,1\n",
		"bad time":    "Min,tempM\nnoon,1\n",
		"no readings": "Min,tempM\n1,\n",
		"empty":       "",
		"huge":        "Min,tempM\n1,1e300\n",
	} {
		_, err := read(t, text, TraceFormat{})
		require.Error(t, err, name)
	}
}

func TestReadTraceOfMilk(t *testing.T) {
	const file = "../../../shared/data/milk/winter-share-table.csv"
	if _, err := os.Stat(file); err != nil {
		t.Skip("real data are not here: ", err)
	}
	got, err := ReadTrace(file, TraceFormat{Step: time.Minute})
	require.NoError(t, err)
	require.Greater(t, len(got), 5000)
}
