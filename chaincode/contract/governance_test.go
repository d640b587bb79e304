package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

type accessRow = struct {
	function string
	request  func(w *world, caller string) any
	allowed  []string
}

// governanceAccess is the governance's part of the table in TestWhoMayCall. Maker has trained the model.
func governanceAccess() []accessRow {
	all, registered, none := []string{maker, carrier, regulator, "StrangerMSP"}, []string{maker, carrier, regulator}, []string(nil)
	governed := func(request any) func(*world, string) any {
		return func(w *world, _ string) any {
			w.approvedModel("1.0")
			return request
		}
	}
	name, ending := provenance.ModelName{Name: "g", Version: "1.0"}, provenance.ModelEnding{Name: "g", Version: "1.0", Reason: "drift"}
	return []accessRow{
		{"datasets:Propose", constant(datasetProposal("new")), registered},
		{"datasets:Propose", governed(datasetProposal("train")), []string{maker}},
		{"datasets:Approve", governed(provenance.ByID{ID: "train"}), registered},
		{"datasets:Revoke", governed(provenance.DatasetRevocation{ID: "train", Reason: "licence"}), registered},
		{"datasets:Get", governed(provenance.ByID{ID: "train"}), all},
		{"datasets:List", governed(provenance.Page{}), all},
		{"training:Record", governed(trainingRequest("new")), registered},
		{"training:Record", governed(trainingRequest("run")), []string{maker}},
		{"training:Get", governed(provenance.ByID{ID: "run"}), all},
		{"models:Propose", governed(modelProposal("1.1")), []string{maker}},
		{"models:Evaluate", governed(evaluationRequest("1.0", "held-back")), []string{carrier, regulator}},
		{"models:Approve", governed(name), registered},
		{"models:Activate", governed(name), []string{maker}},
		{"models:Retire", governed(ending), []string{maker}},
		{"models:Revoke", governed(ending), registered},
		{"models:Lineage", governed(name), all},
		{"policies:Propose", constant(provenance.PolicyRequest{Name: provenance.PolicyModel, Quorum: 3}), registered},
		{"policies:Vote", func(w *world, _ string) any {
			w.must(maker, "policies:Propose", provenance.PolicyRequest{Name: provenance.PolicyModel, Quorum: 3})
			return provenance.PolicyVote{Name: provenance.PolicyModel, Number: 1, Approve: true}
		}, registered},
		{"policies:Get", constant(provenance.ByID{ID: provenance.PolicyModel}), all},
		{"governance:Flag", governed(provenance.ByID{ID: "train"}), none}, // it is not revoked
		{"governance:Flag", func(w *world, _ string) any {
			w.approvedModel("1.0")
			w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "train", Reason: "licence"})
			return provenance.ByID{ID: "train"}
		}, all},
	}
}

func datasetProposal(id string) provenance.DatasetProposal {
	return provenance.DatasetProposal{
		ID: id, Root: evidence.LeafHash([]byte(id)), Content: provenance.ContentReadings, Count: 1440, From: start - 24*60*minute, To: start, Devices: []string{"s1"},
		Licence: "CC-BY-4.0", Purposes: []string{"anomaly", "spoilage"}, Report: provenance.Hash{7},
	}
}

func trainingRequest(id string) provenance.TrainingRequest {
	return provenance.TrainingRequest{ID: id, Code: "9d38d56", Configuration: provenance.Hash{8}, Seed: 7, Purpose: "spoilage", Datasets: []string{"train"}}
}

func modelProposal(version string) provenance.ModelProposal {
	return provenance.ModelProposal{Name: "g", Version: version, Hash: provenance.Hash{9}, Kernel: "k1", Run: "run"}
}

func evaluationRequest(version, dataset string) provenance.EvaluationRequest {
	return provenance.EvaluationRequest{Name: "g", Version: version, Dataset: dataset, Report: provenance.Hash{10}, Metrics: []provenance.Metric{{Name: "f1", Value: 812_000}, {Name: "rmse", Value: 402_000}}}
}

// approvedDataset proposes a dataset by maker and approves it.
func (w *world) approvedDataset(id string) {
	w.Helper()
	w.must(maker, "datasets:Propose", datasetProposal(id))
	w.must(maker, "datasets:Approve", provenance.ByID{ID: id})
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: id})
}

// trained has two approved datasets and a training run on one of them.
func (w *world) trained() {
	w.Helper()
	w.approvedDataset("train")
	w.approvedDataset("held-back")
	w.must(maker, "training:Record", trainingRequest("run"))
}

// approvedModel is a model that lacks nothing but its activation.
func (w *world) approvedModel(version string) {
	w.Helper()
	name := provenance.ModelName{Name: "g", Version: version}
	w.trained()
	w.must(maker, "models:Propose", modelProposal(version))
	w.must(carrier, "models:Evaluate", evaluationRequest(version, "held-back"))
	w.must(maker, "models:Approve", name)
	w.must(regulator, "models:Approve", name)
}

