package provenance

// Status of a device.
type Status uint8

// A suspended device may become active again; a revoked one never.
const (
	Active Status = iota
	Suspended
	Revoked
)

func (s Status) String() string {
	return [...]string{"active", "suspended", "revoked"}[min(s, Revoked)]
}

// Attestation says who vouches for a device's readings by signature.
type Attestation uint8

// Readings are signed by the sensor itself, or by an edge on behalf of a sensor that cannot sign.
const (
	BySensor Attestation = iota
	ByEdge
)

func (a Attestation) String() string { return [...]string{"sensor", "edge"}[min(a, ByEdge)] }

// Device is a sensor with a key on the ledger. State key d/{ID}.
type Device struct {
	ID             string      `cbor:"1,keyasint" json:"id"`
	Organisation   string      `cbor:"2,keyasint" json:"organisation"` // the owner's MSP identifier
	Quantity       string      `cbor:"3,keyasint" json:"quantity"`     // what it measures: "temperature", "humidity" …
	Unit           string      `cbor:"4,keyasint" json:"unit"`         // SenML unit: "Cel", "%RH" …
	Min            Micro       `cbor:"5,keyasint" json:"min"`          // measuring range, inclusive
	Max            Micro       `cbor:"6,keyasint" json:"max"`
	CalibrationDue Time        `cbor:"7,keyasint" json:"calibrationDue"`
	Status         Status      `cbor:"8,keyasint" json:"status"`
	Epoch          uint32      `cbor:"9,keyasint" json:"epoch"` // the newest epoch started; the first is 1
	Keys           []DeviceKey `cbor:"10,keyasint" json:"keys"` // by FromEpoch, rising
	Lane           uint32      `cbor:"11,keyasint" json:"lane"`
	Attestation    Attestation `cbor:"12,keyasint" json:"attestation"`
	Changed        Time        `cbor:"13,keyasint" json:"changed"` // time of the transaction that wrote this
}

// DeviceKey is a public key in force from an epoch on, until the next one.
type DeviceKey struct {
	FromEpoch uint32 `cbor:"1,keyasint" json:"fromEpoch"`
	Key       []byte `cbor:"2,keyasint" json:"key"` // COSE_Key, see evidence.ParseKey
}

// KeyAt returns the key in force in an epoch, nil if the epoch has not begun.
func (d *Device) KeyAt(epoch uint32) []byte {
	if epoch == 0 || epoch > d.Epoch {
		return nil
	}
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if d.Keys[i].FromEpoch <= epoch {
			return d.Keys[i].Key
		}
	}
	return nil
}

// Enrolment describes one device in the argument of devices:EnrolMany.
type Enrolment struct {
	ID             string      `json:"id"`
	Key            []byte      `json:"key"` // COSE_Key
	Quantity       string      `json:"quantity"`
	Unit           string      `json:"unit"`
	Min            Micro       `json:"min"`
	Max            Micro       `json:"max"`
	CalibrationDue Time        `json:"calibrationDue"`
	Lane           uint32      `json:"lane"`
	Attestation    Attestation `json:"attestation"`
}

// Limits of a device record.
const (
	MaxLanes           = 1024
	MaxKeysOfDevice    = 64
	MaxEnrolmentsInOne = 1000 // devices in one transaction
)

// Check tells what is wrong with an enrolment, its key apart.
func (e *Enrolment) Check() error {
	if err := CheckIdentifier("device", e.ID); err != nil {
		return err
	}
	switch {
	case e.Quantity == "" || len(e.Quantity) > MaxIdentifier:
		return Invalidf("device %s: quantity must have 1 to %d bytes", e.ID, MaxIdentifier)
	case e.Unit == "" || len(e.Unit) > 16:
		return Invalidf("device %s: unit must have 1 to 16 bytes", e.ID)
	case e.Min >= e.Max:
		return Invalidf("device %s: measuring range %s to %s is empty", e.ID, e.Min, e.Max)
	case e.CalibrationDue <= 0:
		return Invalidf("device %s: calibration due date is missing", e.ID)
	case e.Lane >= MaxLanes:
		return Invalidf("device %s: lane %d, lanes run from 0 to %d", e.ID, e.Lane, MaxLanes-1)
	case e.Attestation > ByEdge:
		return Invalidf("device %s: attestation %d is unknown", e.ID, e.Attestation)
	}
	return nil
}
