package provenance

// MaxCustodyTerms is how many terms a custody keeps. Older ones are in the ledger's history and in the handovers.
const MaxCustodyTerms = 64

// Custody is who holds a thing, and who held it before.
type Custody struct {
	Terms []CustodyTerm `cbor:"1,keyasint" json:"terms"` // by From; the last one's organisation holds now
	Offer string        `cbor:"2,keyasint" json:"offer"` // the handover that waits for an answer
}

// CustodyTerm begins with From and ends where the next one begins.
type CustodyTerm struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	From         Time   `cbor:"2,keyasint" json:"from"`
	Handover     string `cbor:"3,keyasint" json:"handover"` // empty where it came otherwise: at its beginning, or out of a container
}

// Holder returns who holds the thing, "" for nobody.
func (c *Custody) Holder() string {
	if len(c.Terms) == 0 {
		return ""
	}
	return c.Terms[len(c.Terms)-1].Organisation
}

// HolderAt returns who held the thing at t, "" where that is not known.
func (c *Custody) HolderAt(t Time) string {
	for i := len(c.Terms) - 1; i >= 0; i-- {
		if c.Terms[i].From <= t {
			return c.Terms[i].Organisation
		}
	}
	return ""
}

// Pass begins a new term, not before the one in force.
func (c *Custody) Pass(organisation string, at Time, handover string) {
	terms := c.Terms
	if n := len(terms); n > 0 {
		at = max(at, terms[n-1].From)
	}
	if len(terms) >= MaxCustodyTerms {
		terms = terms[len(terms)-MaxCustodyTerms+1:]
	}
	terms = append(append(make([]CustodyTerm, 0, len(terms)+1), terms...), CustodyTerm{Organisation: organisation, From: at, Handover: handover})
	c.Terms = terms
}

// ShipmentCustody says who answers for a shipment's temperature. State key t/{Shipment}. It is written by the first handover;
// until then the opener holds.
type ShipmentCustody struct {
	Shipment string  `cbor:"1,keyasint" json:"shipment"`
	Custody  Custody `cbor:"2,keyasint" json:"custody"`
	Changed  Time    `cbor:"3,keyasint" json:"changed"`
}

// HandoverStatus is how far a handover has come.
type HandoverStatus uint8

// A handover is answered once.
const (
	Offered HandoverStatus = iota
	HandoverAccepted
	HandoverRefused
	Withdrawn
)

func (s HandoverStatus) String() string {
	return [...]string{"offered", "accepted", "refused", "withdrawn"}[min(s, Withdrawn)]
}

// Handover is goods, or a shipment, on their way from one organisation's custody to another's: the giver's transaction offers
// it, the receiver's accepts or refuses it. State key v/{ID}.
type Handover struct {
	ID       string         `cbor:"1,keyasint" json:"id"`
	From     string         `cbor:"2,keyasint" json:"from"`
	To       string         `cbor:"3,keyasint" json:"to"`
	Shipment string         `cbor:"4,keyasint" json:"shipment"` // or Goods
	Goods    []string       `cbor:"5,keyasint" json:"goods"`    // canonical identifiers, rising
	Comment  string         `cbor:"6,keyasint" json:"comment"`
	Offered  Time           `cbor:"7,keyasint" json:"offered"`
	Status   HandoverStatus `cbor:"8,keyasint" json:"status"`
	Answered Time           `cbor:"9,keyasint" json:"answered"`
	Reason   string         `cbor:"10,keyasint" json:"reason"` // of a refusal or a withdrawal
}

// MaxGoodsInHandover is how many things one handover may name; what is inside a container goes with it.
const MaxGoodsInHandover = 256

// OfferRequest is the argument of custody:Offer: a shipment, or goods.
type OfferRequest struct {
	ID       string   `json:"id"`
	To       string   `json:"to"`
	Shipment string   `json:"shipment"`
	Goods    []string `json:"goods"` // EPC URIs or GS1 Digital Links
	Comment  string   `json:"comment"`
}

// RefuseRequest is the argument of custody:Refuse and custody:Withdraw.
type RefuseRequest struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// HolderRequest is the argument of custody:Holder: a shipment, or an item.
type HolderRequest struct {
	Shipment string `json:"shipment"`
	Goods    string `json:"goods"`
	At       Time   `json:"at"` // 0: now
}

// Holder is the answer of custody:Holder. Containers are what the item is in, the innermost first; their custody counts.
type Holder struct {
	Organisation string   `json:"organisation"`
	Containers   []string `json:"containers"`
	Custody      Custody  `json:"custody"`
}
