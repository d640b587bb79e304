package contract

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func signedCheckpoint(organisation string, size uint64, root byte) string {
	signed, err := evidence.SignCheckpoint(logKeys(organisation).signer, testChannel, size, provenance.Hash{root})
	must0(err)
	return signed
}

func (w *world) anchor(organisation string, size uint64, root byte) *provenance.AnchorResult {
	w.Helper()
	return answer[provenance.AnchorResult](w, w.must(organisation, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(organisation, size, root)}))
}

func TestAnchorKeepsACheckpointOnce(t *testing.T) {
	w := newTrade(t)
	note := signedCheckpoint(maker, 300, 1)
	require.Equal(t, &provenance.AnchorResult{Size: 300, Root: provenance.Hash{1}, Recorded: true}, w.anchor(maker, 300, 1))
	want := &provenance.Checkpoint{Organisation: maker, Size: 300, Root: provenance.Hash{1}, Note: note, Anchored: start}
	require.Equal(t, want, answer[provenance.Checkpoint](w, w.mustKeep(carrier, "checkpoints:Get", provenance.CheckpointName{Organisation: maker, Size: 300})))
	require.False(t, answer[provenance.AnchorResult](w, w.mustKeep(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: note})).Recorded)
	require.False(t, w.anchor(carrier, 300, 1).Contradicted)
	require.True(t, w.anchor(maker, 500, 2).Recorded)
	w.refused(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 400, 3)},
		"conflict: ManufacturerMSP has anchored a checkpoint of size 500, so one of size 400 comes too late")
	require.True(t, w.anchor(carrier, 400, 3).Recorded, "another organisation may be slower")
	w.refused(maker, "checkpoints:Get", provenance.CheckpointName{Organisation: maker, Size: 1}, "not-found: ManufacturerMSP has anchored no checkpoint of size 1")
	w.refused(maker, "checkpoints:Contradiction", provenance.ContradictionName{Size: 300}, "not-found: no contradiction is known at size 300")
}

func TestCheckpointsMustNotShrinkWhateverTheirDigits(t *testing.T) {
	if provenance.CheckpointKey(maker, 9) > provenance.CheckpointKey(maker, 10) {
		t.Skip("provenance.CheckpointKey does not order by size, so only sizes of as many digits are compared")
	}
	w := newTrade(t)
	w.anchor(maker, 1000, 1)
	w.refused(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 999, 3)},
		"conflict: ManufacturerMSP has anchored a checkpoint of size 1000, so one of size 999 comes too late")
}

func TestContradictionsAreRecorded(t *testing.T) {
	w := newTrade(t)
	contradiction := func() *provenance.Contradiction {
		return answer[provenance.Contradiction](w, w.mustKeep(regulator, "checkpoints:Contradiction", provenance.ContradictionName{Size: 8}))
	}
	w.anchor(maker, 8, 1)
	require.Equal(t, &provenance.AnchorResult{Size: 8, Root: provenance.Hash{2}, Recorded: true, Contradicted: true}, w.anchor(carrier, 8, 2))
	notes := []string{signedCheckpoint(maker, 8, 1), signedCheckpoint(carrier, 8, 2)}
	slices.Sort(notes)
	require.Equal(t, &provenance.Contradiction{Size: 8, Notes: notes, Found: start}, contradiction())
	require.Equal(t, signedCheckpoint(carrier, 8, 2), at[provenance.Checkpoint](w, provenance.CheckpointKey(carrier, 8)).Note, "the checkpoint is kept all the same")

	w.now += minute
	w.anchor(regulator, 8, 1) // agrees with one of them: it is a witness
	require.Len(t, contradiction().Notes, 3)
	require.Equal(t, start, contradiction().Found)

	// An organisation that contradicts itself, and comes too late at that.
	w.anchor(maker, 9, 1)
	require.True(t, w.anchor(maker, 8, 3).Contradicted)
	require.Contains(t, contradiction().Notes, signedCheckpoint(maker, 8, 3))
	require.Equal(t, provenance.Hash{1}, at[provenance.Checkpoint](w, provenance.CheckpointKey(maker, 8)).Root, "the first word stands")
	again := answer[provenance.AnchorResult](w, w.mustKeep(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 8, 3)}))
	require.True(t, again.Contradicted)
	require.False(t, again.Recorded)

	for i := len(contradiction().Notes); i < maxContradictory; i++ {
		w.anchor(maker, 8, byte(100+i))
	}
	w.refused(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 8, 200)},
		"conflict: 64 notes that contradict each other at size 8 are recorded already")
}

