package evidence

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestGoldenGovernance(t *testing.T) {
	by := func(organisation, reason string) provenance.Statement {
		return provenance.Statement{Organisation: organisation, Reason: reason, Time: start}
	}
	registered := provenance.Model{
		Name: "cold-chain", Version: "1", Hash: provenance.Hash{1}, Kernel: "k1", TrainingRoot: provenance.Hash{2}, Organisation: "Manufacturer", Registered: start,
	}
	governed, activation, retirement := registered, by("Manufacturer", ""), by("Manufacturer", "1.1 is better.")
	governed.Version, governed.Status, governed.Run = "1.0", provenance.ModelRetired, "run-7"
	governed.Evaluations = []provenance.Evaluation{{
		Organisation: "Carrier", Dataset: "held-back", Root: provenance.Hash{3}, Metrics: []provenance.Metric{{Name: "bias", Value: -40_000}, {Name: "rmse", Value: 402_000}},
		Report: provenance.Hash{4}, Time: start,
	}}
	governed.Approvals, governed.Objections = []provenance.Statement{by("Carrier", ""), by("Manufacturer", "")}, []provenance.Statement{by("Regulator", "Drift.")}
	governed.Activation, governed.Retirement = &activation, &retirement
	governed.Flags = []provenance.ModelFlag{{Dataset: "winter-milk", Use: provenance.UseTraining, Time: start}}
	dataset := provenance.Dataset{
		ID: "winter-milk", Organisation: "Manufacturer", Root: provenance.Hash{5}, Content: provenance.ContentReadings, Count: 40_320,
		Interval: provenance.Interval{From: start, To: start + 1e9}, Devices: []string{"truck-1", "truck-2"}, Licence: "CC-BY-4.0", Purposes: []string{"spoilage"},
		Report: provenance.Hash{6}, Status: provenance.DatasetApproved, Approvals: []provenance.Statement{by("Carrier", ""), by("Regulator", "")}, Proposed: start, Changed: start,
	}
	revoked := dataset
	revoked.ID, revoked.Status, revoked.Objections = "winter", provenance.DatasetRevoked, []provenance.Statement{by("Manufacturer", "A sensor lied.")}
	revoked.Flagging = &provenance.Flagging{After: "cold-chain/1.0", Models: 1, Done: true}
	for key, state := range map[string]any{
		"m/cold-chain/1":               &registered, // as before there was governance
		"m/cold-chain/1.0":             &governed,
		"ds/winter-milk":               &dataset,
		"ds/winter":                    &revoked,
		"u/winter-milk/cold-chain/1.0": &provenance.DatasetUse{Dataset: "winter-milk", Name: "cold-chain", Version: "1.0", Use: provenance.UseTraining},
		"tr/run-7": &provenance.TrainingRun{
			ID: "run-7", Organisation: "Manufacturer", Code: "9d38d56", Configuration: provenance.Hash{7}, Seed: 42, Purpose: "spoilage",
			Datasets: []provenance.TrainedDataset{{ID: "winter-milk", Root: dataset.Root}}, TrainingRoot: Root([]provenance.Hash{LeafHash(dataset.Root[:])}), Recorded: start,
		},
		"p/dataset": &provenance.Policy{Name: "dataset", Quorum: 2, Number: 1, Changed: start},
		"p/governance": &provenance.Policy{Name: "governance", Quorum: 2, Required: true, Number: 3, Changed: start, Proposal: &provenance.PolicyProposal{
			Organisation: "Carrier", Quorum: 3, Proposed: start, Approvals: []provenance.Statement{by("Carrier", "")}, Objections: []provenance.Statement{by("Regulator", "")}, Outcome: provenance.Open,
		}},
	} {
		value, err := Marshal(state)
		require.NoError(t, err)
		golden(t, "state-"+strings.ReplaceAll(key, "/", "-"), value)
		decoded, err := DecodeState(key, value)
		require.NoError(t, err)
		again, err := Marshal(decoded)
		require.NoError(t, err)
		require.Equal(t, value, again)
		_, err = DecodeState(key+"0", value)
		require.ErrorContains(t, err, "holds the value of")
	}
}
