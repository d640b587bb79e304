package provenance

import "slices"

// Governance: which data may train, what was trained on it, who looked at the result, and which models may therefore score.

// Statement is one organisation's word: an approval, an objection, an ending.
type Statement struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Reason       string `cbor:"2,keyasint,omitempty" json:"reason,omitempty"`
	Time         Time   `cbor:"3,keyasint" json:"time"`
}

// Said tells whether an organisation is among those who made the statements.
func Said(statements []Statement, organisation string) bool {
	return slices.ContainsFunc(statements, func(s Statement) bool { return s.Organisation == organisation })
}

// Standing counts the approvals of organisations that have not objected since.
func Standing(approvals, objections []Statement) int {
	standing := 0
	for _, approval := range approvals {
		if !Said(objections, approval.Organisation) {
			standing++
		}
	}
	return standing
}

// DatasetStatus is how far a dataset has come.
type DatasetStatus uint8

// A revoked dataset never comes back.
const (
	DatasetProposed DatasetStatus = iota
	DatasetApproved
	DatasetRevoked
)

func (s DatasetStatus) String() string {
	return [...]string{"proposed", "approved", "revoked"}[min(s, DatasetRevoked)]
}

// What the leaves of a dataset's root are.
const (
	ContentReadings = "readings" // CBOR [device, acquisition time, micro], as under a score's input root
	ContentFrames   = "frames"   // the exact bytes of frames, as under a manifest's root
)

// Dataset is data that models may be trained on or evaluated with, once organisations have approved it. State key ds/{ID}.
type Dataset struct {
	ID           string        `cbor:"1,keyasint" json:"id"`
	Organisation string        `cbor:"2,keyasint" json:"organisation"` // who proposed it
	Root         Hash          `cbor:"3,keyasint" json:"root"`         // RFC 6962
	Content      string        `cbor:"4,keyasint" json:"content"`      // see the Content constants
	Count        uint64        `cbor:"5,keyasint" json:"count"`        // leaves under the root
	Interval     Interval      `cbor:"6,keyasint" json:"interval"`
	Devices      []string      `cbor:"7,keyasint" json:"devices"`  // of this ledger, whose keys attest the readings, rising; none: data from elsewhere
	Licence      string        `cbor:"8,keyasint" json:"licence"`  // an SPDX identifier, or in words
	Purposes     []string      `cbor:"9,keyasint" json:"purposes"` // what it may be used for, rising
	Report       Hash          `cbor:"10,keyasint" json:"report"`  // SHA-256 of the quality report
	Status       DatasetStatus `cbor:"11,keyasint" json:"status"`
	Approvals    []Statement   `cbor:"12,keyasint" json:"approvals"`
	Objections   []Statement   `cbor:"13,keyasint" json:"objections"`
	Proposed     Time          `cbor:"14,keyasint" json:"proposed"`
	Changed      Time          `cbor:"15,keyasint" json:"changed"`
	Flagging     *Flagging     `cbor:"16,keyasint,omitempty" json:"flagging,omitempty"` // once it is revoked
}

// Flagging is how far the models downstream of a revoked dataset have been flagged.
type Flagging struct {
	After  string `cbor:"1,keyasint" json:"after"` // the last model dealt with, as name/version
	Models uint32 `cbor:"2,keyasint" json:"models"`
	Done   bool   `cbor:"3,keyasint" json:"done"`
}

// DatasetUse links a dataset to a model that came from it or was evaluated with it. State key u/{Dataset}/{Name}/{Version}.
type DatasetUse struct {
	Dataset string `cbor:"1,keyasint" json:"dataset"`
	Name    string `cbor:"2,keyasint" json:"name"`
	Version string `cbor:"3,keyasint" json:"version"`
	Use     string `cbor:"4,keyasint" json:"use"` // see the Use constants
}

// What a model used a dataset for.
const (
	UseTraining   = "training"
	UseEvaluation = "evaluation"
)

