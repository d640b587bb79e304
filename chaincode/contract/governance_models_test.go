package contract

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestModelFromProposalToActive(t *testing.T) {
	w := newScene(t)
	w.trained()
	p, e, name := modelProposal("1.0"), evaluationRequest("1.0", "held-back"), provenance.ModelName{Name: "g", Version: "1.0"}
	w.must(maker, "models:Propose", p)
	w.mustKeep(maker, "models:Propose", p)
	root := datasetProposal("train").Root
	want := &provenance.Model{
		Name: "g", Version: "1.0", Hash: p.Hash, Kernel: "k1", TrainingRoot: evidence.Root([]provenance.Hash{evidence.LeafHash(root[:])}),
		Organisation: maker, Registered: start, Status: provenance.ModelProposed, Run: "run",
	}
	require.Equal(t, want, at[provenance.Model](w, "m/g/1.0"))
	require.Equal(t, &provenance.DatasetUse{Dataset: "train", Name: "g", Version: "1.0", Use: provenance.UseTraining}, at[provenance.DatasetUse](w, "u/train/g/1.0"))

	const unevaluated = "conflict: model g 1.0 has no evaluation, by an organisation that did not train it, on a dataset that is approved"
	w.refused(maker, "models:Approve", name, unevaluated)
	w.refused(maker, "models:Activate", name, unevaluated)
	w.refused(maker, "models:Evaluate", e, "forbidden: ManufacturerMSP trained model g 1.0; another organisation must evaluate it")
	w.must(carrier, "models:Evaluate", e)
	w.mustKeep(carrier, "models:Evaluate", e)
	s, _, err := w.endorse(regulator, "models:Evaluate", e)
	require.NoError(t, err)
	require.Equal(t, []string{"m/g/1.0"}, s.sortedWrites(), "the link to the dataset stands")
	require.NoError(t, w.commit(s))
	evaluation := provenance.Evaluation{Organisation: carrier, Dataset: "held-back", Root: datasetProposal("held-back").Root, Metrics: e.Metrics, Report: e.Report, Time: start}
	second := evaluation
	second.Organisation = regulator
	want.Evaluations = []provenance.Evaluation{evaluation, second}
	require.Equal(t, want, at[provenance.Model](w, "m/g/1.0"))
	require.Equal(t, provenance.UseEvaluation, at[provenance.DatasetUse](w, "u/held-back/g/1.0").Use)

	w.refused(maker, "models:Activate", name, "conflict: model g 1.0 has 0 approvals, 2 are needed")
	w.must(maker, "models:Approve", name)
	w.mustKeep(maker, "models:Approve", name)
	w.refused(maker, "models:Activate", name, "conflict: model g 1.0 has 1 approvals, 2 are needed")
	w.must(carrier, "models:Approve", name)
	want.Approvals, want.Status = []provenance.Statement{statementOf(maker), statementOf(carrier)}, provenance.ModelApproved
	require.Equal(t, want, at[provenance.Model](w, "m/g/1.0"))
	w.refused(carrier, "models:Activate", name, "forbidden: model g 1.0 is ManufacturerMSP's; only it may activate it")
	w.must(maker, "models:Activate", name)
	w.mustKeep(maker, "models:Activate", name)
	activation := statementOf(maker)
	want.Activation, want.Status = &activation, provenance.ModelActive
	require.Equal(t, want, answer[provenance.Model](w, w.mustKeep(regulator, "models:Get", name)))

	lineage := answer[provenance.Lineage](w, w.mustKeep(regulator, "models:Lineage", name))
	held := at[provenance.Dataset](w, "ds/held-back")
	require.Equal(t, &provenance.Lineage{
		Model: *want, Run: at[provenance.TrainingRun](w, "tr/run"), Datasets: []*provenance.Dataset{at[provenance.Dataset](w, "ds/train")},
		Evaluations: []*provenance.Dataset{held, held},
	}, lineage)
	ungoverned := answer[provenance.Lineage](w, w.mustKeep(regulator, "models:Lineage", provenance.ModelName{Name: "m", Version: "1"}))
	require.Nil(t, ungoverned.Run)
	w.refused(maker, "models:Lineage", provenance.ModelName{Name: "g", Version: "2"}, "not-found: model g 2 is not registered")
}

