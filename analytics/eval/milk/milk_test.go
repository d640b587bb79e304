package milk

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

const shared = "../../../../shared/data/milk"

func dataDir(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("the milk data is not here: %v", err)
	}
	return shared
}

func TestWinter(t *testing.T) {
	result, err := Run(context.Background(), dataDir(t), Options{})
	require.NoError(t, err)
	t.Logf("%+v", result.Score)
	for _, p := range result.Points {
		t.Logf("%s %d count %.2f predicted %.2f [%.2f %.2f]", p.Type, p.Minute, p.Count, float64(p.Predicted.Median)/1e6, float64(p.Predicted.Low)/1e6, float64(p.Predicted.High)/1e6)
	}
}
