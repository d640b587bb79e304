package provenance

// Goods are what a shipment carries.
type Goods struct {
	GTIN        string `cbor:"1,keyasint" json:"gtin"`
	Lot         string `cbor:"2,keyasint" json:"lot"`
	Description string `cbor:"3,keyasint" json:"description"`
	Quantity    uint64 `cbor:"4,keyasint" json:"quantity"`
}

// Limits of a shipment: the temperature band and how long it may be left, in all.
type Limits struct {
	Min            Micro  `cbor:"1,keyasint" json:"min"` // °C, inclusive
	Max            Micro  `cbor:"2,keyasint" json:"max"`
	AllowedMinutes uint32 `cbor:"3,keyasint" json:"allowedMinutes"`
}

// Attachment ties a device to a shipment for an interval: from ≤ t, and t < to unless To is 0 (open).
type Attachment struct {
	Device string `cbor:"1,keyasint" json:"device"`
	From   Time   `cbor:"2,keyasint" json:"from"`
	To     Time   `cbor:"3,keyasint" json:"to"`
}

// Holds tells whether a reading acquired at t falls under the attachment.
func (a Attachment) Holds(t Time) bool { return t >= a.From && (a.To == 0 || t < a.To) }

// Shipment is goods under one plan. State key s/{ID}.
type Shipment struct {
	ID           string       `cbor:"1,keyasint" json:"id"`
	Organisation string       `cbor:"2,keyasint" json:"organisation"` // who opened it
	Parties      []string     `cbor:"3,keyasint" json:"parties"`      // MSP identifiers, rising, the opener among them
	Goods        []Goods      `cbor:"4,keyasint" json:"goods"`
	Profile      string       `cbor:"5,keyasint" json:"profile"` // product profile, such as "milk-pseudomonas" or "vaccine-2-8"
	Limits       Limits       `cbor:"6,keyasint" json:"limits"`
	Initial      Micro        `cbor:"7,keyasint" json:"initial"` // initial contamination, log10 CFU per unit; 0 where it does not apply
	Attachments  []Attachment `cbor:"8,keyasint" json:"attachments"`
	Opened       Time         `cbor:"9,keyasint" json:"opened"`  // as of when, by the opener's word
	Closed       Time         `cbor:"10,keyasint" json:"closed"` // 0 while open
	Changed      Time         `cbor:"11,keyasint" json:"changed"`
	Origin       string       `cbor:"12,keyasint" json:"origin"`
	Destination  string       `cbor:"13,keyasint" json:"destination"`
	Confidential bool         `cbor:"14,keyasint" json:"confidential"`
}

// IsParty tells whether an organisation takes part in the shipment.
func (s *Shipment) IsParty(organisation string) bool {
	for _, party := range s.Parties {
		if party == organisation {
			return true
		}
	}
	return false
}

// Opening is the argument of shipments:Open.
type Opening struct {
	ID           string   `json:"id"`
	Parties      []string `json:"parties"`
	Goods        []Goods  `json:"goods"`
	Profile      string   `json:"profile"`
	Limits       Limits   `json:"limits"`
	Initial      Micro    `json:"initial"`
	Opened       Time     `json:"opened"`
	Origin       string   `json:"origin"`
	Destination  string   `json:"destination"`
	Confidential bool     `json:"confidential"`
}
