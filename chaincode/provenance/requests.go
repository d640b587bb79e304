package provenance

// The arguments and results of the contracts, as JSON; those that stand for a thing (Enrolment, Opening, AlertRequest)
// are beside it. Every transaction function takes exactly one argument. See chaincode/contract/README.md.

// Words that begin the message of a conflict which a program must tell apart from others.
const (
	StaleFence  = "stale-fence"  // another instance owns the lane now
	WrongNumber = "wrong-number" // the batch is not the lane's next one
)

// ByID names one thing: a device, a shipment, an organisation.
type ByID struct {
	ID string `json:"id"`
}

// Page asks for a part of a listing, in the order of names.
type Page struct {
	After string `json:"after"` // the last name of the page before; empty for the first page
	Limit uint32 `json:"limit"` // 1 to MaxPage; 0 means MaxPage
}

// MaxPage is the most entries that a listing returns at once.
const MaxPage = 1000

// Registration is the argument of organisations:Register, by the organisation itself.
type Registration struct {
	Name   string `json:"name"`
	LogKey string `json:"logKey"` // note verifier key, its name the MSP identifier
}

// LogKeyRotation is the argument of organisations:RotateLogKey.
type LogKeyRotation struct {
	LogKey string `json:"logKey"`
}

// EnrolRequest is the argument of devices:EnrolMany.
type EnrolRequest struct {
	Devices []Enrolment `json:"devices"` // at most MaxEnrolmentsInOne
}

// EnrolResult is what devices:EnrolMany did.
type EnrolResult struct {
	Enrolled  uint32 `json:"enrolled"`
	Unchanged uint32 `json:"unchanged"` // stood on the ledger already, just so
}

// KeyRotation is the argument of devices:RotateKey: the new key is in force from Epoch on, which starts with it.
type KeyRotation struct {
	ID    string `json:"id"`
	Epoch uint32 `json:"epoch"` // the device's newest epoch + 1
	Key   []byte `json:"key"`   // COSE_Key
}

// EpochStart is the argument of devices:StartEpoch.
type EpochStart struct {
	ID    string `json:"id"`
	Epoch uint32 `json:"epoch"` // the device's newest epoch + 1
}

// Calibration is the argument of devices:Calibrate.
type Calibration struct {
	ID             string `json:"id"`
	CalibrationDue Time   `json:"calibrationDue"`
}

// HeadName names a device's head in an epoch.
type HeadName struct {
	Device string `json:"device"`
	Epoch  uint32 `json:"epoch"`
}

// LaneName names a lane.
type LaneName struct {
	Organisation string `json:"organisation"`
	Lane         uint32 `json:"lane"`
}

// LaneClaim is the argument of lanes:Claim: take the lane if its fence still is the expected one.
type LaneClaim struct {
	Lane          uint32 `json:"lane"`
	Owner         string `json:"owner"`         // the ingest instance, one name for each start of the process
	ExpectedFence uint64 `json:"expectedFence"` // 0 for a lane that nobody has claimed yet
}

// ManifestName names a batch.
type ManifestName struct {
	Organisation string `json:"organisation"`
	Lane         uint32 `json:"lane"`
	Number       uint64 `json:"number"`
}

// PartiesRequest is the argument of shipments:SetParties.
type PartiesRequest struct {
	Shipment string   `json:"shipment"`
	Parties  []string `json:"parties"` // MSP identifiers; the opener stays one in any case
}

// AttachRequest is the argument of shipments:Attach.
type AttachRequest struct {
	Shipment string `json:"shipment"`
	Device   string `json:"device"`
	From     Time   `json:"from"`
	To       Time   `json:"to"` // 0: until it is detached
}

// DetachRequest is the argument of shipments:Detach.
type DetachRequest struct {
	Shipment string `json:"shipment"`
	Device   string `json:"device"`
	At       Time   `json:"at"`
}

// ReplaceRequest is the argument of shipments:Replace: one device goes and another comes, at one moment.
type ReplaceRequest struct {
	Shipment string `json:"shipment"`
	Device   string `json:"device"`
	With     string `json:"with"`
	At       Time   `json:"at"`
}

// CloseRequest is the argument of shipments:Close; what is still attached is detached.
type CloseRequest struct {
	Shipment string `json:"shipment"`
	At       Time   `json:"at"`
}

// ModelRequest is the argument of models:Register.
type ModelRequest struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Hash         Hash   `json:"hash"`
	Kernel       string `json:"kernel"`
	TrainingRoot Hash   `json:"training"`
}

// ModelName names a version of a model.
type ModelName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// AlertName names an alert.
type AlertName struct {
	Shipment string `json:"shipment"`
	ID       string `json:"id"`
}

// AcknowledgeRequest is the argument of alerts:Acknowledge.
type AcknowledgeRequest struct {
	Shipment string `json:"shipment"`
	ID       string `json:"id"`
	Person   string `json:"person"`
	Comment  string `json:"comment"`
}

// AnchorRequest is the argument of checkpoints:Anchor: a note signed with the caller's log key.
type AnchorRequest struct {
	Note string `json:"note"`
}

// AnchorResult is what checkpoints:Anchor found.
type AnchorResult struct {
	Size         uint64 `json:"size"`
	Root         Hash   `json:"root"`
	Recorded     bool   `json:"recorded"`     // false: it was anchored before
	Contradicted bool   `json:"contradicted"` // a checkpoint of this size with another root is known
}

// CheckpointName names an organisation's checkpoint.
type CheckpointName struct {
	Organisation string `json:"organisation"`
	Size         uint64 `json:"size"`
}

// ContradictionName names the contradiction about a size of the log.
type ContradictionName struct {
	Size uint64 `json:"size"`
}
