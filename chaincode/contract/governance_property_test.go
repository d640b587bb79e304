package contract

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestNoModelIsActiveWithoutItsChain drives the governance with random calls and looks, whenever a model becomes active, at the ledger
// itself: a run by the model's organisation, on datasets all approved, an evaluation by another on approved data that the run did not
// have, and enough approvals not taken back. No alert enters by a model that is not active.
func TestNoModelIsActiveWithoutItsChain(t *testing.T) {
	scene := newFleet(newTrade(t), "s1")
	scene.must(maker, "shipments:Open", opening("ship", carrier))
	scene.must(maker, "shipments:Attach", provenance.AttachRequest{Shipment: "ship", Device: "s1", From: start - 30*minute})
	organisations := []string{maker, carrier, regulator}
	activated := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{TB: t, ledger: newLedger(), endorsers: scene.endorsers, now: start}
		for key, e := range scene.state {
			w.state[key] = e
		}
		w.version = scene.version
		quorum := rapid.IntRange(1, 3).Draw(rt, "quorum of the model")
		if quorum != 2 {
			w.setPolicy(provenance.PolicyRequest{Name: provenance.PolicyModel, Quorum: uint32(quorum)}, maker, carrier)
		}
		w.headStart(rapid.SampledFrom([]int{0, 6, 8, 10, 11, 11, 11}).Draw(rt, "steps ahead"))
		draw := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, name) }
		for i := range rapid.IntRange(20, 70).Draw(rt, "calls") {
			caller, dataset := draw("caller", organisations...), draw("dataset", "a", "b", "c")
			name := provenance.ModelName{Name: "g", Version: draw("version", "1", "1", "2")}
			run := "run-" + name.Version
			call := draw("call", "propose dataset", "approve dataset", "approve dataset", "approve dataset", "revoke dataset", "revoke dataset", "record", "propose", "evaluate",
				"evaluate", "approve", "approve", "approve", "activate", "activate", "activate", "activate", "retire", "revoke", "raise")
			active := w.isActive(name)
			var err error
			switch call {
			case "propose dataset":
				_, err = w.submit(caller, "datasets:Propose", datasetProposal(dataset))
			case "approve dataset":
				_, err = w.submit(caller, "datasets:Approve", provenance.ByID{ID: dataset})
			case "revoke dataset":
				_, err = w.submit(caller, "datasets:Revoke", provenance.DatasetRevocation{ID: dataset, Reason: "no"})
			case "record":
				r := trainingRequest(run)
				r.Datasets = []string{dataset}
				_, err = w.submit(caller, "training:Record", r)
			case "propose":
				p := modelProposal(name.Version)
				p.Run = run
				_, err = w.submit(caller, "models:Propose", p)
			case "evaluate":
				_, err = w.submit(caller, "models:Evaluate", evaluationRequest(name.Version, dataset))
			case "approve":
				_, err = w.submit(caller, "models:Approve", name)
			case "activate":
				_, err = w.submit(maker, "models:Activate", name) // whose model it is, if there is one
			case "retire":
				_, err = w.submit(caller, "models:Retire", provenance.ModelEnding{Name: "g", Version: name.Version, Reason: "old"})
			case "revoke":
				_, err = w.submit(caller, "models:Revoke", provenance.ModelEnding{Name: "g", Version: name.Version, Reason: "bad"})
			case "raise":
				r := alertRequest(fmt.Sprint("alert-", i))
				r.ModelName, r.ModelVersion = name.Name, name.Version
				_, err = w.submit(maker, "alerts:Raise", r)
				require.Equal(rt, active, err == nil, "%v", err)
			}
			if err != nil {
				require.NotNil(rt, provenance.ParseError(err.Error()), "%s: %v", call, err)
			}
			if w.isActive(name) && !active {
				require.Equal(rt, "activate", call)
				require.NoError(rt, w.chainHolds(name, quorum))
				activated++
			}
		}
	})
	require.NotZero(t, activated, "no random walk came as far as an active model, so nothing was tested")
}

// headStart takes the first steps of the way to an active model; random calls alone seldom come so far.
func (w *world) headStart(steps int) {
	training := trainingRequest("run-1")
	training.Datasets = []string{"a"}
	proposal := modelProposal("1")
	proposal.Run = training.ID
	name := provenance.ModelName{Name: "g", Version: "1"}
	for _, step := range []struct {
		caller, function string
		request          any
	}{
		{maker, "datasets:Propose", datasetProposal("a")},
		{maker, "datasets:Approve", provenance.ByID{ID: "a"}},
		{carrier, "datasets:Approve", provenance.ByID{ID: "a"}},
		{carrier, "datasets:Propose", datasetProposal("b")},
		{maker, "datasets:Approve", provenance.ByID{ID: "b"}},
		{carrier, "datasets:Approve", provenance.ByID{ID: "b"}},
		{maker, "training:Record", training},
		{maker, "models:Propose", proposal},
		{carrier, "models:Evaluate", evaluationRequest("1", "b")},
		{regulator, "models:Approve", name},
		{carrier, "models:Approve", name},
	}[:steps] {
		w.must(step.caller, step.function, step.request)
	}
}

func (w *world) isActive(name provenance.ModelName) bool {
	key := provenance.ModelKey(name.Name, name.Version)
	_, ok := w.state[key]
	return ok && at[provenance.Model](w, key).Status == provenance.ModelActive
}

// chainHolds looks for what an active model must stand on, reading the state and none of the contract's rules.
func (w *world) chainHolds(name provenance.ModelName, quorum int) error {
	model := at[provenance.Model](w, provenance.ModelKey(name.Name, name.Version))
	run := at[provenance.TrainingRun](w, "tr/"+model.Run)
	if run.Organisation != model.Organisation {
		return errors.New("another organisation trained it")
	}
	for _, d := range run.Datasets {
		if at[provenance.Dataset](w, "ds/"+d.ID).Status != provenance.DatasetApproved {
			return fmt.Errorf("it was trained on %s", d.ID)
		}
	}
	sound := false
	for _, e := range model.Evaluations {
		sound = sound || e.Organisation != run.Organisation && e.Dataset != run.Datasets[0].ID && at[provenance.Dataset](w, "ds/"+e.Dataset).Status == provenance.DatasetApproved
	}
	if !sound {
		return errors.New("no other organisation has evaluated it")
	}
	approving := map[string]bool{}
	for _, a := range model.Approvals {
		approving[a.Organisation] = true
	}
	for _, o := range model.Objections {
		delete(approving, o.Organisation)
	}
	if len(approving) < quorum {
		return fmt.Errorf("%d of %d have approved it", len(approving), quorum)
	}
	return nil
}
