package projector_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// What governance writes is part of the log, and no anomaly.
func TestProjectsGovernance(t *testing.T) {
	c := road()
	for key, state := range map[string]any{
		provenance.DatasetKey("winter-milk"):              &provenance.Dataset{ID: "winter-milk", Organisation: "MakerMSP", Count: 1},
		provenance.DatasetUseKey("winter-milk", "g", "1"): &provenance.DatasetUse{Dataset: "winter-milk", Name: "g", Version: "1", Use: provenance.UseTraining},
		provenance.TrainingKey("run-7"):                   &provenance.TrainingRun{ID: "run-7", Organisation: "MakerMSP"},
		provenance.PolicyKey(provenance.PolicyGovernance): &provenance.Policy{Name: provenance.PolicyGovernance, Required: true, Number: 1},
		provenance.ModelKey("g", "1"):                     &provenance.Model{Name: "g", Version: "1", Status: provenance.ModelActive, Run: "run-7"},
	} {
		c.Put("MakerMSP", "models:Propose", map[string]any{key: state})
	}
	c.Cut()
	store := open(t, filepath.Join(t.TempDir(), "model.db"))
	project(t, store, c.Blocks)
	require.Empty(t, anomalies(t, store))
	stats, err := store.Stats(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 6+5, stats.LogSize)
	models, err := store.Models(context.Background())
	require.NoError(t, err)
	require.Len(t, models, 1)
	require.Equal(t, provenance.ModelActive, models[0].Status)
}
