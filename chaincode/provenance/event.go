package provenance

import "strings"

// Limits of captures.
const (
	MaxEventsInCapture  = 1000
	MaxObjectsInEvent   = 1000
	MaxObjectsInCapture = 10_000
	MaxCaptureRaw       = 4 << 20
	MaxGoodsIdentifier  = 256 // bytes of a canonical identifier
)

// DuplicateEvent begins the message of a conflict about an event that stands on the ledger already.
const DuplicateEvent = "duplicate"

// Flags say what is suspicious about an event, or an item, and yet possible.
type Flags uint32

// The flags. Their bits stand on the ledger: never renumber.
const (
	WithoutHistory   Flags = 1 << iota // the ledger had not seen these goods
	ForeignIssuer                      // the identifier's company prefix is another organisation's
	OutOfOrder                         // it happened before what was recorded about these goods already
	FutureEvent                        // it lies in the future
	ContainerUnclear                   // the container it implies is not the one on the ledger
	SeenBefore                         // these goods were seen before they were commissioned
	NoCustody                          // about a lot of which the organisation had not been known to hold any
	ForeignPlace                       // at a read point that is another organisation's
	DeclaredWrong                      // an event about these goods was declared to be wrong
)

var flagWords = []string{
	"without-history", "foreign-issuer", "out-of-order", "future-event", "container-unclear", "seen-before", "no-custody", "foreign-place", "declared-wrong",
}

// Words names the flags, in the order of their bits.
func (f Flags) Words() []string {
	words := []string{}
	for i, word := range flagWords {
		if f&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return words
}

// Event is what the ledger keeps of an EPCIS event, whose text travels in the capture's argument. State key e/{Hash}.
type Event struct {
	Hash         Hash              `cbor:"1,keyasint" json:"hash"` // the CBV 2.0 event hash ID's
	Organisation string            `cbor:"2,keyasint" json:"organisation"`
	Capture      string            `cbor:"3,keyasint" json:"capture"` // with Position: where the text is
	Position     uint32            `cbor:"4,keyasint" json:"position"`
	Digest       Hash              `cbor:"5,keyasint" json:"digest"` // of CBOR [fields, context]
	Captured     Time              `cbor:"6,keyasint" json:"captured"`
	Time         Time              `cbor:"7,keyasint" json:"time"` // when it happened, by its own word
	Type         string            `cbor:"8,keyasint" json:"type"`
	Action       string            `cbor:"9,keyasint" json:"action"`
	BizStep      string            `cbor:"10,keyasint" json:"bizStep"`
	Disposition  string            `cbor:"11,keyasint" json:"disposition"`
	ReadPoint    string            `cbor:"12,keyasint" json:"readPoint"`
	BizLocation  string            `cbor:"13,keyasint" json:"bizLocation"`
	Parent       string            `cbor:"14,keyasint" json:"parent"`
	Objects      uint32            `cbor:"15,keyasint" json:"objects"` // items and classes it is about, the parent apart
	Flags        Flags             `cbor:"16,keyasint" json:"flags"`
	Error        *EventDeclaration `cbor:"17,keyasint,omitempty" json:"error,omitempty"`
}

// EventDeclaration says that an event was declared to be wrong, by whom it was captured. The text is the other capture's.
type EventDeclaration struct {
	Capture  string `cbor:"1,keyasint" json:"capture"`
	Position uint32 `cbor:"2,keyasint" json:"position"`
	Digest   Hash   `cbor:"3,keyasint" json:"digest"`
	Reason   string `cbor:"4,keyasint" json:"reason"`
	Recorded Time   `cbor:"5,keyasint" json:"recorded"`
}

// Capture is what became of the events of one transaction. State key j/{Organisation}/{ID}.
type Capture struct {
	Organisation string         `cbor:"1,keyasint" json:"organisation"`
	ID           string         `cbor:"2,keyasint" json:"id"`
	Argument     Hash           `cbor:"3,keyasint" json:"argument"` // SHA-256 of the argument
	Captured     Time           `cbor:"4,keyasint" json:"captured"`
	Events       uint32         `cbor:"5,keyasint" json:"events"`
	Recorded     uint32         `cbor:"6,keyasint" json:"recorded"`
	Refused      []EventRefusal `cbor:"7,keyasint" json:"refused"` // by position
}

// EventRefusal says why an event of a capture was not recorded.
type EventRefusal struct {
	_        struct{} `cbor:",toarray"`
	Position uint32   `json:"position"`
	Code     Code     `json:"code"`
	Message  string   `json:"message"`
}

// LinkKind says how one thing led to another.
type LinkKind uint8

// The kinds of link. A transformation stands between its inputs and outputs under its own identifier, so that n inputs
// and m outputs make n+m links.
const (
	Contains LinkKind = iota // from a container to what is in it
	Consumed                 // from an input to the transformation
	Produced                 // from the transformation to an output
	Member                   // from a lot to an item of it
)

// Link is what led from one thing to another. State key g/{hash of From}/{hash of To}.
type Link struct {
	From  string   `cbor:"1,keyasint" json:"from"`
	To    string   `cbor:"2,keyasint" json:"to"`
	Kind  LinkKind `cbor:"3,keyasint" json:"kind"`
	Event Hash     `cbor:"4,keyasint" json:"event"` // that made it
	Since Time     `cbor:"5,keyasint" json:"since"`
	Until Time     `cbor:"6,keyasint" json:"until"` // 0 while the one is in the other
	// Recorded is the time of the transaction: custody, which passes by transactions, follows containers from then on.
	Recorded Time `cbor:"7,keyasint" json:"recorded"`
}

// EventName names an event.
type EventName struct {
	Hash Hash `json:"hash"`
}

// CaptureName names a capture.
type CaptureName struct {
	Organisation string `json:"organisation"`
	ID           string `json:"id"`
}

// GoodsName names an item or a lot, by an EPC URI or a GS1 Digital Link.
type GoodsName struct {
	ID string `json:"id"`
}

const (
	transformationNodes = "urn:trailmark:transformation:"
	eventHashIDs        = "ni:///sha-256;"
)

// TransformationNode is the identifier under which the events of one transformation are linked, by the organisation's own
// transformation ID: another's cannot join it.
func TransformationNode(organisation, id string) string {
	return transformationNodes + organisation + ":" + id
}

// EventNode is the identifier under which one event's inputs and outputs are linked: its CBV event hash ID.
func EventNode(event Hash) string { return eventHashIDs + event.String() + "?ver=CBV2.0" }

// IsNode tells whether an identifier is of the form of a transformation's, which no goods may have.
func IsNode(id string) bool {
	return strings.HasPrefix(id, transformationNodes) || strings.HasPrefix(id, eventHashIDs)
}
