package autoencoder

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWriteDefaultModel retrains the embedded model: TRAILMARK_WRITE_MODEL=1 go test ./analytics/autoencoder -run WriteDefault.
func TestWriteDefaultModel(t *testing.T) {
	if os.Getenv("TRAILMARK_WRITE_MODEL") == "" {
		t.Skip("set TRAILMARK_WRITE_MODEL=1 to retrain the embedded model")
	}
	began := time.Now()
	m, report, err := Train(context.Background(), DefaultConfig(), func(p Progress) { t.Logf("%+v %s", p, time.Since(began)) })
	require.NoError(t, err)
	t.Logf("%+v in %s", report, time.Since(began))
	require.NoError(t, os.WriteFile("default.model", m.Encode(), 0o644))
}
