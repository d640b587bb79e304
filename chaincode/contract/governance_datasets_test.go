package contract

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestDatasetIsApprovedByAMajority(t *testing.T) {
	w := newScene(t)
	r := datasetProposal("train")
	w.must(maker, "datasets:Propose", r)
	want := &provenance.Dataset{
		ID: "train", Organisation: maker, Root: r.Root, Content: r.Content, Count: r.Count, Interval: provenance.Interval{From: r.From, To: r.To}, Devices: r.Devices,
		Licence: r.Licence, Purposes: r.Purposes, Report: r.Report, Approvals: []provenance.Statement{}, Objections: []provenance.Statement{}, Proposed: start, Changed: start,
	}
	require.Equal(t, want, at[provenance.Dataset](w, "ds/train"))
	w.mustKeep(maker, "datasets:Propose", r)
	w.must(regulator, "datasets:Approve", provenance.ByID{ID: "train"})
	w.mustKeep(regulator, "datasets:Approve", provenance.ByID{ID: "train"})
	want.Approvals = []provenance.Statement{statementOf(regulator)}
	require.Equal(t, want, at[provenance.Dataset](w, "ds/train"), "one of three is no majority, and to propose is not to approve")
	w.must(maker, "datasets:Approve", provenance.ByID{ID: "train"})
	want.Approvals, want.Status = append(want.Approvals, statementOf(maker)), provenance.DatasetApproved
	require.Equal(t, want, answer[provenance.Dataset](w, w.mustKeep(carrier, "datasets:Get", provenance.ByID{ID: "train"})))
	w.must(maker, "datasets:Propose", datasetProposal("another"))
	require.Len(t, *answer[[]provenance.Dataset](w, w.mustKeep(carrier, "datasets:List", provenance.Page{})), 2)
	w.refused(carrier, "datasets:Propose", r, "conflict: dataset train was proposed by ManufacturerMSP with other content or by another organisation; propose it under another name")
	for _, change := range []func(*provenance.DatasetProposal){
		func(r *provenance.DatasetProposal) { r.Root[0]++ },
		func(r *provenance.DatasetProposal) { r.Content = provenance.ContentFrames },
		func(r *provenance.DatasetProposal) { r.Count++ },
		func(r *provenance.DatasetProposal) { r.From++ },
		func(r *provenance.DatasetProposal) { r.To++ },
		func(r *provenance.DatasetProposal) { r.Devices = nil },
		func(r *provenance.DatasetProposal) { r.Licence = "none" },
		func(r *provenance.DatasetProposal) { r.Purposes = r.Purposes[1:] },
		func(r *provenance.DatasetProposal) { r.Report[0]++ },
	} {
		r := datasetProposal("train")
		change(&r)
		w.refused(maker, "datasets:Propose", r, "conflict: dataset train was proposed by ManufacturerMSP with other content or by another organisation; propose it under another name")
	}
	w.refused(maker, "datasets:Approve", provenance.ByID{ID: "none"}, "not-found: dataset none is not on the ledger")
	w.refused(maker, "datasets:Get", provenance.ByID{ID: "-"}, "invalid: dataset: '-' at position 1 is not allowed in an identifier (letters, digits, and . _ : - after the first)")
}

