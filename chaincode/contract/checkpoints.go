package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of checkpoints.
const (
	maxNote             = 4 << 10
	maxContradictory    = 64
	maxOrganisationsMet = 1000
)

// checkpoints holds what organisations sign about the log. Checkpoints of one size with different roots mean that somebody was shown
// another log: both notes are kept, for all to see.
type checkpoints struct{ contractapi.Contract }

func (*checkpoints) GetEvaluateTransactions() []string { return []string{"Get", "Contradiction"} }

// Anchor records a checkpoint that the caller's organisation signed.
func (*checkpoints) Anchor(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AnchorRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	checkpoint, err := tx.openCheckpoint(request.Note)
	if err != nil {
		return "", err
	}
	result := provenance.AnchorResult{Size: checkpoint.Size, Root: checkpoint.Root}
	others, err := tx.checkpointsOf(checkpoint.Size)
	if err != nil {
		return "", err
	}
	if result.Contradicted, err = tx.contradict(checkpoint, others); err != nil {
		return "", err
	}
	key := provenance.CheckpointKey(tx.organisation, checkpoint.Size)
	own, err := load[provenance.Checkpoint](tx, key)
	if err != nil {
		return "", err
	}
	if own == nil {
		if !result.Contradicted { // a contradiction is never refused
			if err := tx.mustGrow(checkpoint); err != nil {
				return "", err
			}
		}
		if err := tx.put(key, checkpoint); err != nil {
			return "", err
		}
	}
	result.Recorded = len(tx.written) != 0
	return reply(result)
}

// openCheckpoint verifies a note under the log key that the caller has on the ledger.
func (tx *transaction) openCheckpoint(signed string) (*provenance.Checkpoint, error) {
	if len(signed) > maxNote {
		return nil, provenance.Invalidf("note of %d bytes, at most %d are allowed", len(signed), maxNote)
	}
	organisation, err := tx.registered(tx.organisation)
	if err != nil {
		return nil, err
	}
	verifier, err := logVerifier(tx.organisation, organisation.LogKey)
	if err != nil {
		return nil, fmt.Errorf("reading the log key of %s: %w", tx.organisation, err)
	}
	size, root, err := evidence.OpenCheckpoint(signed, verifier, tx.stub.GetChannelID())
	if err != nil {
		return nil, provenance.Invalidf("checkpoint of %s: %v", tx.organisation, err)
	}
	return &provenance.Checkpoint{Organisation: tx.organisation, Size: size, Root: root, Note: signed, Anchored: tx.now}, nil
}

// checkpointsOf loads what all organisations have anchored at a size.
func (tx *transaction) checkpointsOf(size uint64) ([]*provenance.Checkpoint, error) {
	from, to := within(provenance.OrganisationKey(""))
	organisations, err := scan[provenance.Organisation](tx, from, to, maxOrganisationsMet)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(organisations))
	for i, organisation := range organisations {
		keys[i] = provenance.CheckpointKey(organisation.ID, size)
	}
	if err := tx.prefetch(keys); err != nil {
		return nil, err
	}
	var anchored []*provenance.Checkpoint
	for _, key := range keys {
		checkpoint, err := load[provenance.Checkpoint](tx, key)
		if err != nil {
			return nil, err
		}
		if checkpoint != nil {
			anchored = append(anchored, checkpoint)
		}
	}
	return anchored, nil
}

// contradict compares a checkpoint with all that stand at its size, and records the notes where the roots differ.
func (tx *transaction) contradict(checkpoint *provenance.Checkpoint, others []*provenance.Checkpoint) (bool, error) {
	key := provenance.ContradictionKey(checkpoint.Size)
	standing, err := load[provenance.Contradiction](tx, key)
	if err != nil {
		return false, err
	}
	differs := func(other *provenance.Checkpoint) bool { return other.Root != checkpoint.Root }
	if standing == nil && !slices.ContainsFunc(others, differs) {
		return false, nil
	}
	notes := []string{checkpoint.Note}
	for _, other := range others {
		notes = append(notes, other.Note)
	}
	contradiction := &provenance.Contradiction{Size: checkpoint.Size, Found: tx.now}
	if standing != nil {
		notes = append(notes, standing.Notes...)
		contradiction.Found = standing.Found
	}
	slices.Sort(notes)
	contradiction.Notes = slices.Compact(notes)
	switch {
	case standing != nil && slices.Equal(standing.Notes, contradiction.Notes):
		return true, nil
	case len(contradiction.Notes) > maxContradictory:
		return true, provenance.Conflictf("%d notes that contradict each other at size %d are recorded already", len(standing.Notes), checkpoint.Size)
	}
	return true, tx.put(key, contradiction)
}

// mustGrow refuses a checkpoint smaller than one that the organisation anchored before. It needs checkpoint keys in the order of
// their sizes, and so reads one key.
func (tx *transaction) mustGrow(checkpoint *provenance.Checkpoint) error {
	from := provenance.CheckpointKey(checkpoint.Organisation, checkpoint.Size+1)
	_, to := within(from[:strings.LastIndexByte(from, '/')+1])
	larger, err := scan[provenance.Checkpoint](tx, from, to, 1)
	if err != nil {
		return err
	}
	if len(larger) != 0 && larger[0].Size > checkpoint.Size {
		return provenance.Conflictf("%s has anchored a checkpoint of size %d, so one of size %d comes too late", checkpoint.Organisation, larger[0].Size, checkpoint.Size)
	}
	return nil
}

// Get answers with an organisation's checkpoint of a size.
func (*checkpoints) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.CheckpointName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.Organisation); err != nil {
		return "", err
	}
	checkpoint, err := load[provenance.Checkpoint](tx, provenance.CheckpointKey(request.Organisation, request.Size))
	return found(checkpoint, err, fmt.Sprintf("%s has anchored no checkpoint of size %d", request.Organisation, request.Size))
}

// Contradiction answers with the notes that contradict each other at a size.
func (*checkpoints) Contradiction(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ContradictionName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	contradiction, err := load[provenance.Contradiction](tx, provenance.ContradictionKey(request.Size))
	return found(contradiction, err, fmt.Sprintf("no contradiction is known at size %d", request.Size))
}
