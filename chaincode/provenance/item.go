package provenance

// ItemStatus says whether a thing still exists.
type ItemStatus uint8

// An item that is not present never is again.
const (
	Present ItemStatus = iota
	Decommissioned
	Destroyed
	UsedUp // by a transformation
)

func (s ItemStatus) String() string {
	return [...]string{"present", "decommissioned", "destroyed", "used up"}[min(s, UsedUp)]
}

// Item is one thing (an item, a container), or a lot, as the ledger knows it. State key i/{ID}, without the standard's domain.
// A lot is in many places at once: it has holders but no custody, and no place, parent or status. Its record changes seldom,
// so that those who handle parts of it do not conflict.
type Item struct {
	ID          string     `cbor:"1,keyasint" json:"id"` // canonical
	Lot         bool       `cbor:"2,keyasint" json:"isLot"`
	Issuer      string     `cbor:"3,keyasint" json:"issuer"` // who brought it to the ledger
	Born        Time       `cbor:"4,keyasint" json:"born"`   // when it was commissioned, 0 where that is not recorded
	Custody     Custody    `cbor:"5,keyasint" json:"custody"`
	Holders     []string   `cbor:"6,keyasint" json:"holders"` // of a lot: who was known to hold some of it, rising
	Parent      string     `cbor:"7,keyasint" json:"parent"`  // the container it is in; who holds that holds it
	Status      ItemStatus `cbor:"8,keyasint" json:"status"`
	Disposition string     `cbor:"9,keyasint" json:"disposition"`
	Place       string     `cbor:"10,keyasint" json:"place"` // the last read point
	MemberOf    string     `cbor:"11,keyasint" json:"lot"`   // the lot that it is of
	LastEvent   Hash       `cbor:"12,keyasint" json:"lastEvent"`
	LastTime    Time       `cbor:"13,keyasint" json:"lastTime"`
	Flags       Flags      `cbor:"14,keyasint" json:"flags"`
	Freeze      *Freeze    `cbor:"15,keyasint,omitempty" json:"freeze,omitempty"`
	Changed     Time       `cbor:"16,keyasint" json:"changed"`
}

// Freeze says that an item is under a recall (not a drill) and may go nowhere but back, or to its end.
type Freeze struct {
	Recall       string `cbor:"1,keyasint" json:"recall"`
	Organisation string `cbor:"2,keyasint" json:"organisation"` // who recalls it
	Since        Time   `cbor:"3,keyasint" json:"since"`
}
