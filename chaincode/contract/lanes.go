package contract

import (
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// lanes says which ingest instance may commit a lane's batches. Who takes a lane over raises its fence, and with it the
// batches of the owner before, who may not know yet, are refused.
type lanes struct{ contractapi.Contract }

func (*lanes) GetEvaluateTransactions() []string { return []string{"Get"} }

// Claim gives a lane of the caller's organisation to an instance, if its fence still is the one that the instance knows.
func (*lanes) Claim(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LaneClaim](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("owner", request.Owner); err != nil {
		return "", err
	}
	lane, err := tx.lane(tx.organisation, request.Lane)
	if err != nil {
		return "", err
	}
	switch {
	case lane.Owner == request.Owner && (lane.Fence == request.ExpectedFence || lane.Fence == request.ExpectedFence+1):
		return reply(lane)
	case lane.Fence != request.ExpectedFence:
		return "", staleFence(lane, request.ExpectedFence)
	}
	lane.Owner, lane.Changed = request.Owner, tx.now
	lane.Fence++
	if err := tx.put(provenance.LaneKey(tx.organisation, request.Lane), lane); err != nil {
		return "", err
	}
	return reply(lane)
}

func staleFence(lane *provenance.Lane, fence uint64) error {
	if lane.Fence == 0 {
		return provenance.Conflictf("%s: lane %d of %s was never claimed, so its fence is 0, not %d", provenance.StaleFence, lane.Lane, lane.Organisation, fence)
	}
	return provenance.Conflictf("%s: lane %d of %s belongs to %s with fence %d, not %d", provenance.StaleFence, lane.Lane, lane.Organisation, lane.Owner, lane.Fence, fence)
}

// lane loads a lane; one that was never claimed has fence and number 0.
func (tx *transaction) lane(organisation string, number uint32) (*provenance.Lane, error) {
	if number >= provenance.MaxLanes {
		return nil, provenance.Invalidf("lane %d, lanes run from 0 to %d", number, provenance.MaxLanes-1)
	}
	lane, err := load[provenance.Lane](tx, provenance.LaneKey(organisation, number))
	if err == nil && lane == nil {
		lane = &provenance.Lane{Organisation: organisation, Lane: number}
	}
	return lane, err
}

// Get answers with a lane.
func (*lanes) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.LaneName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.Organisation); err != nil {
		return "", err
	}
	lane, err := tx.lane(request.Organisation, request.Lane)
	if err != nil {
		return "", err
	}
	return reply(lane)
}