func TestDatasetProposeRefusals(t *testing.T) {
	w := newScene(t)
	const stranger = "not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)"
	w.refused("StrangerMSP", "datasets:Propose", datasetProposal("n"), stranger)
	for want, change := range map[string]func(*provenance.DatasetProposal){
		"invalid: dataset: an identifier is missing":                           func(r *provenance.DatasetProposal) { r.ID = "" },
		"invalid: dataset n: its root or its quality report's hash is missing": func(r *provenance.DatasetProposal) { r.Report = provenance.Hash{} },
		`invalid: dataset n: content "rumours" is unknown`:                     func(r *provenance.DatasetProposal) { r.Content = "rumours" },
		"invalid: dataset n holds nothing":                                     func(r *provenance.DatasetProposal) { r.Count = 0 },
		"invalid: dataset n: its interval ends before it begins":               func(r *provenance.DatasetProposal) { r.To = r.From - 1 },
		"invalid: from: 0 is not a time in milliseconds since 1970":            func(r *provenance.DatasetProposal) { r.From = 0 },
		"invalid: to: -5 is not a time in milliseconds since 1970":             func(r *provenance.DatasetProposal) { r.To = -5 },
		"invalid: dataset n: 257 devices, at most 256 are allowed":             func(r *provenance.DatasetProposal) { r.Devices = make([]string, 257) },
		"invalid: device s1: they must be in order, each once":                 func(r *provenance.DatasetProposal) { r.Devices = []string{"s1", "s1"} },
		"not-found: device ghost of dataset n is not enrolled":                 func(r *provenance.DatasetProposal) { r.Devices = []string{"ghost", "s1"} },
		"invalid: dataset n: 0 purposes, 1 to 16 are allowed":                  func(r *provenance.DatasetProposal) { r.Purposes = nil },
		"invalid: dataset n: 17 purposes, 1 to 16 are allowed":                 func(r *provenance.DatasetProposal) { r.Purposes = make([]string, 17) },
		"invalid: purpose anomaly: they must be in order, each once":           func(r *provenance.DatasetProposal) { r.Purposes = []string{"spoilage", "anomaly"} },
		"invalid: licence is missing":                                          func(r *provenance.DatasetProposal) { r.Licence = " " },
		"invalid: licence of 257 bytes, at most 256 are allowed":               func(r *provenance.DatasetProposal) { r.Licence = strings.Repeat("x", 257) },
		"invalid: device: an identifier is missing":                            func(r *provenance.DatasetProposal) { r.Devices = []string{""} },
	} {
		r := datasetProposal("n")
		change(&r)
		w.refused(maker, "datasets:Propose", r, want)
	}
	r := datasetProposal("n")
	r.Root = provenance.Hash{}
	w.refused(maker, "datasets:Propose", r, "invalid: dataset n: its root or its quality report's hash is missing")
	r = datasetProposal("elsewhere")
	r.Devices = nil
	w.must(maker, "datasets:Propose", r)
	w.mustKeep(maker, "datasets:Propose", r)
}

func TestDatasetRevocation(t *testing.T) {
	w := newScene(t)
	w.approvedDataset("train")
	r := provenance.DatasetRevocation{ID: "train", Reason: "Licence withdrawn."}
	w.refused(carrier, "datasets:Revoke", provenance.DatasetRevocation{ID: "train"}, "invalid: reason is missing")
	w.must(carrier, "datasets:Revoke", r)
	w.mustKeep(carrier, "datasets:Revoke", r)
	dataset := at[provenance.Dataset](w, "ds/train")
	require.Equal(t, provenance.DatasetApproved, dataset.Status, "one objection of three is none to act on")
	require.Equal(t, []provenance.Statement{statementOf(carrier, r.Reason)}, dataset.Objections)
	w.refused(carrier, "datasets:Approve", provenance.ByID{ID: "train"}, "conflict: CarrierMSP has objected to dataset train")
	w.must(regulator, "datasets:Revoke", r)
	require.Equal(t, provenance.DatasetRevoked, at[provenance.Dataset](w, "ds/train").Status)
	w.mustKeep(regulator, "datasets:Revoke", r)
	w.refused(maker, "datasets:Approve", provenance.ByID{ID: "train"}, "conflict: dataset train is revoked")

	w.approvedDataset("own")
	w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "own", Reason: "A sensor lied."})
	require.Equal(t, &provenance.Flagging{Done: true}, at[provenance.Dataset](w, "ds/own").Flagging)

	w.must(maker, "datasets:Propose", datasetProposal("doubted"))
	w.must(maker, "datasets:Approve", provenance.ByID{ID: "doubted"})
	w.must(carrier, "datasets:Revoke", provenance.DatasetRevocation{ID: "doubted", Reason: "?"})
	w.must(regulator, "datasets:Approve", provenance.ByID{ID: "doubted"})
	require.Equal(t, provenance.DatasetApproved, at[provenance.Dataset](w, "ds/doubted").Status, "two of three, though one objects")
}

// An approval does not count any more once its organisation objects.
func TestAnObjectionTakesTheApprovalBack(t *testing.T) {
	w := newScene(t)
	w.must(maker, "datasets:Propose", datasetProposal("train"))
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: "train"})
	w.must(carrier, "datasets:Revoke", provenance.DatasetRevocation{ID: "train", Reason: "Looked again."})
	w.must(regulator, "datasets:Approve", provenance.ByID{ID: "train"})
	require.Equal(t, provenance.DatasetProposed, at[provenance.Dataset](w, "ds/train").Status)
}