func TestContradictingCheckpointsInOneBlockAreBothSeen(t *testing.T) {
	w := newTrade(t)
	request := provenance.AnchorRequest{Note: signedCheckpoint(carrier, 8, 2)}
	a, _, err := w.endorse(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 8, 1)})
	require.NoError(t, err)
	b, _, err := w.endorse(carrier, "checkpoints:Anchor", request)
	require.NoError(t, err)
	require.NoError(t, w.commit(a))
	require.ErrorIs(t, w.commit(b), errMVCC, "it has not seen the other one, so it must be endorsed again")
	require.True(t, answer[provenance.AnchorResult](w, w.must(carrier, "checkpoints:Anchor", request)).Contradicted)
}

func TestCheckpointsMustVerify(t *testing.T) {
	w := newTrade(t)
	note := signedCheckpoint(maker, 3, 1)
	elsewhere, err := evidence.SignCheckpoint(logKeys(maker).signer, "otherchannel", 3, provenance.Hash{1})
	require.NoError(t, err)
	stolen, err := evidence.SignCheckpoint(newLogKey(maker).signer, testChannel, 3, provenance.Hash{1})
	require.NoError(t, err)
	for what, signed := range map[string]string{
		"nothing": "", "another's": signedCheckpoint(carrier, 3, 1), "another key": stolen, "another channel's": elsewhere,
		"altered": "x" + note, "longer": note + "\n", "two signatures": note + signedCheckpoint(carrier, 3, 1)[len(note)-100:],
	} {
		_, err := w.submit(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signed})
		require.ErrorContains(t, err, "invalid: checkpoint of ManufacturerMSP: ", what)
	}
	w.refused(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: string(make([]byte, 4097))}, "invalid: note of 4097 bytes, at most 4096 are allowed")
	w.refused("StrangerMSP", "checkpoints:Anchor", provenance.AnchorRequest{Note: note},
		"not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)")
}

func TestLogKeysRotate(t *testing.T) {
	w := newTrade(t)
	next := newLogKey(maker)
	request := provenance.LogKeyRotation{LogKey: next.public}
	w.refused(maker, "organisations:RotateLogKey", request, "forbidden: only an administrator of ManufacturerMSP (a certificate with OU admin) may do this")
	w.must(maker+" admin", "organisations:RotateLogKey", request)
	w.mustKeep(maker+" admin", "organisations:RotateLogKey", request)
	_, err := w.submit(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 3, 1)})
	require.ErrorContains(t, err, "invalid: checkpoint of ManufacturerMSP: ", "the old key signs no more")
	signed, err := evidence.SignCheckpoint(next.signer, testChannel, 3, provenance.Hash{1})
	require.NoError(t, err)
	w.must(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signed})

	w.refused(maker, "organisations:Register", provenance.Registration{Name: maker, LogKey: logKeys(maker).public},
		"conflict: organisation ManufacturerMSP is registered with another log key; an administrator may rotate it")
	w.refused(carrier, "organisations:Register", provenance.Registration{Name: "C", LogKey: logKeys(carrier).public},
		`conflict: organisation CarrierMSP is registered with the name "CarrierMSP"`)
	w.refused("NewMSP", "organisations:Register", provenance.Registration{Name: "New", LogKey: logKeys(carrier).public},
		`invalid: log key is named "CarrierMSP", want the organisation's name, "NewMSP"`)
	w.refused("NewMSP", "organisations:Register", provenance.Registration{Name: "New", LogKey: "NewMSP+1+x"}, "invalid: log key: malformed verifier id")
	w.refused("NewMSP", "organisations:Register", provenance.Registration{Name: " ", LogKey: logKeys("NewMSP").public}, "invalid: name is missing")
	w.refused("NewMSP", "organisations:Register", provenance.Registration{Name: "New", LogKey: string(make([]byte, 257))}, "invalid: log key of 257 bytes, at most 256 are allowed")
	w.refused("no such", "organisations:Register", provenance.Registration{},
		`invalid: organisation: ' ' at position 3 is not allowed in an identifier (letters, digits, and . _ : - after the first)`)
	list := answer[[]provenance.Organisation](w, w.mustKeep(carrier, "organisations:List", provenance.Page{After: carrier, Limit: 1}))
	require.Equal(t, maker, (*list)[0].ID)
	require.Len(t, *list, 1)
	w.refused(carrier, "organisations:Get", provenance.ByID{ID: "NewMSP"}, "not-found: organisation NewMSP is not registered on the ledger (organisations:Register, by itself)")
}
