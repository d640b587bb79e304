package contract

import (
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// organisations holds what members say of themselves.
type organisations struct{ contractapi.Contract }

func (*organisations) GetEvaluateTransactions() []string { return []string{"Get", "List"} }

// Register enters the caller's organisation, with the key that it signs checkpoints with.
func (*organisations) Register(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.Registration](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkText("name", request.Name, maxText, false); err != nil {
		return "", err
	}
	if _, err := logVerifier(tx.organisation, request.LogKey); err != nil {
		return "", err
	}
	key := provenance.OrganisationKey(tx.organisation)
	organisation, err := load[provenance.Organisation](tx, key)
	switch {
	case err != nil:
		return "", err
	case organisation == nil:
		organisation = &provenance.Organisation{ID: tx.organisation, Name: request.Name, LogKey: request.LogKey, Changed: tx.now}
		if err := tx.put(key, organisation); err != nil {
			return "", err
		}
	case organisation.LogKey != request.LogKey:
		return "", provenance.Conflictf("organisation %s is registered with another log key; an administrator may rotate it", tx.organisation)
	case organisation.Name != request.Name:
		return "", provenance.Conflictf("organisation %s is registered with the name %q", tx.organisation, organisation.Name)
	}
	return reply(organisation)
}

// RotateLogKey replaces the caller's log key. Checkpoints anchored before stay as they are.
func (*organisations) RotateLogKey(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LogKeyRotation](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := tx.requireAdmin(); err != nil {
		return "", err
	}
	if _, err := logVerifier(tx.organisation, request.LogKey); err != nil {
		return "", err
	}
	organisation, err := tx.registered(tx.organisation)
	if err != nil {
		return "", err
	}
	if organisation.LogKey != request.LogKey {
		organisation.LogKey, organisation.Changed = request.LogKey, tx.now
		if err := tx.put(provenance.OrganisationKey(organisation.ID), organisation); err != nil {
			return "", err
		}
	}
	return reply(organisation)
}

// Get answers with an organisation.
func (*organisations) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.ID); err != nil {
		return "", err
	}
	organisation, err := tx.registered(request.ID)
	if err != nil {
		return "", err
	}
	return reply(organisation)
}

// List answers with a page of organisations.
func (*organisations) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Organisation](tx, provenance.OrganisationKey(""), argument)
}

// registered loads an organisation that must be on the ledger.
func (tx *transaction) registered(id string) (*provenance.Organisation, error) {
	organisation, err := load[provenance.Organisation](tx, provenance.OrganisationKey(id))
	if err == nil && organisation == nil {
		err = provenance.NotFoundf("organisation %s is not registered on the ledger (organisations:Register, by itself)", id)
	}
	return organisation, err
}

// logVerifier reads a note verifier key, which must be named by the organisation.
func logVerifier(organisation, key string) (note.Verifier, error) {
	if len(key) > maxText {
		return nil, provenance.Invalidf("log key of %d bytes, at most %d are allowed", len(key), maxText)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, provenance.Invalidf("log key: %v", err)
	}
	if verifier.Name() != organisation {
		return nil, provenance.Invalidf("log key is named %q, want the organisation's name, %q", verifier.Name(), organisation)
	}
	return verifier, nil
}
