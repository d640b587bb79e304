package contract

import (
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// policies holds the rules that organisations set by vote. It takes a majority of them to change one, or more where the governance
// policy asks for more; never fewer, so that a few cannot make themselves the rule.
type policies struct{ contractapi.Contract }

func (*policies) GetEvaluateTransactions() []string { return []string{"Get"} }

// Propose puts a change of a policy to the vote, one at a time. To propose is not to approve.
func (*policies) Propose(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.PolicyRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkPolicy(request.Name); err != nil {
		return "", err
	}
	if request.Required && request.Name != provenance.PolicyGovernance {
		return "", provenance.Invalidf("policy %s: only the policy %s may require that models are governed", request.Name, provenance.PolicyGovernance)
	}
	policy, members, err := tx.voteOnPolicy(request.Name)
	if err != nil {
		return "", err
	}
	if int64(request.Quorum) > int64(members) {
		return "", provenance.Invalidf("policy %s: a quorum of %d organisations, there are %d", request.Name, request.Quorum, members)
	}
	if standing := policy.Proposal; standing != nil && standing.Outcome == provenance.Open {
		if standing.Organisation != tx.organisation || standing.Quorum != request.Quorum || standing.Required != request.Required {
			return "", provenance.Conflictf("policy %s: proposal %d, by %s, is being voted on", policy.Name, policy.Number, standing.Organisation)
		}
		return reply(policy)
	}
	if policy.Quorum == request.Quorum && policy.Required == request.Required {
		return reply(policy) // it is so
	}
	policy.Number++
	policy.Proposal = &provenance.PolicyProposal{
		Organisation: tx.organisation, Quorum: request.Quorum, Required: request.Required, Proposed: tx.now,
		Approvals: []provenance.Statement{}, Objections: []provenance.Statement{},
	}
	return tx.keepPolicy(policy)
}

// Vote enters the caller's vote on a proposal. It passes with a quorum; it falls when its proposer objects, or when too few are left to pass it.
func (*policies) Vote(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.PolicyVote](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkPolicy(request.Name); err != nil {
		return "", err
	}
	policy, members, err := tx.voteOnPolicy(request.Name)
	if err != nil {
		return "", err
	}
	proposal := policy.Proposal
	switch {
	case request.Number == 0 || request.Number > policy.Number:
		return "", provenance.NotFoundf("policy %s: there is no proposal %d", policy.Name, request.Number)
	case request.Number < policy.Number:
		return "", provenance.Conflictf("policy %s: the vote on proposal %d is over", policy.Name, request.Number)
	case provenance.Said(proposal.Approvals, tx.organisation) || provenance.Said(proposal.Objections, tx.organisation):
		if provenance.Said(proposal.Approvals, tx.organisation) != request.Approve {
			return "", provenance.Conflictf("policy %s: %s has voted on proposal %d otherwise", policy.Name, tx.organisation, policy.Number)
		}
		return reply(policy)
	case proposal.Outcome != provenance.Open:
		return "", provenance.Conflictf("policy %s: the vote on proposal %d is over", policy.Name, request.Number)
	case request.Approve:
		proposal.Approvals = append(proposal.Approvals, tx.statement(""))
	default:
		proposal.Objections = append(proposal.Objections, tx.statement(""))
	}
	governing, err := tx.policy(provenance.PolicyGovernance)
	if err != nil {
		return "", err
	}
	needed := max(provenance.Majority(members), int(governing.Quorum))
	switch {
	case len(proposal.Approvals) >= needed:
		proposal.Outcome = provenance.Passed
		policy.Quorum, policy.Required, policy.Changed = proposal.Quorum, proposal.Required, tx.now
	case !request.Approve && tx.organisation == proposal.Organisation, members-len(proposal.Objections) < needed:
		proposal.Outcome = provenance.Fallen
	}
	return tx.keepPolicy(policy)
}

// Get answers with a policy; one that was never set has its default.
func (*policies) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkPolicy(request.ID); err != nil {
		return "", err
	}
	policy, err := tx.policy(request.ID)
	if err != nil {
		return "", err
	}
	return reply(policy)
}

func checkPolicy(name string) error {
	switch name {
	case provenance.PolicyDataset, provenance.PolicyModel, provenance.PolicyGovernance:
		return nil
	}
	return provenance.Invalidf("policy %q is unknown", name)
}

// voteOnPolicy loads a policy that the caller, a registered organisation, speaks on, and counts those who may.
func (tx *transaction) voteOnPolicy(name string) (*provenance.Policy, int, error) {
	if _, err := tx.registered(tx.organisation); err != nil {
		return nil, 0, err
	}
	policy, err := tx.policy(name)
	if err != nil {
		return nil, 0, err
	}
	members, err := tx.members()
	return policy, members, err
}

func (tx *transaction) keepPolicy(policy *provenance.Policy) (string, error) {
	if err := tx.put(provenance.PolicyKey(policy.Name), policy); err != nil {
		return "", err
	}
	return reply(policy)
}