func TestModelRefusals(t *testing.T) {
	w := newScene(t)
	w.approvedModel("1.0")
	proposal := func(change func(*provenance.ModelProposal)) provenance.ModelProposal {
		p := modelProposal("2.0")
		change(&p)
		return p
	}
	w.refused(maker, "models:Propose", proposal(func(p *provenance.ModelProposal) { p.Run = "none" }), "not-found: training run none is not on the ledger")
	w.refused(maker, "models:Propose", proposal(func(p *provenance.ModelProposal) { p.Run = "" }), "invalid: training run: an identifier is missing")
	w.refused(maker, "models:Propose", proposal(func(p *provenance.ModelProposal) { p.Hash = provenance.Hash{} }), "invalid: model g 2.0: the weights' hash is missing")
	w.refused(carrier, "models:Propose", modelProposal("2.0"), "forbidden: training run run is ManufacturerMSP's; only it may propose a model from it")
	const taken = "was entered by ManufacturerMSP with other content or by another organisation; propose another version"
	w.refused(carrier, "models:Propose", modelProposal("1.0"), "conflict: model g 1.0 "+taken)
	w.refused(maker, "models:Propose", proposal(func(p *provenance.ModelProposal) { p.Version, p.Kernel = "1.0", "k2" }), "conflict: model g 1.0 "+taken)
	w.refused(maker, "models:Propose", proposal(func(p *provenance.ModelProposal) { p.Name, p.Version = "m", "1" }), "conflict: model m 1 "+taken)

	evaluation := func(change func(*provenance.EvaluationRequest)) provenance.EvaluationRequest {
		e := evaluationRequest("1.0", "held-back")
		change(&e)
		return e
	}
	w.must(maker, "datasets:Propose", datasetProposal("raw"))
	renamed := datasetProposal("renamed")
	renamed.Root = datasetProposal("train").Root
	w.must(maker, "datasets:Propose", renamed)
	narrow := datasetProposal("narrow")
	narrow.Purposes = []string{"anomaly"}
	w.must(maker, "datasets:Propose", narrow)
	for _, id := range []string{"renamed", "narrow"} {
		w.must(maker, "datasets:Approve", provenance.ByID{ID: id})
		w.must(carrier, "datasets:Approve", provenance.ByID{ID: id})
	}
	for want, change := range map[string]func(*provenance.EvaluationRequest){
		"conflict: dataset raw is proposed, not approved":                                             func(e *provenance.EvaluationRequest) { e.Dataset = "raw" },
		"conflict: dataset narrow may not be used for spoilage, only for [anomaly]":                   func(e *provenance.EvaluationRequest) { e.Dataset = "narrow" },
		"conflict: model g 1.0 was trained on dataset train or its content; evaluate it on another":   func(e *provenance.EvaluationRequest) { e.Dataset = "train" },
		"conflict: model g 1.0 was trained on dataset renamed or its content; evaluate it on another": func(e *provenance.EvaluationRequest) { e.Dataset = "renamed" },
		"conflict: CarrierMSP has evaluated model g 1.0 on dataset held-back with other results":      func(e *provenance.EvaluationRequest) { e.Metrics[0].Value++ },
		"not-found: dataset none is not on the ledger":                                                func(e *provenance.EvaluationRequest) { e.Dataset = "none" },
		"not-found: model g 2 is not registered":                                                      func(e *provenance.EvaluationRequest) { e.Version = "2" },
		"conflict: model m 1 is ungoverned: it was registered without a training run":                 func(e *provenance.EvaluationRequest) { e.Name, e.Version = "m", "1" },
		"invalid: evaluation of model g 1.0: the report's hash is missing":                            func(e *provenance.EvaluationRequest) { e.Report = provenance.Hash{} },
		"invalid: evaluation of model g 1.0: 0 metrics, 1 to 64 are allowed":                          func(e *provenance.EvaluationRequest) { e.Metrics = nil },
		"invalid: evaluation of model g 1.0: 65 metrics, 1 to 64 are allowed":                         func(e *provenance.EvaluationRequest) { e.Metrics = make([]provenance.Metric, 65) },
		"invalid: metric f1: they must be in order, each once":                                        func(e *provenance.EvaluationRequest) { e.Metrics[1].Name = "f1" },
	} {
		w.refused(carrier, "models:Evaluate", evaluation(change), want)
	}

	w.refused(carrier, "models:Evaluate", evaluation(func(e *provenance.EvaluationRequest) { e.Report[0]++ }), "conflict: CarrierMSP has evaluated model g 1.0 on dataset held-back with other results")

	name, ending := provenance.ModelName{Name: "g", Version: "1.0"}, provenance.ModelEnding{Name: "g", Version: "1.0", Reason: "Drift."}
	w.refused(carrier, "models:Retire", ending, "forbidden: model g 1.0 is ManufacturerMSP's; only it may retire it")
	w.refused(maker, "models:Retire", provenance.ModelEnding{Name: "g", Version: "1.0"}, "invalid: reason is missing")
	w.must(regulator, "models:Revoke", ending)
	w.mustKeep(regulator, "models:Revoke", ending)
	w.refused(regulator, "models:Approve", name, "conflict: RegulatorMSP has objected to model g 1.0")
	w.refused(maker, "models:Activate", name, "conflict: model g 1.0 has 1 approvals, 2 are needed")
	w.must(carrier, "models:Approve", name)
	w.must(maker, "models:Activate", name)
	w.must(maker, "models:Retire", ending)
	w.mustKeep(maker, "models:Retire", ending)
	retired := at[provenance.Model](w, "m/g/1.0")
	require.Equal(t, "Drift.", retired.Retirement.Reason)
	for function, request := range map[string]any{"models:Approve": name, "models:Activate": name} {
		w.refused(maker, function, request, "conflict: model g 1.0 is retired")
	}
	w.must(carrier, "models:Revoke", ending) // the second objection
	require.Equal(t, provenance.ModelRevoked, at[provenance.Model](w, "m/g/1.0").Status)
	w.mustKeep(carrier, "models:Revoke", ending)
	w.refused(maker, "models:Retire", ending, "conflict: model g 1.0 is revoked")
	w.refused(carrier, "models:Evaluate", evaluation(func(e *provenance.EvaluationRequest) { e.Dataset = "narrow" }), "conflict: dataset narrow may not be used for spoilage, only for [anomaly]")
	w.approvedDataset("late")
	w.refused(carrier, "models:Evaluate", evaluation(func(e *provenance.EvaluationRequest) { e.Dataset = "late" }), "conflict: model g 1.0 is revoked")
	w.must(maker, "models:Propose", modelProposal("1.1"))
	w.must(maker, "models:Revoke", provenance.ModelEnding{Name: "g", Version: "1.1", Reason: "Wrong file."})
	require.Equal(t, provenance.ModelRevoked, at[provenance.Model](w, "m/g/1.1").Status, "its own organisation's word is enough")
}

