package readmodel

import (
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Page is one page of a list in a stable order. Next is the token of the following page, empty on the last.
type Page[T any] struct {
	Items []T
	Next  string
}

// Paging asks for a page: After is the Next of the page before (empty: the first), Limit 0 means DefaultLimit.
type Paging struct {
	After string
	Limit int
}

// Limits of what one call returns.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	MaxRawLimit  = 50_000 // readings in a page of RawReadings
	MaxPoints    = 5_000  // points of one device in a chart
)

// Stamp says where on the ledger a version of a record stands.
type Stamp struct {
	Leaf          uint64 // index in the log
	Block         uint64
	Transaction   uint64 // index in the block
	TransactionID string // hexadecimal
	Time          provenance.Time
}

// Shipment is a shipment's record in its newest version, with what was projected about it.
type Shipment struct {
	provenance.Shipment
	Stamp      Stamp
	Alerts     int             // all of them
	OpenAlerts int             // without acknowledgement
	LastAt     provenance.Time // acquisition time of its newest reading, 0 where there is none
}

// ShipmentFilter narrows Shipments; the zero value lists all, newest opened first.
type ShipmentFilter struct {
	Paging
	Party string // MSP identifier
	Open  *bool  // only those open, or only those closed
	Text  string // in identifier, origin, destination or goods; not case-sensitive
}

// Device is a device's record in its newest version, with what was projected about it.
type Device struct {
	provenance.Device
	Stamp     Stamp
	LastAt    provenance.Time // acquisition time of its newest reading, 0 where there is none
	LastValue provenance.Micro
	Readings  uint64
	Shipment  string // the one it is attached to with an open end, empty where there is none
}

// DeviceFilter narrows Devices; the zero value lists all, by identifier.
type DeviceFilter struct {
	Paging
	Organisation string
	Shipment     string // attached at any time
	Status       *provenance.Status
	DueBefore    provenance.Time // calibration due before this; 0: any
	Text         string          // the identifier begins with this
}

// ChartQuery asks for a shipment's readings in buckets of time.
type ChartQuery struct {
	Shipment   string
	Device     string          // only this one; empty: all that were attached
	From, To   provenance.Time // from ≤ t < to; 0 and 0: all of it
	Resolution int64           // bucket width in ms; 0: chosen so that at most about 720 points a device come back
	AsOfBlock  uint64          // only what was recorded up to this block; 0: everything
}

// Chart is the answer: one series for each device, by device.
type Chart struct {
	From, To   provenance.Time // the range that was answered: From and To of the query, or of the readings
	Resolution int64           // the bucket width that was used, ms
	AsOfBlock  uint64          // the last block projected when it was answered
	Series     []Series
}

// Series is what one device measured while it was attached.
type Series struct {
	Device      string
	Quantity    string
	Unit        string
	Attestation provenance.Attestation
	Attached    []provenance.Attachment
	Points      []Point
	Gaps        []Gap // of sequence numbers, still open, that touch the range
}

// Point sums up the readings acquired in [Time, Time + resolution).
type Point struct {
	Time           provenance.Time
	Min, Mean, Max provenance.Micro
	Count          uint32
	Backfilled     uint32 // how many of them came late
}

// RawQuery asks for single readings, of a shipment or of a device (Shipment empty), ordered by (time, device, epoch, sequence, index).
type RawQuery struct {
	Paging
	Shipment   string
	Device     string
	From, To   provenance.Time // from ≤ t < to; To 0: no end
	AfterBlock uint64          // only what was recorded after this block; 0: everything
	AsOfBlock  uint64          // only what was recorded up to this block; 0: everything
}

// Reading is one reading with its identity and its way.
type Reading struct {
	provenance.FrameID
	Index      uint32 // in the frame
	Time       provenance.Time
	Value      provenance.Micro
	Published  provenance.Time // device's clock when it signed
	Received   provenance.Time // ingest's clock
	Block      uint64
	Backfilled bool
}

// Gap is a run of sequence numbers of a device that has not arrived, and between which acquisition times it lies.
type Gap struct {
	Device        string
	Epoch         uint32
	From, To      uint64          // sequence numbers, both included
	After, Before provenance.Time // last reading before and first reading after the gap; After 0: the gap begins the epoch
}

// Frame is a frame on the ledger with its bytes.
type Frame struct {
	provenance.FrameID
	Batch      BatchID
	Leaf       uint32 // index in the manifest's tree
	First      provenance.Time
	Last       provenance.Time
	Published  provenance.Time
	Received   provenance.Time
	Readings   uint32
	Backfilled bool
	Stamp      Stamp
	Raw        []byte // the COSE_Sign1
	Payload    []byte // nil where confidential
}

