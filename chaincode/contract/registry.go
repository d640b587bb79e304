package contract

import (
	"strings"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of the registry.
const (
	shortestPrefix = 6
	longestPrefix  = 12
	lengthOfGLN    = 13
	maxTerms       = 64
	maxKeysBelow   = 100_000 // registered under one company prefix
)

// registry says whose GS1 company prefixes and GLNs are, and what organisations do in the trade, as of when. Each organisation speaks
// for itself, and whoever comes second with a key is refused: the first one's term must have been ended.
type registry struct{ contractapi.Contract }

func (*registry) GetEvaluateTransactions() []string {
	return []string{"Get", "List", "Roles", "Licensee"}
}

// Register enters the caller's organisation as holder of a key for a time.
func (*registry) Register(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LicenceRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkKey(request.Key); err != nil {
		return "", err
	}
	if err := checkTerm(request.From, request.To); err != nil {
		return "", err
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	licence, err := tx.licence(request.Key)
	if err != nil {
		return "", err
	}
	for _, term := range licence.Terms {
		if term.Organisation == tx.organisation && term.From == request.From && term.To == request.To {
			return reply(licence)
		}
	}
	if len(licence.Terms) >= maxTerms {
		return "", provenance.Conflictf("%s has had %d terms, no more are allowed", request.Key, maxTerms)
	}
	if err := tx.mustBeFree(request); err != nil {
		return "", err
	}
	term := provenance.LicenceTerm{Organisation: tx.organisation, From: request.From, To: request.To, Registered: tx.now}
	if taken := licence.Add(term); taken != nil {
		return "", provenance.Conflictf("%s is registered by %s from %s on", request.Key, taken.Organisation, taken.From)
	}
	if err := tx.put(provenance.LicenceKey(licence.Key), licence); err != nil {
		return "", err
	}
	return reply(licence)
}

// mustBeFree refuses a key that another organisation holds a part of, or that is a part of another's, at the same time.
func (tx *transaction) mustBeFree(r *provenance.LicenceRequest) error {
	near := []*provenance.Licence{}
	keys := licenceKeys(r.Key[:len(r.Key)-1])
	if err := tx.prefetch(keys); err != nil {
		return err
	}
	for _, key := range keys {
		licence, err := load[provenance.Licence](tx, key)
		if err != nil {
			return err
		}
		if licence != nil {
			near = append(near, licence)
		}
	}
	below, err := scan[provenance.Licence](tx, provenance.LicenceKey(r.Key)+"0", provenance.LicenceKey(r.Key)+":", maxKeysBelow) // ':' follows '9'
	if err != nil {
		return err
	}
	for _, licence := range append(near, below...) {
		others := provenance.Licence{}
		for _, term := range licence.Terms {
			if term.Organisation != tx.organisation {
				others.Terms = append(others.Terms, term)
			}
		}
		if taken := others.Add(provenance.LicenceTerm{From: r.From, To: r.To}); taken != nil {
			return provenance.Conflictf("%s overlaps %s, which is registered by %s from %s on", r.Key, licence.Key, taken.Organisation, taken.From)
		}
	}
	return nil
}

// End ends the caller's term, so that another organisation can hold the key from then on.
func (*registry) End(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LicenceEnd](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkKey(request.Key); err != nil {
		return "", err
	}
	if err := checkTime("at", request.At); err != nil {
		return "", err
	}
	licence, err := tx.licence(request.Key)
	if err != nil {
		return "", err
	}
	own := false
	for i := range licence.Terms {
		term := &licence.Terms[i]
		if term.Organisation != tx.organisation {
			continue
		}
		own = true
		switch {
		case term.To == request.At:
			return reply(licence)
		case term.From < request.At && (term.To == 0 || request.At < term.To):
			term.To = request.At
			if err := tx.put(provenance.LicenceKey(licence.Key), licence); err != nil {
				return "", err
			}
			return reply(licence)
		}
	}
	if !own {
		return "", provenance.Forbiddenf("%s has registered no term for %s", tx.organisation, request.Key)
	}
	return "", provenance.Conflictf("%s does not hold %s at %s", tx.organisation, request.Key, request.At)
}

// DeclareRole says what the caller's organisation does in the trade, and when.
func (*registry) DeclareRole(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.RoleRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if !provenance.KnownRole(request.Role) {
		return "", provenance.Invalidf("role %q is unknown", request.Role)
	}
	if err := checkTerm(request.From, request.To); err != nil {
		return "", err
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	roles, err := tx.roles(tx.organisation)
	if err != nil {
		return "", err
	}
	for _, term := range roles.Terms {
		switch {
		case term.Role != request.Role:
		case term.From == request.From && term.To == request.To:
			return reply(roles)
		case (term.To == 0 || request.From < term.To) && (request.To == 0 || term.From < request.To):
			return "", provenance.Conflictf("%s is %s from %s on already", tx.organisation, term.Role, term.From)
		}
	}
	if len(roles.Terms) >= maxTerms {
		return "", provenance.Conflictf("%s has declared %d roles, no more are allowed", tx.organisation, maxTerms)
	}
	roles.Terms = append(roles.Terms, provenance.RoleTerm{Role: request.Role, From: request.From, To: request.To, Declared: tx.now})
	if err := tx.put(provenance.RolesKey(tx.organisation), roles); err != nil {
		return "", err
	}
	return reply(roles)
}

// EndRole ends a role of the caller's organisation.
func (*registry) EndRole(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.RoleEnd](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkTime("at", request.At); err != nil {
		return "", err
	}
	roles, err := tx.roles(tx.organisation)
	if err != nil {
		return "", err
	}
	for i := range roles.Terms {
		term := &roles.Terms[i]
		switch {
		case term.Role != request.Role:
		case term.To == request.At:
			return reply(roles)
		case term.From < request.At && (term.To == 0 || request.At < term.To):
			term.To = request.At
			if err := tx.put(provenance.RolesKey(tx.organisation), roles); err != nil {
				return "", err
			}
			return reply(roles)
		}
	}
	return "", provenance.Conflictf("%s does not have the role %q at %s", tx.organisation, request.Role, request.At)
}

// Get answers with who held a key when.
func (*registry) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkKey(request.ID); err != nil {
		return "", err
	}
	licence, err := load[provenance.Licence](tx, provenance.LicenceKey(request.ID))
	return found(licence, err, request.ID+" is not registered on the ledger")
}

// List answers with a page of keys.
func (*registry) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Licence](tx, provenance.LicenceKey(""), argument)
}