// TrainedDataset is a dataset in a training run, with the root that it had.
type TrainedDataset struct {
	ID   string `cbor:"1,keyasint" json:"id"`
	Root Hash   `cbor:"2,keyasint" json:"root"`
}

// TrainingRun is what made weights out of datasets. State key tr/{ID}.
type TrainingRun struct {
	ID            string           `cbor:"1,keyasint" json:"id"`
	Organisation  string           `cbor:"2,keyasint" json:"organisation"`
	Code          string           `cbor:"3,keyasint" json:"code"`          // version of the training code, such as a commit
	Configuration Hash             `cbor:"4,keyasint" json:"configuration"` // SHA-256 of the configuration
	Seed          uint64           `cbor:"5,keyasint" json:"seed"`          // below 2^53, so that every reader of JSON keeps it
	Purpose       string           `cbor:"6,keyasint" json:"purpose"`       // one that every dataset allows
	Datasets      []TrainedDataset `cbor:"7,keyasint" json:"datasets"`      // by ID, rising
	TrainingRoot  Hash             `cbor:"8,keyasint" json:"training"`      // RFC 6962 root over the datasets' roots, in order
	Recorded      Time             `cbor:"9,keyasint" json:"recorded"`
}

// Uses tells whether the run had a dataset, or one with the same content under another name.
func (r *TrainingRun) Uses(id string, root Hash) bool {
	return slices.ContainsFunc(r.Datasets, func(d TrainedDataset) bool { return d.ID == id || d.Root == root })
}

// ModelStatus is how far a model has come.
type ModelStatus uint8

// A model registered without a training run is ungoverned. A retired or revoked one never comes back.
const (
	ModelUngoverned ModelStatus = iota
	ModelProposed
	ModelApproved
	ModelActive
	ModelRetired
	ModelRevoked
)

func (s ModelStatus) String() string {
	return [...]string{"ungoverned", "proposed", "approved", "active", "retired", "revoked"}[min(s, ModelRevoked)]
}

// Ended tells whether the model is retired or revoked.
func (s ModelStatus) Ended() bool { return s == ModelRetired || s == ModelRevoked }

// Metric is a named figure of an evaluation, such as "rmse" or "f1".
type Metric struct {
	Name  string `cbor:"1,keyasint" json:"name"`
	Value Micro  `cbor:"2,keyasint" json:"value"`
}

// Evaluation is what an organisation that did not train a model found of it.
type Evaluation struct {
	Organisation string   `cbor:"1,keyasint" json:"organisation"`
	Dataset      string   `cbor:"2,keyasint" json:"dataset"`
	Root         Hash     `cbor:"3,keyasint" json:"root"`    // the dataset's
	Metrics      []Metric `cbor:"4,keyasint" json:"metrics"` // by name, rising
	Report       Hash     `cbor:"5,keyasint" json:"report"`  // SHA-256 of the evaluation's report
	Time         Time     `cbor:"6,keyasint" json:"time"`
}

// ModelFlag says that a dataset behind a model was revoked.
type ModelFlag struct {
	Dataset string `cbor:"1,keyasint" json:"dataset"`
	Use     string `cbor:"2,keyasint" json:"use"`
	Time    Time   `cbor:"3,keyasint" json:"time"`
}

// The policies by which organisations govern.
const (
	PolicyDataset    = "dataset"    // how many approve a dataset
	PolicyModel      = "model"      // how many approve a model
	PolicyGovernance = "governance" // how many change a policy, and whether every model must be governed
)

// Policy is a rule that the organisations set by vote. State key p/{Name}.
type Policy struct {
	Name     string          `cbor:"1,keyasint" json:"name"`
	Quorum   uint32          `cbor:"2,keyasint" json:"quorum"`                       // organisations; 0: the majority of those registered
	Required bool            `cbor:"3,keyasint" json:"required"`                     // of governance: an ungoverned model may not raise alerts
	Number   uint64          `cbor:"4,keyasint" json:"number"`                       // of the newest proposal
	Changed  Time            `cbor:"5,keyasint" json:"changed"`                      // when it took its values; 0: never, they are the default
	Proposal *PolicyProposal `cbor:"6,keyasint,omitempty" json:"proposal,omitempty"` // the newest
}

