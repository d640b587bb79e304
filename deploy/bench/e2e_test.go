//go:build e2e

package bench

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The benchmark in its shortest form, on a real network: every part gives a figure, and the counts agree.
func TestShortBenchmark(t *testing.T) {
	program := os.Getenv("TRAILMARK_PROGRAM")
	if program == "" {
		program = filepath.Join(t.TempDir(), "trailmark")
		output, err := exec.Command("go", "build", "-o", program, "../cmd/trailmark").CombinedOutput()
		require.NoError(t, err, string(output))
	}
	config := Config{Short: true, Seconds: 2, Devices: 2000, Lanes: 4, History: 100_000, Charts: 5, Dir: filepath.Join(t.TempDir(), "bench")}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	result, err := Run(t.Context(), config, program, log, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	require.NoError(t, err)
	for name, ratio := range map[string]*float64{
		"packedOverNaive": result.Ratios.PackedOverNaive, "singleOverNaive": result.Ratios.SingleOverNaive,
		"packedOverLimit": result.Ratios.PackedOverLimit, "singleOverLimit": result.Ratios.SingleOverLimit,
	} {
		require.NotNil(t, ratio, name)
		require.Positive(t, *ratio, name)
	}
	// However slow the machine is: sixty readings a frame beat a transaction a reading, and nobody beats the limit.
	require.Greater(t, *result.Ratios.PackedOverNaive, 10.0)
	require.Less(t, *result.Ratios.PackedOverLimit, 1.0)
	require.Less(t, *result.Ratios.SingleOverLimit, 1.0)
	for _, target := range result.Targets {
		require.NotNil(t, target.Got, target.Name)
	}
	require.NotEmpty(t, result.Counts)
	for _, c := range result.Counts {
		require.Equal(t, c.Published, c.Projected, c.Traffic)
		require.Positive(t, c.Published, c.Traffic)
	}
	require.GreaterOrEqual(t, result.History.Readings, int64(100_000))
	require.Equal(t, 2*24*60*chartSensors, result.Chart.Readings)
	_, err = json.Marshal(result)
	require.NoError(t, err)
}