// Roles answers with an organisation's roles; none where it declared none.
func (*registry) Roles(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.ID); err != nil {
		return "", err
	}
	roles, err := tx.roles(request.ID)
	if err != nil {
		return "", err
	}
	return reply(roles)
}

// Licensee answers with whose an identifier was at a time.
func (*registry) Licensee(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LicenseeRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkTime("at", request.At); err != nil {
		return "", err
	}
	id, ok := epcis.Identify(request.ID)
	if !ok {
		return "", provenance.Invalidf("%.100q is no GS1 identifier", request.ID)
	}
	key, organisation, err := tx.licensee(id, request.At)
	if err != nil {
		return "", err
	}
	return reply(provenance.Licensee{Key: key, Organisation: organisation})
}

// licensee finds whose an identifier was: the finest key that was held at the time decides.
func (tx *transaction) licensee(id epcis.Identifier, at provenance.Time) (key, organisation string, err error) {
	keys := licenceKeys(id.OwnerDigits())
	if err := tx.prefetch(keys); err != nil {
		return "", "", err
	}
	for i := len(keys) - 1; i >= 0; i-- {
		licence, err := load[provenance.Licence](tx, keys[i])
		if err != nil {
			return "", "", err
		}
		if licence != nil {
			if organisation := licence.At(at); organisation != "" {
				return licence.Key, organisation, nil
			}
		}
	}
	return "", "", nil
}

// licenceKeys gives the state keys under which a number's licence may stand, the coarsest first.
func licenceKeys(number string) []string {
	digits := len(number) - len(strings.TrimLeft(number, "0123456789"))
	keys := []string{}
	for n := shortestPrefix; n <= min(digits, lengthOfGLN); n++ {
		keys = append(keys, provenance.LicenceKey(number[:n]))
	}
	return keys
}

// checkKey accepts a company prefix, or a GLN with its check digit.
func checkKey(key string) error {
	if n := len(key); n < shortestPrefix || n > lengthOfGLN || strings.Trim(key, "0123456789") != "" {
		return provenance.Invalidf("%.100q is neither a GS1 company prefix (%d to %d digits) nor a GLN (%d)", key, shortestPrefix, longestPrefix, lengthOfGLN)
	}
	if len(key) == lengthOfGLN && checkGTIN(key) != nil { // the same arithmetic
		return provenance.Invalidf("GLN %q: the check digit is wrong", key)
	}
	return nil
}

func checkTerm(from, to provenance.Time) error {
	if err := checkTime("from", from); err != nil {
		return err
	}
	if to != 0 && (to <= from || to > maxTime) {
		return provenance.Invalidf("the time from %s to %s is empty or out of bounds", from, to)
	}
	return nil
}

// licence loads a key's terms, none for one that nobody registered.
func (tx *transaction) licence(key string) (*provenance.Licence, error) {
	licence, err := load[provenance.Licence](tx, provenance.LicenceKey(key))
	if err == nil && licence == nil {
		licence = &provenance.Licence{Key: key, Terms: []provenance.LicenceTerm{}}
	}
	return licence, err
}

func (tx *transaction) roles(organisation string) (*provenance.Roles, error) {
	roles, err := load[provenance.Roles](tx, provenance.RolesKey(organisation))
	if err == nil && roles == nil {
		roles = &provenance.Roles{Organisation: organisation, Terms: []provenance.RoleTerm{}}
	}
	return roles, err
}

// mustHandleGoods refuses an organisation that is not registered, or only a regulator now.
func (tx *transaction) mustHandleGoods(organisation string) error {
	if err := tx.prefetch([]string{provenance.OrganisationKey(organisation), provenance.RolesKey(organisation)}); err != nil {
		return err
	}
	if _, err := tx.registered(organisation); err != nil {
		return err
	}
	roles, err := tx.roles(organisation)
	if err != nil {
		return err
	}
	if !roles.HandlesGoods(tx.now) {
		return provenance.Forbiddenf("%s is a regulator, and handles no goods", organisation)
	}
	return nil
}