// Outcome of a proposal.
type Outcome uint8

// A proposal is open until enough organisations have voted.
const (
	Open Outcome = iota
	Passed
	Fallen
)

// PolicyProposal is a change that organisations vote on.
type PolicyProposal struct {
	Organisation string      `cbor:"1,keyasint" json:"organisation"`
	Quorum       uint32      `cbor:"2,keyasint" json:"quorum"`
	Required     bool        `cbor:"3,keyasint" json:"required"`
	Proposed     Time        `cbor:"4,keyasint" json:"proposed"`
	Approvals    []Statement `cbor:"5,keyasint" json:"approvals"`
	Objections   []Statement `cbor:"6,keyasint" json:"objections"`
	Outcome      Outcome     `cbor:"7,keyasint" json:"outcome"`
}

// Majority is the quorum of n organisations where a policy sets none.
func Majority(n int) int { return n/2 + 1 }

// DatasetKey is the state key of a dataset.
func DatasetKey(id string) string { return key("ds", id) }

// DatasetUseKey is the state key of the link from a dataset to a model.
func DatasetUseKey(dataset, name, version string) string { return key("u", dataset, name, version) }

// TrainingKey is the state key of a training run.
func TrainingKey(id string) string { return key("tr", id) }

// PolicyKey is the state key of a policy.
func PolicyKey(name string) string { return key("p", name) }

// DatasetProposal is the argument of datasets:Propose.
type DatasetProposal struct {
	ID       string   `json:"id"`
	Root     Hash     `json:"root"`
	Content  string   `json:"content"`
	Count    uint64   `json:"count"`
	From     Time     `json:"from"`
	To       Time     `json:"to"`
	Devices  []string `json:"devices"`
	Licence  string   `json:"licence"`
	Purposes []string `json:"purposes"`
	Report   Hash     `json:"report"`
}

// DatasetRevocation is the argument of datasets:Revoke.
type DatasetRevocation struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// TrainingRequest is the argument of training:Record.
type TrainingRequest struct {
	ID            string   `json:"id"`
	Code          string   `json:"code"`
	Configuration Hash     `json:"configuration"`
	Seed          uint64   `json:"seed"`
	Purpose       string   `json:"purpose"`
	Datasets      []string `json:"datasets"` // rising
}

// ModelProposal is the argument of models:Propose.
type ModelProposal struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    Hash   `json:"hash"`
	Kernel  string `json:"kernel"`
	Run     string `json:"run"`
}

// EvaluationRequest is the argument of models:Evaluate.
type EvaluationRequest struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Dataset string   `json:"dataset"`
	Metrics []Metric `json:"metrics"`
	Report  Hash     `json:"report"`
}

// ModelEnding is the argument of models:Retire and models:Revoke.
type ModelEnding struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// Lineage is what a model stands on, for its card and for an audit.
type Lineage struct {
	Model       Model        `json:"model"`
	Run         *TrainingRun `json:"run"`         // nil: ungoverned
	Datasets    []*Dataset   `json:"datasets"`    // of the training run, as they stand now
	Evaluations []*Dataset   `json:"evaluations"` // the datasets of the evaluations, as they stand now, in their order
}

// PolicyRequest is the argument of policies:Propose.
type PolicyRequest struct {
	Name     string `json:"name"`
	Quorum   uint32 `json:"quorum"`
	Required bool   `json:"required"`
}

// PolicyVote is the argument of policies:Vote.
type PolicyVote struct {
	Name    string `json:"name"`
	Number  uint64 `json:"number"` // of the proposal
	Approve bool   `json:"approve"`
}
