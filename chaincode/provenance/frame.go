package provenance

// Limits of frames and batches.
const (
	MaxMessage         = 64 << 10
	MaxEnvelope        = 512
	MaxReadingsInFrame = 1024
	MaxFrameSpan       = 31 * 24 * 3600 * 1000 // ms between a frame's first and last reading
	MaxFramesInBatch   = 8192
	MaxBatchRaw        = 4 << 20
	MaxGaps            = 32
	// BackfillAfter: a frame whose last reading is older than this on arrival is back-filled, in ms.
	BackfillAfter = 10 * 60 * 1000
	// MaxClockSkew: how far in the future a reading may lie, in ms.
	MaxClockSkew = 5 * 60 * 1000
)

// FrameID names a frame for good.
type FrameID struct {
	Device   string `json:"device"`
	Epoch    uint32 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
}

// Reading is one measured value with its acquisition time.
type Reading struct {
	Time  Time  `json:"time"`
	Value Micro `json:"value"`
}

// Verdict is what was decided about a frame, by ingest and by the contract alike.
type Verdict uint8

// The verdicts. Their numbers stand on the ledger: never renumber.
const (
	Accepted Verdict = iota
	Malformed
	Oversize
	UnsupportedAlgorithm
	UnknownDevice
	WrongOrganisation
	WrongLane
	DeviceSuspended
	DeviceRevoked
	EpochNotStarted
	BadSignature
	PayloadMismatch
	WrongUnit
	WrongTimes
	FutureTime
	Replay
	TooManyGaps
	WrongTopic
	verdicts
)

var verdictWords = [verdicts][2]string{
	Accepted:             {"accepted", "recorded"},
	Malformed:            {"malformed", "not a frame in the canonical encoding"},
	Oversize:             {"oversize", "larger than a message may be"},
	UnsupportedAlgorithm: {"unsupported-algorithm", "signed or hashed with an algorithm that is not allowed"},
	UnknownDevice:        {"unknown-device", "no device of this name is enrolled on the ledger; enrol it, then replay"},
	WrongOrganisation:    {"wrong-organisation", "the device belongs to another organisation"},
	WrongLane:            {"wrong-lane", "the device belongs to another lane"},
	DeviceSuspended:      {"device-suspended", "the device is suspended; reactivate it, then replay"},
	DeviceRevoked:        {"device-revoked", "the device is revoked"},
	EpochNotStarted:      {"epoch-not-started", "the frame's epoch has not been started on the ledger"},
	BadSignature:         {"bad-signature", "the signature does not verify under the device's key for the frame's epoch"},
	PayloadMismatch:      {"payload-mismatch", "the payload is not the one that was signed, or contradicts the signed header"},
	WrongUnit:            {"wrong-unit", "the unit is not the one the device was enrolled with"},
	WrongTimes:           {"wrong-times", "acquisition times do not rise, or contradict the signed header"},
	FutureTime:           {"future-time", "a reading lies in the future"},
	Replay:               {"replay", "a frame with this device, epoch and sequence number was recorded before"},
	TooManyGaps:          {"too-many-gaps", "the device has too many open gaps; replay when some have closed, or start a new epoch"},
	WrongTopic:           {"wrong-topic", "published on a topic that is not the device's"},
}

func (v Verdict) String() string {
	if v >= verdicts {
		return "unknown"
	}
	return verdictWords[v][0]
}

// Reason says the verdict in words for a person.
func (v Verdict) Reason() string {
	if v >= verdicts {
		return "unknown verdict"
	}
	return verdictWords[v][1]
}

// Gap is a run of sequence numbers not yet seen, both ends included.
type Gap struct {
	_    struct{} `cbor:",toarray"`
	From uint64   `json:"from"`
	To   uint64   `json:"to"`
}

