package provenance

import (
	"cmp"
	"slices"
)

// Licence ties a GS1 company prefix (6 to 12 digits) or a GLN (13) to the organisations that hold it, one at a time. State key k/{Key}.
type Licence struct {
	Key   string        `cbor:"1,keyasint" json:"key"`
	Terms []LicenceTerm `cbor:"2,keyasint" json:"terms"` // by From, without overlap
}

// LicenceTerm is one organisation's time with a key: From ≤ t, and t < To unless To is 0 (open).
type LicenceTerm struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	From         Time   `cbor:"2,keyasint" json:"from"`
	To           Time   `cbor:"3,keyasint" json:"to"`
	Registered   Time   `cbor:"4,keyasint" json:"registered"`
}

// At returns who held the key at t, "" for nobody.
func (l *Licence) At(t Time) string {
	for _, term := range l.Terms {
		if within(term.From, term.To, t) {
			return term.Organisation
		}
	}
	return ""
}

// Add enters a term in its place. It returns the term that it overlaps, or nil.
func (l *Licence) Add(term LicenceTerm) (overlapped *LicenceTerm) {
	for i := range l.Terms {
		if overlap(l.Terms[i].From, l.Terms[i].To, term.From, term.To) {
			return &l.Terms[i]
		}
	}
	l.Terms = append(l.Terms, term)
	slices.SortFunc(l.Terms, func(a, b LicenceTerm) int { return cmp.Compare(a.From, b.From) })
	return nil
}

// Roles are what an organisation does in the trade, and when. State key w/{Organisation}.
type Roles struct {
	Organisation string     `cbor:"1,keyasint" json:"organisation"`
	Terms        []RoleTerm `cbor:"2,keyasint" json:"terms"` // in the order declared
}

// RoleTerm is a role for an interval of time, as in LicenceTerm.
type RoleTerm struct {
	Role     string `cbor:"1,keyasint" json:"role"` // see the Role constants
	From     Time   `cbor:"2,keyasint" json:"from"`
	To       Time   `cbor:"3,keyasint" json:"to"`
	Declared Time   `cbor:"4,keyasint" json:"declared"`
}

// The roles. A regulator reads and verifies; whoever is nothing else holds no goods and reports no events.
const (
	RoleManufacturer = "manufacturer"
	RoleCarrier      = "carrier"
	RoleDistributor  = "distributor"
	RoleDispenser    = "dispenser" // a pharmacy, a shop, a kitchen: who hands goods to those who use them
	RoleRegulator    = "regulator"
)

// KnownRole tells whether a word is one of the roles.
func KnownRole(role string) bool {
	return slices.Contains([]string{RoleManufacturer, RoleCarrier, RoleDistributor, RoleDispenser, RoleRegulator}, role)
}

// At returns the roles in force at t, rising.
func (r *Roles) At(t Time) []string {
	roles := []string{}
	for _, term := range r.Terms {
		if within(term.From, term.To, t) {
			roles = append(roles, term.Role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// HandlesGoods tells whether the organisation may hold goods at t: anyone may, but who is only a regulator then.
func (r *Roles) HandlesGoods(t Time) bool { return !slices.Equal(r.At(t), []string{RoleRegulator}) }

func within(from, to, t Time) bool { return t >= from && (to == 0 || t < to) }

func overlap(fromA, toA, fromB, toB Time) bool {
	return (toA == 0 || fromB < toA) && (toB == 0 || fromA < toB)
}

// LicenceRequest is the argument of registry:Register, by the organisation that holds the key.
type LicenceRequest struct {
	Key  string `json:"key"` // a GS1 company prefix of 6 to 12 digits, or a GLN
	From Time   `json:"from"`
	To   Time   `json:"to"` // 0: until it is ended
}

// LicenceEnd is the argument of registry:End.
type LicenceEnd struct {
	Key string `json:"key"`
	At  Time   `json:"at"`
}

// RoleRequest is the argument of registry:DeclareRole.
type RoleRequest struct {
	Role string `json:"role"`
	From Time   `json:"from"`
	To   Time   `json:"to"` // 0: until it is ended
}

// RoleEnd is the argument of registry:EndRole.
type RoleEnd struct {
	Role string `json:"role"`
	At   Time   `json:"at"`
}

// LicenseeRequest is the argument of registry:Licensee.
type LicenseeRequest struct {
	ID string `json:"id"` // an EPC URI or a GS1 Digital Link
	At Time   `json:"at"`
}

// Licensee is the answer of registry:Licensee.
type Licensee struct {
	Key          string `json:"key"` // the prefix or GLN that decides; empty where none is registered
	Organisation string `json:"organisation"`
}