// BatchID names a batch.
type BatchID struct {
	Organisation string
	Lane         uint32
	Number       uint64
}

// Batch is a manifest with its place on the ledger.
type Batch struct {
	provenance.Manifest
	Stamp Stamp
	Bytes int // of the argument, as it was committed
}

// BatchFilter narrows Batches; newest first.
type BatchFilter struct {
	Paging
	Organisation string
	Lane         *uint32
}

// Alert is an alert with its place on the ledger.
type Alert struct {
	provenance.Alert
	Stamp Stamp // of the newest version
}

// AlertFilter narrows Alerts; newest raised first.
type AlertFilter struct {
	Paging
	Shipment     string
	Kind         string
	Acknowledged *bool
	From, To     provenance.Time // raised: from ≤ t < to; To 0: no end
}

// Organisation is a member with its place on the ledger.
type Organisation struct {
	provenance.Organisation
	Stamp Stamp
}

// Model is a registered model with its place on the ledger.
type Model struct {
	provenance.Model
	Stamp Stamp
}

// Agreement says how an anchored checkpoint compares with our own log.
type Agreement uint8

// A checkpoint is unchecked as long as our log is shorter than it.
const (
	Unchecked Agreement = iota
	Agrees
	Disagrees
	Unreadable // note, key or signature is wrong
)

func (a Agreement) String() string {
	return [...]string{"unchecked", "agrees", "disagrees", "unreadable"}[min(a, Unreadable)]
}

// Checkpoint is an anchored checkpoint.
type Checkpoint struct {
	provenance.Checkpoint
	Stamp     Stamp
	Agreement Agreement
}

// CheckpointFilter narrows Checkpoints; largest first.
type CheckpointFilter struct {
	Paging
	Organisation string
}

// Contradiction is a contradiction with its place on the ledger.
type Contradiction struct {
	provenance.Contradiction
	Stamp Stamp
}

// Version is one version of a record, as its key's history shows it.
type Version struct {
	Key      string
	Value    []byte // empty: deleted
	Stamp    Stamp
	Function string // that wrote it, "contract:function"
	Creator  string // MSP identifier of who asked for it
}

// Transaction is one leaf of the log with what stands behind it.
type Transaction struct {
	Stamp    Stamp
	Function string
	Creator  string
	Digest   provenance.Hash
	LeafData []byte // the bytes that the log's leaf hash is over
	Keys     []string
}

// Anomaly is something in a block that does not fit: it never stops the projection, and is an alarm.
type Anomaly struct {
	ID          int64
	Block       uint64
	Transaction uint64
	Kind        string
	Detail      string
	Found       provenance.Time // time of the transaction, 0 where it had none that could be read
}

// Position is how far the projection has come.
type Position struct {
	Blocks   uint64 // the next block that is wanted: the number of blocks projected
	LogSize  uint64
	LogRoot  provenance.Hash
	LastTime provenance.Time // latest transaction time seen
}

// Stats counts what is in the read model.
type Stats struct {
	Position
	Organisations, Devices, Shipments, OpenShipments, Alerts, OpenAlerts uint64
	Batches, Frames, Readings, Refused, Backfilled, Gaps                 uint64
	Checkpoints, Contradictions, Anomalies                               uint64
	Transactions, Invalid                                                uint64 // of our chaincode: valid ones, and those that Fabric marked invalid
}

// Change tells that something was projected; it is published after the database commit.
type Change struct {
	Kind     ChangeKind
	ID       string // of the thing; for readings the shipment, "" for those of unattached devices
	Shipment string // for alerts
	Block    uint64
	From, To provenance.Time // for readings: the acquisition times touched, both included
	// Backfilled: for readings, that some of them came late.
	Backfilled bool
}

// ChangeKind says what changed.
type ChangeKind string

// The kinds of change. After Resync a subscriber has missed some and should read anew.
const (
	ChangedShipment      ChangeKind = "shipment"
	ChangedReadings      ChangeKind = "readings"
	ChangedAlert         ChangeKind = "alert"
	ChangedDevice        ChangeKind = "device"
	ChangedOrganisation  ChangeKind = "organisation"
	ChangedModel         ChangeKind = "model"
	ChangedCheckpoint    ChangeKind = "checkpoint"
	ChangedContradiction ChangeKind = "contradiction"
	ChangedAnomaly       ChangeKind = "anomaly"
	ChangedBlock         ChangeKind = "block" // one after each block or group of blocks, last
	Resync               ChangeKind = "resync"
)
