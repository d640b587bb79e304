package provenance

// Model is a registered model. State key m/{Name}/{Version}.
type Model struct {
	Name         string `cbor:"1,keyasint" json:"name"`
	Version      string `cbor:"2,keyasint" json:"version"`
	Hash         Hash   `cbor:"3,keyasint" json:"hash"`     // SHA-256 of the canonical weights file
	Kernel       string `cbor:"4,keyasint" json:"kernel"`   // version of the arithmetic that scores with it
	TrainingRoot Hash   `cbor:"5,keyasint" json:"training"` // root over the training data
	Organisation string `cbor:"6,keyasint" json:"organisation"`
	Registered   Time   `cbor:"7,keyasint" json:"registered"`

	// A governed model has these too (models:Propose); see governance.go.
	Status      ModelStatus  `cbor:"8,keyasint,omitempty" json:"status,omitempty"`
	Run         string       `cbor:"9,keyasint,omitempty" json:"run,omitempty"` // the training run that it came from
	Evaluations []Evaluation `cbor:"10,keyasint,omitempty" json:"evaluations,omitempty"`
	Approvals   []Statement  `cbor:"11,keyasint,omitempty" json:"approvals,omitempty"`
	Objections  []Statement  `cbor:"12,keyasint,omitempty" json:"objections,omitempty"`
	Activation  *Statement   `cbor:"13,keyasint,omitempty" json:"activation,omitempty"`
	Retirement  *Statement   `cbor:"14,keyasint,omitempty" json:"retirement,omitempty"`
	Flags       []ModelFlag  `cbor:"15,keyasint,omitempty" json:"flags,omitempty"` // by dataset; scores of the model are flagged with it
}

// Interval is a span of time, both ends included.
type Interval struct {
	_    struct{} `cbor:",toarray"`
	From Time     `json:"from"`
	To   Time     `json:"to"`
}

// AlertAttestation is one organisation's word for an alert.
type AlertAttestation struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Score        Micro  `cbor:"2,keyasint" json:"score"`
	InputRoot    Hash   `cbor:"3,keyasint" json:"inputRoot"`
	AsOfBlock    uint64 `cbor:"4,keyasint" json:"asOfBlock"`
	Time         Time   `cbor:"5,keyasint" json:"time"`
}

// Acknowledgement of an alert, with the comment that is asked for.
type Acknowledgement struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Person       string `cbor:"2,keyasint" json:"person"` // by the node's word; a signed decision is another record
	Comment      string `cbor:"3,keyasint" json:"comment"`
	Time         Time   `cbor:"4,keyasint" json:"time"`
}

// Driver is a named number behind a score, in the order the model gives them.
type Driver struct {
	Name  string `cbor:"1,keyasint" json:"name"`
	Value Micro  `cbor:"2,keyasint" json:"value"`
	Unit  string `cbor:"3,keyasint" json:"unit"`
}

// Alert is a finding about a shipment that stands on the ledger. State key a/{Shipment}/{ID}.
type Alert struct {
	ID              string             `cbor:"1,keyasint" json:"id"` // one for each incident: see AlertID
	Shipment        string             `cbor:"2,keyasint" json:"shipment"`
	Kind            string             `cbor:"3,keyasint" json:"kind"` // see the Kind constants
	Score           Micro              `cbor:"4,keyasint" json:"score"`
	ModelName       string             `cbor:"5,keyasint" json:"modelName"`
	ModelVersion    string             `cbor:"6,keyasint" json:"modelVersion"`
	ModelHash       Hash               `cbor:"7,keyasint" json:"modelHash"`
	InputRoot       Hash               `cbor:"8,keyasint" json:"inputRoot"`
	Interval        Interval           `cbor:"9,keyasint" json:"interval"` // of the readings that were scored
	AsOfBlock       uint64             `cbor:"10,keyasint" json:"asOfBlock"`
	Devices         []string           `cbor:"11,keyasint" json:"devices"`
	Readings        uint64             `cbor:"12,keyasint" json:"readings"`
	Message         string             `cbor:"13,keyasint" json:"message"` // the sentence a QA officer reads
	Drivers         []Driver           `cbor:"14,keyasint" json:"drivers"`
	Raised          Time               `cbor:"15,keyasint" json:"raised"` // time of the transaction
	Organisation    string             `cbor:"16,keyasint" json:"organisation"`
	Attestations    []AlertAttestation `cbor:"17,keyasint" json:"attestations"` // by organisation; the raiser's first
	Acknowledgement *Acknowledgement   `cbor:"18,keyasint,omitempty" json:"acknowledgement,omitempty"`
}

// The kinds of alert.
const (
	KindBandExcursion     = "band-excursion"
	KindExcursionForecast = "excursion-forecast"
	KindSpoilage          = "spoilage-predicted"
	KindAnomaly           = "anomaly"

	// About a device itself rather than the goods.
	KindDeviceSilent      = "device-silent"      // no reading for too long
	KindDeviceClock       = "device-clock"       // its clock is off
	KindDeviceBattery     = "device-battery"     // its battery is low
	KindDeviceCalibration = "device-calibration" // its calibration is past its date
)

// AlertRequest is the argument of alerts:Raise.
type AlertRequest struct {
	ID           string   `json:"id"`
	Shipment     string   `json:"shipment"`
	Kind         string   `json:"kind"`
	Score        Micro    `json:"score"`
	ModelName    string   `json:"modelName"`
	ModelVersion string   `json:"modelVersion"`
	InputRoot    Hash     `json:"inputRoot"`
	From         Time     `json:"from"`
	To           Time     `json:"to"`
	AsOfBlock    uint64   `json:"asOfBlock"`
	Devices      []string `json:"devices"`
	Readings     uint64   `json:"readings"`
	Message      string   `json:"message"`
	Drivers      []Driver `json:"drivers"`
}