// What was approved once does not count at activation when the data behind it is revoked meanwhile.
func TestActivationLooksAtTheDataAgain(t *testing.T) {
	name := provenance.ModelName{Name: "g", Version: "1.0"}
	for revoked, want := range map[string]string{
		"train":     "conflict: dataset train is revoked, not approved",
		"held-back": "conflict: model g 1.0 has no evaluation, by an organisation that did not train it, on a dataset that is approved",
	} {
		w := newScene(t)
		w.approvedModel("1.0")
		w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: revoked, Reason: "no"})
		w.refused(maker, "models:Activate", name, want)
		w.refused(carrier, "models:Approve", name, want)
		if revoked == "train" {
			w.refused(maker, "models:Propose", modelProposal("1.1"), want)
		}
	}
	// Nor where more approvals are asked for by now.
	w := newScene(t)
	w.approvedModel("1.0")
	w.setPolicy(provenance.PolicyRequest{Name: provenance.PolicyModel, Quorum: 3}, maker, carrier)
	w.refused(maker, "models:Activate", name, "conflict: model g 1.0 has 2 approvals, 3 are needed")
	w.must(carrier, "models:Approve", name)
	w.must(maker, "models:Activate", name)
}

func TestAnObjectionTakesTheModelsApprovalBack(t *testing.T) {
	w := newScene(t)
	w.trained()
	name := provenance.ModelName{Name: "g", Version: "1.0"}
	w.must(maker, "models:Propose", modelProposal("1.0"))
	w.must(carrier, "models:Evaluate", evaluationRequest("1.0", "held-back"))
	w.must(carrier, "models:Approve", name)
	w.must(carrier, "models:Revoke", provenance.ModelEnding{Name: "g", Version: "1.0", Reason: "Looked again."})
	w.must(maker, "models:Approve", name)
	require.Equal(t, provenance.ModelProposed, at[provenance.Model](w, "m/g/1.0").Status)
	w.must(regulator, "models:Approve", name)
	require.Equal(t, provenance.ModelApproved, at[provenance.Model](w, "m/g/1.0").Status)
}

func TestEvaluationsAreBounded(t *testing.T) {
	w := newScene(t)
	w.approvedModel("1.0") // with one evaluation
	for i := range maxEvaluations {
		w.approvedDataset(fmt.Sprint("d", i))
		if i == maxEvaluations-1 {
			w.refused(regulator, "models:Evaluate", evaluationRequest("1.0", fmt.Sprint("d", i)), "conflict: model g 1.0 has 64 evaluations, no more are allowed")
			return
		}
		w.must(regulator, "models:Evaluate", evaluationRequest("1.0", fmt.Sprint("d", i)))
	}
}