func statementOf(organisation string, reason ...string) provenance.Statement {
	return provenance.Statement{Organisation: organisation, Reason: strings.Join(reason, ""), Time: start}
}

func TestOnlyAnActiveModelRaises(t *testing.T) {
	w := newScene(t)
	w.approvedModel("1.0")
	r := alertRequest("fresh")
	r.ModelName, r.ModelVersion = "g", "1.0"
	w.refused(maker, "alerts:Raise", r, "conflict: model g 1.0 is approved; only an active model may raise alerts")
	w.must(maker, "models:Activate", provenance.ModelName{Name: "g", Version: "1.0"})
	w.must(maker, "alerts:Raise", r)
	w.must(maker, "models:Retire", provenance.ModelEnding{Name: "g", Version: "1.0", Reason: "1.1 is better"})
	w.mustKeep(maker, "alerts:Raise", r) // it stands
	w.refused(carrier, "alerts:Raise", r, "conflict: model g 1.0 is retired; only an active model may raise alerts")

	const ungoverned = "conflict: model m 1 is ungoverned, and the organisations have voted that only governed models may raise alerts"
	w.must(maker, "alerts:Raise", alertRequest("before"))
	w.setPolicy(provenance.PolicyRequest{Name: provenance.PolicyGovernance, Required: true}, maker, regulator)
	w.refused(maker, "alerts:Raise", alertRequest("after"), ungoverned)
	w.refused(carrier, "alerts:Raise", alertRequest("before"), ungoverned)
	w.mustKeep(maker, "alerts:Raise", alertRequest("before"))
	w.setPolicy(provenance.PolicyRequest{Name: provenance.PolicyGovernance}, maker, regulator)
	w.must(maker, "alerts:Raise", alertRequest("after"))
}

// Every model downstream is flagged, in transactions of a bounded size, whatever calls stop and come again.
func TestRevocationFlagsWhatIsDownstream(t *testing.T) {
	w := newScene(t)
	w.trained()
	const models = 3 * maxFlagged // no call finds too few to be the last
	for i := range models {
		w.must(maker, "models:Propose", modelProposal(fmt.Sprint("v", i)))
	}
	w.must(carrier, "models:Evaluate", evaluationRequest("v3", "held-back"))
	w.refused(regulator, "governance:Flag", provenance.ByID{ID: "train"}, "conflict: dataset train is approved, not revoked")
	w.refused(regulator, "governance:Flag", provenance.ByID{ID: "none"}, "not-found: dataset none is not on the ledger")
	w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "train", Reason: "A sensor lied."})
	flagged := func() int {
		n := 0
		for i := range models {
			model := at[provenance.Model](w, fmt.Sprint("m/g/v", i))
			require.LessOrEqual(t, len(model.Flags), 1)
			n += len(model.Flags)
		}
		require.EqualValues(t, n, at[provenance.Dataset](w, "ds/train").Flagging.Models)
		return n
	}
	require.Equal(t, maxFlagged, flagged())
	require.False(t, at[provenance.Dataset](w, "ds/train").Flagging.Done)
	s, _, err := w.endorse(regulator, "governance:Flag", provenance.ByID{ID: "train"})
	require.NoError(t, err)
	require.Len(t, s.writes, maxFlagged+1)
	w.must(carrier, "governance:Flag", provenance.ByID{ID: "train"}) // another was faster
	require.ErrorIs(t, w.commit(s), errMVCC)
	require.Equal(t, 2*maxFlagged, flagged())
	w.must(regulator, "governance:Flag", provenance.ByID{ID: "train"})
	require.Equal(t, models, flagged())
	require.True(t, at[provenance.Dataset](w, "ds/train").Flagging.Done)
	w.mustKeep(regulator, "governance:Flag", provenance.ByID{ID: "train"})
	w.must(carrier, "datasets:Revoke", provenance.DatasetRevocation{ID: "train", Reason: "It did."}) // does not begin again
	require.True(t, at[provenance.Dataset](w, "ds/train").Flagging.Done)
	require.Equal(t, models, flagged())
	require.Equal(t, []provenance.ModelFlag{{Dataset: "train", Use: provenance.UseTraining, Time: start}}, at[provenance.Model](w, "m/g/v0").Flags)
	w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "held-back", Reason: "no"})
	require.Equal(t, provenance.UseEvaluation, at[provenance.Model](w, "m/g/v3").Flags[1].Use)
	require.Equal(t, &provenance.Flagging{After: "g/v3", Models: 1, Done: true}, at[provenance.Dataset](w, "ds/held-back").Flagging)
}

// A model cannot slip in behind a revocation that it does not see: the transaction that would do so has read the dataset.
func TestNoModelJoinsBehindARevocation(t *testing.T) {
	w := newScene(t)
	w.trained()
	s, _, err := w.endorse(maker, "models:Propose", modelProposal("1.0"))
	require.NoError(t, err)
	w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "train", Reason: "no"})
	require.ErrorIs(t, w.commit(s), errMVCC)
}