// Head is how far a device's frames have come in an epoch. State key h/{device}/{epoch}.
type Head struct {
	_    struct{} `cbor:",toarray"`
	Last uint64   `json:"last"` // the highest sequence number recorded
	Gaps []Gap    `json:"gaps"` // rising, at most MaxGaps
}

// Accept records a sequence number. It returns Accepted with filled telling whether it closed part of a gap, or
// Replay, TooManyGaps or Malformed (sequence 0), and then leaves the head as it was.
func (h *Head) Accept(sequence uint64) (verdict Verdict, filled bool) {
	if sequence == 0 {
		return Malformed, false
	}
	if sequence > h.Last {
		if sequence > h.Last+1 {
			if len(h.Gaps) >= MaxGaps {
				return TooManyGaps, false
			}
			h.Gaps = append(h.Gaps, Gap{From: h.Last + 1, To: sequence - 1})
		}
		h.Last = sequence
		return Accepted, false
	}
	for i := range h.Gaps {
		gap := &h.Gaps[i]
		if sequence < gap.From || sequence > gap.To {
			continue
		}
		switch {
		case gap.From == gap.To:
			h.Gaps = append(h.Gaps[:i], h.Gaps[i+1:]...)
		case sequence == gap.From:
			gap.From++
		case sequence == gap.To:
			gap.To--
		default:
			if len(h.Gaps) >= MaxGaps {
				return TooManyGaps, false
			}
			upper := Gap{From: sequence + 1, To: gap.To}
			gap.To = sequence - 1
			h.Gaps = append(h.Gaps, Gap{})
			copy(h.Gaps[i+2:], h.Gaps[i+1:])
			h.Gaps[i+1] = upper
		}
		return Accepted, true
	}
	return Replay, false
}

// Lane orders the batches of a part of an organisation's devices. State key l/{org}/{lane}.
type Lane struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Lane         uint32 `cbor:"2,keyasint" json:"lane"`
	Owner        string `cbor:"3,keyasint" json:"owner"`  // the ingest instance that holds it
	Fence        uint64 `cbor:"4,keyasint" json:"fence"`  // rises with every change of owner
	Number       uint64 `cbor:"5,keyasint" json:"number"` // of the last batch
	Digest       Hash   `cbor:"6,keyasint" json:"digest"` // of the last batch's argument
	Changed      Time   `cbor:"7,keyasint" json:"changed"`
}

// Refusal is a frame of a batch that was not recorded, and why.
type Refusal struct {
	_        struct{} `cbor:",toarray"`
	Position uint32   `json:"position"` // in the batch
	Leaf     Hash     `json:"leaf"`     // leaf hash of its bytes
	Verdict  Verdict  `json:"verdict"`
}

// Manifest is what the ledger keeps of a batch. State key b/{org}/{lane}/{number}.
type Manifest struct {
	Organisation string    `cbor:"1,keyasint" json:"organisation"`
	Lane         uint32    `cbor:"2,keyasint" json:"lane"`
	Number       uint64    `cbor:"3,keyasint" json:"number"`
	Fence        uint64    `cbor:"4,keyasint" json:"fence"`
	Frames       uint32    `cbor:"5,keyasint" json:"frames"` // accepted: the leaves of the tree, in the batch's order
	Readings     uint32    `cbor:"6,keyasint" json:"readings"`
	Root         Hash      `cbor:"7,keyasint" json:"root"`
	First        Time      `cbor:"8,keyasint" json:"first"` // earliest and latest acquisition time
	Last         Time      `cbor:"9,keyasint" json:"last"`
	Refused      []Refusal `cbor:"10,keyasint,omitempty" json:"refused,omitempty"`
	Backfilled   []uint32  `cbor:"11,keyasint,omitempty" json:"backfilled,omitempty"` // leaf indices, rising
	Argument     Hash      `cbor:"12,keyasint" json:"argument"`                       // SHA-256 of the batch argument
	Committed    Time      `cbor:"13,keyasint" json:"committed"`                      // time of the transaction
}
