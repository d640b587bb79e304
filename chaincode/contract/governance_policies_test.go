package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func (w *world) setPolicy(request provenance.PolicyRequest, voters ...string) {
	w.Helper()
	number := answer[provenance.Policy](w, w.must(voters[0], "policies:Propose", request)).Number
	for _, voter := range voters {
		w.must(voter, "policies:Vote", provenance.PolicyVote{Name: request.Name, Number: number, Approve: true})
	}
	policy := at[provenance.Policy](w, "p/"+request.Name)
	require.Equal(w, []any{request.Quorum, request.Required, w.now}, []any{policy.Quorum, policy.Required, policy.Changed})
}

func TestPoliciesAreSetByVote(t *testing.T) {
	w := newTrade(t)
	ask := provenance.ByID{ID: "dataset"}
	require.Equal(t, &provenance.Policy{Name: "dataset"}, answer[provenance.Policy](w, w.mustKeep(maker, "policies:Get", ask)))
	r := provenance.PolicyRequest{Name: "dataset", Quorum: 1}
	vote := func(number uint64, approve bool) provenance.PolicyVote {
		return provenance.PolicyVote{Name: "dataset", Number: number, Approve: approve}
	}
	w.mustKeep(maker, "policies:Propose", provenance.PolicyRequest{Name: "dataset"}) // it is so
	w.refused(maker, "policies:Propose", provenance.PolicyRequest{Name: "taxes"}, `invalid: policy "taxes" is unknown`)
	w.refused(maker, "policies:Get", provenance.ByID{ID: "taxes"}, `invalid: policy "taxes" is unknown`)
	w.refused(maker, "policies:Vote", provenance.PolicyVote{Name: "taxes"}, `invalid: policy "taxes" is unknown`)
	w.refused(maker, "policies:Propose", provenance.PolicyRequest{Name: "dataset", Quorum: 4}, "invalid: policy dataset: a quorum of 4 organisations, there are 3")
	w.refused(maker, "policies:Propose", provenance.PolicyRequest{Name: "dataset", Required: true}, "invalid: policy dataset: only the policy governance may require that models are governed")
	w.refused(maker, "policies:Vote", vote(1, true), "not-found: policy dataset: there is no proposal 1")
	w.refused(maker, "policies:Vote", vote(0, true), "not-found: policy dataset: there is no proposal 0")
	w.must(maker, "policies:Propose", r)
	w.mustKeep(maker, "policies:Propose", r)
	w.refused(carrier, "policies:Propose", r, "conflict: policy dataset: proposal 1, by ManufacturerMSP, is being voted on")
	w.refused(maker, "policies:Propose", provenance.PolicyRequest{Name: "dataset", Quorum: 2}, "conflict: policy dataset: proposal 1, by ManufacturerMSP, is being voted on")
	w.must(maker, "policies:Propose", provenance.PolicyRequest{Name: "governance", Quorum: 2})
	w.refused(maker, "policies:Propose", provenance.PolicyRequest{Name: "governance", Quorum: 2, Required: true}, "conflict: policy governance: proposal 1, by ManufacturerMSP, is being voted on")
	w.must(maker, "policies:Vote", provenance.PolicyVote{Name: "governance", Number: 1})
	w.must(maker, "policies:Vote", vote(1, true))
	w.mustKeep(maker, "policies:Vote", vote(1, true))
	w.refused(maker, "policies:Vote", vote(1, false), "conflict: policy dataset: ManufacturerMSP has voted on proposal 1 otherwise")
	w.must(carrier, "policies:Vote", vote(1, false))
	require.Equal(t, provenance.Open, at[provenance.Policy](w, "p/dataset").Proposal.Outcome)
	w.must(regulator, "policies:Vote", vote(1, true))
	w.mustKeep(regulator, "policies:Vote", vote(1, true))
	require.Equal(t, &provenance.Policy{Name: "dataset", Quorum: 1, Number: 1, Changed: start, Proposal: &provenance.PolicyProposal{
		Organisation: maker, Quorum: 1, Proposed: start, Approvals: []provenance.Statement{statementOf(maker), statementOf(regulator)}, Objections: []provenance.Statement{statementOf(carrier)}, Outcome: provenance.Passed,
	}}, at[provenance.Policy](w, "p/dataset"))

	// It falls when too few are left, or its proposer thinks better of it.
	r.Quorum = 3
	w.must(maker, "policies:Propose", r)
	w.refused(maker, "policies:Vote", vote(1, true), "conflict: policy dataset: the vote on proposal 1 is over")
	w.must(carrier, "policies:Vote", vote(2, false))
	w.must(regulator, "policies:Vote", vote(2, false))
	require.Equal(t, provenance.Fallen, at[provenance.Policy](w, "p/dataset").Proposal.Outcome)
	w.refused(maker, "policies:Vote", vote(2, true), "conflict: policy dataset: the vote on proposal 2 is over")
	w.must(carrier, "policies:Propose", r)
	w.must(carrier, "policies:Vote", vote(3, false))
	policy := at[provenance.Policy](w, "p/dataset")
	require.Equal(t, provenance.Fallen, policy.Proposal.Outcome)
	require.EqualValues(t, 1, policy.Quorum)

	// One approval is enough now; a governance quorum of one is no way around the majority, one of three asks for all.
	w.enrol(maker, 0, "s1")
	w.must(maker, "datasets:Propose", datasetProposal("train"))
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: "train"})
	require.Equal(t, provenance.DatasetApproved, at[provenance.Dataset](w, "ds/train").Status)
	w.setPolicy(provenance.PolicyRequest{Name: "governance", Quorum: 1}, maker, carrier)
	w.must(maker, "policies:Propose", r)
	w.must(maker, "policies:Vote", vote(4, true))
	require.EqualValues(t, 1, at[provenance.Policy](w, "p/dataset").Quorum)
	w.must(carrier, "policies:Vote", vote(4, true))
	require.EqualValues(t, 3, at[provenance.Policy](w, "p/dataset").Quorum)
	w.setPolicy(provenance.PolicyRequest{Name: "governance", Quorum: 3}, maker, carrier)
	w.must(maker, "policies:Propose", provenance.PolicyRequest{Name: "dataset"})
	w.must(maker, "policies:Vote", vote(5, true))
	w.must(carrier, "policies:Vote", vote(5, true))
	require.Equal(t, provenance.Open, at[provenance.Policy](w, "p/dataset").Proposal.Outcome)
	w.must(regulator, "policies:Vote", vote(5, false))
	require.Equal(t, provenance.Fallen, at[provenance.Policy](w, "p/dataset").Proposal.Outcome)
}

// A dataset that had fallen short is approved when the policy asks for less and an approver says so again.
func TestApprovalCountsUnderThePolicyInForce(t *testing.T) {
	w := newScene(t)
	w.must(maker, "datasets:Propose", datasetProposal("train"))
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: "train"})
	w.setPolicy(provenance.PolicyRequest{Name: provenance.PolicyDataset, Quorum: 1}, maker, carrier)
	w.must(carrier, "datasets:Approve", provenance.ByID{ID: "train"})
	dataset := at[provenance.Dataset](w, "ds/train")
	require.Equal(t, provenance.DatasetApproved, dataset.Status)
	require.Len(t, dataset.Approvals, 1)
}
