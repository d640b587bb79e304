package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of governance.
const (
	maxPurposes    = 16
	maxDatasets    = 32 // of a training run
	maxMetrics     = 64
	maxEvaluations = 64
	maxSeed        = 1 << 53
	maxFlagged     = 100 // models in one transaction
)

// governance carries on what a revocation began: a dataset may have more models behind it than one transaction can flag.
type governance struct{ contractapi.Contract }

func (*governance) GetEvaluateTransactions() []string { return []string{} }

// Flag flags the next models downstream of a revoked dataset. Whoever calls it can do nothing but what the revocation decided.
func (*governance) Flag(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	dataset, err := tx.dataset(request.ID)
	if err != nil {
		return "", err
	}
	if dataset.Status != provenance.DatasetRevoked {
		return "", provenance.Conflictf("dataset %s is %s, not revoked", dataset.ID, dataset.Status)
	}
	if !dataset.Flagging.Done {
		if err := tx.flag(dataset); err != nil {
			return "", err
		}
		if err := tx.put(provenance.DatasetKey(dataset.ID), dataset); err != nil {
			return "", err
		}
	}
	return reply(dataset)
}

// flag marks at most maxFlagged models of a revoked dataset, from where the last call stopped, and notes how far it came. No model can
// join behind it: every link is made by a transaction that read the dataset as not revoked.
func (tx *transaction) flag(dataset *provenance.Dataset) error {
	progress := dataset.Flagging
	prefix := provenance.DatasetUseKey(dataset.ID, "", "")
	prefix = prefix[:len(prefix)-1]
	from, to := within(prefix)
	if progress.After != "" {
		from = prefix + progress.After + "\x00"
	}
	uses, err := scan[provenance.DatasetUse](tx, from, to, maxFlagged+1)
	if err != nil {
		return err
	}
	progress.Done = len(uses) <= maxFlagged
	uses = uses[:min(len(uses), maxFlagged)]
	keys := make([]string, len(uses))
	for i, use := range uses {
		keys[i] = provenance.ModelKey(use.Name, use.Version)
	}
	if err := tx.prefetch(keys); err != nil {
		return err
	}
	for i, use := range uses {
		model, err := load[provenance.Model](tx, keys[i])
		if err != nil {
			return err
		}
		if model == nil {
			return fmt.Errorf("dataset %s is linked to %s, which the ledger does not hold", dataset.ID, keys[i])
		}
		model.Flags = append(model.Flags, provenance.ModelFlag{Dataset: dataset.ID, Use: use.Use, Time: tx.now})
		if err := tx.put(keys[i], model); err != nil {
			return err
		}
		progress.After = use.Name + "/" + use.Version
		progress.Models++
	}
	return nil
}

// mayScore tells whether a finding of the model may enter the ledger.
func (tx *transaction) mayScore(model *provenance.Model) error {
	switch model.Status {
	case provenance.ModelActive:
		return nil
	case provenance.ModelUngoverned:
		policy, err := tx.policy(provenance.PolicyGovernance)
		if err == nil && policy.Required {
			err = provenance.Conflictf("model %s %s is ungoverned, and the organisations have voted that only governed models may raise alerts", model.Name, model.Version)
		}
		return err
	}
	return provenance.Conflictf("model %s %s is %s; only an active model may raise alerts", model.Name, model.Version, model.Status)
}

// policy loads a policy; one that nobody has voted on has its default.
func (tx *transaction) policy(name string) (*provenance.Policy, error) {
	policy, err := load[provenance.Policy](tx, provenance.PolicyKey(name))
	if err == nil && policy == nil {
		policy = &provenance.Policy{Name: name}
	}
	return policy, err
}

// members counts the registered organisations.
func (tx *transaction) members() (int, error) {
	from, to := within(provenance.OrganisationKey(""))
	organisations, err := scan[provenance.Organisation](tx, from, to, maxOrganisationsMet)
	return len(organisations), err
}

// quorum is how many organisations a policy asks for.
func (tx *transaction) quorum(name string) (int, error) {
	policy, err := tx.policy(name)
	if err != nil {
		return 0, err
	}
	if policy.Quorum != 0 {
		return int(policy.Quorum), nil
	}
	n, err := tx.members()
	return provenance.Majority(n), err
}

// statement is what the caller says now.
func (tx *transaction) statement(reason string) provenance.Statement {
	return provenance.Statement{Organisation: tx.organisation, Reason: reason, Time: tx.now}
}

// checkRising checks identifiers that must be in order, each once.
func checkRising(what string, names []string) error {
	for i, name := range names {
		if err := provenance.CheckIdentifier(what, name); err != nil {
			return err
		}
		if i > 0 && names[i-1] >= name {
			return provenance.Invalidf("%s %s: they must be in order, each once", what, name)
		}
	}
	return nil
}