func TestTrainingRunsOnApprovedDatasetsOnly(t *testing.T) {
	w := newScene(t)
	w.must(maker, "datasets:Propose", datasetProposal("train"))
	r := trainingRequest("run")
	w.refused(maker, "training:Record", r, "conflict: dataset train is proposed, not approved")
	w.must(maker, "datasets:Approve", provenance.ByID{ID: "train"})
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: "train"})
	w.approvedDataset("more")
	r.Datasets = []string{"more", "train"}
	w.must(carrier, "training:Record", r)
	more, train := datasetProposal("more").Root, datasetProposal("train").Root
	require.Equal(t, &provenance.TrainingRun{
		ID: "run", Organisation: carrier, Code: r.Code, Configuration: r.Configuration, Seed: 7, Purpose: "spoilage",
		Datasets:     []provenance.TrainedDataset{{ID: "more", Root: more}, {ID: "train", Root: train}},
		TrainingRoot: evidence.Root([]provenance.Hash{evidence.LeafHash(more[:]), evidence.LeafHash(train[:])}), Recorded: start,
	}, answer[provenance.TrainingRun](w, w.mustKeep(maker, "training:Get", provenance.ByID{ID: "run"})))
	w.must(maker, "datasets:Revoke", provenance.DatasetRevocation{ID: "more", Reason: "no"})
	w.mustKeep(carrier, "training:Record", r) // what ran has run
	const taken = "conflict: training run run was recorded by CarrierMSP with other content or by another organisation; record it under another name"
	w.refused(maker, "training:Record", r, taken)
	for _, change := range []func(*provenance.TrainingRequest){
		func(r *provenance.TrainingRequest) { r.Code = "1ffce41" },
		func(r *provenance.TrainingRequest) { r.Configuration[0]++ },
		func(r *provenance.TrainingRequest) { r.Seed++ },
		func(r *provenance.TrainingRequest) { r.Purpose = "anomaly" },
		func(r *provenance.TrainingRequest) { r.Datasets = r.Datasets[1:] },
	} {
		again := r
		change(&again)
		w.refused(carrier, "training:Record", again, taken)
	}
	r = trainingRequest("n")
	r.Datasets = []string{"more"}
	w.refused(carrier, "training:Record", r, "conflict: dataset more is revoked, not approved")
	w.refused(carrier, "training:Get", provenance.ByID{ID: "n"}, "not-found: training run n is not on the ledger")
	for want, change := range map[string]func(*provenance.TrainingRequest){
		"not-found: dataset none is not on the ledger":                                        func(r *provenance.TrainingRequest) { r.Datasets = []string{"none"} },
		"conflict: dataset train may not be used for marketing, only for [anomaly spoilage]":  func(r *provenance.TrainingRequest) { r.Purpose = "marketing" },
		"invalid: code: an identifier is missing":                                             func(r *provenance.TrainingRequest) { r.Code = "" },
		"invalid: training run n: its configuration's hash is missing":                        func(r *provenance.TrainingRequest) { r.Configuration = provenance.Hash{} },
		"invalid: training run n: seed 9007199254740992, at most 9007199254740991 is allowed": func(r *provenance.TrainingRequest) { r.Seed = 1 << 53 },
		"invalid: training run n: 0 datasets, 1 to 32 are allowed":                            func(r *provenance.TrainingRequest) { r.Datasets = nil },
		"invalid: training run n: 33 datasets, 1 to 32 are allowed":                           func(r *provenance.TrainingRequest) { r.Datasets = make([]string, 33) },
		"invalid: dataset train: they must be in order, each once":                            func(r *provenance.TrainingRequest) { r.Datasets = []string{"train", "train"} },
		"invalid: training run: identifier of 65 bytes, at most 64 are allowed":               func(r *provenance.TrainingRequest) { r.ID = strings.Repeat("n", 65) },
	} {
		r := trainingRequest("n")
		change(&r)
		w.refused(carrier, "training:Record", r, want)
	}
}
