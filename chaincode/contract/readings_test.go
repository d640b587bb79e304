package contract

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestCommitRecordsWhatWasSigned(t *testing.T) {
	w := newFleet(newTrade(t), "s1", "s2")
	shots := []shot{
		{device: "s1", sequence: 1, count: 3, last: start - 10*minute},
		{device: "s2", sequence: 1, last: start - 2*minute, withhold: true},
		{device: "s1", sequence: 2, last: start - 20*minute, late: 15 * minute},
		{device: "s2", sequence: 2, spoil: true},
	}
	argument := w.batch(maker, 0, 1, shots...)
	batch, err := evidence.DecodeBatch(argument)
	require.NoError(t, err)
	manifest := w.commitBatch(maker, 0, shots...)

	leaves := []provenance.Hash{}
	for _, f := range batch.Frames {
		leaves = append(leaves, evidence.LeafHash(f.Raw))
	}
	require.Equal(t, &provenance.Manifest{
		Organisation: maker, Number: 1, Fence: 1, Frames: 3, Readings: 5, Root: evidence.Root(leaves[:3]),
		First: start - 20*minute, Last: start - 2*minute, Backfilled: []uint32{2},
		Refused:  []provenance.Refusal{{Position: 3, Leaf: leaves[3], Verdict: provenance.BadSignature}},
		Argument: sha256.Sum256(argument), Committed: start,
	}, manifest)
	require.Equal(t, &provenance.Head{Last: 2, Gaps: []provenance.Gap{}}, at[provenance.Head](w, provenance.HeadKey("s1", 1)))
	require.Equal(t, &provenance.Head{Last: 1, Gaps: []provenance.Gap{}}, at[provenance.Head](w, provenance.HeadKey("s2", 1)))
	lane := at[provenance.Lane](w, provenance.LaneKey(maker, 0))
	require.Equal(t, uint64(1), lane.Number)
	require.Equal(t, manifest.Argument, lane.Digest)

	head := answer[provenance.Head](w, w.mustKeep(regulator, "readings:Head", provenance.HeadName{Device: "s1", Epoch: 1}))
	require.Equal(t, uint64(2), head.Last)
	again := answer[provenance.Manifest](w, w.mustKeep(regulator, "readings:Manifest", provenance.ManifestName{Organisation: maker, Number: 1}))
	require.Equal(t, manifest, again)
	w.refused(maker, "readings:Head", provenance.HeadName{Device: "s1", Epoch: 2}, "not-found: device s1 has no frame recorded in epoch 2")
	w.refused(maker, "readings:Manifest", provenance.ManifestName{Organisation: maker, Number: 2}, "not-found: batch 2 of lane 0 of ManufacturerMSP is not on the ledger")
}

func TestCommitGivesEachFrameItsVerdict(t *testing.T) {
	w := newFleet(newTrade(t), "good", "asleep", "dead", "narrow")
	w.enrol(maker, 1, "elsewhere")
	w.enrol(carrier, 0, "foreign")
	w.must(maker, "devices:Suspend", provenance.ByID{ID: "asleep"})
	w.must(maker, "devices:Revoke", provenance.ByID{ID: "dead"})
	alien, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)

	cases := []struct {
		shot shot
		want provenance.Verdict
	}{
		{shot{device: "unheard", sequence: 1}, provenance.UnknownDevice},
		{shot{device: "foreign", sequence: 1}, provenance.WrongOrganisation},
		{shot{device: "elsewhere", sequence: 1}, provenance.WrongLane},
		{shot{device: "asleep", sequence: 1}, provenance.DeviceSuspended},
		{shot{device: "dead", sequence: 1}, provenance.DeviceRevoked},
		{shot{device: "good", epoch: 2, sequence: 1}, provenance.EpochNotStarted},
		{shot{device: "good", sequence: 1, spoil: true}, provenance.BadSignature},
		{shot{device: "good", sequence: 1, signer: deviceKey("other", 0)}, provenance.BadSignature},
		{shot{device: "good", sequence: 1, signer: alien}, provenance.BadSignature},
		{shot{device: "good", sequence: 1, unit: "K"}, provenance.WrongUnit},
		{shot{device: "good", sequence: 1, last: start + 6*minute}, provenance.FutureTime},
		{shot{device: "good", sequence: 1}, provenance.Accepted},
		{shot{device: "good", sequence: 1}, provenance.Replay},
		{shot{device: "good", sequence: 2, last: start + 4*minute}, provenance.Accepted},
	}
	shots, want := []shot{}, []provenance.Verdict{}
	for _, c := range cases {
		shots, want = append(shots, c.shot), append(want, c.want)
	}
	manifest := w.commitBatch(maker, 0, shots...)
	require.Equal(t, want, verdicts(manifest))
	for _, untouched := range []string{"unheard", "foreign", "elsewhere", "asleep", "dead"} {
		require.NotContains(t, w.state, provenance.HeadKey(untouched, 1))
	}
}

func TestFramesThatCannotBeReadAreRefusedAlone(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	good := w.frame(shot{device: "s1", sequence: 1})
	frame, err := evidence.ParseFrame(good.Raw)
	require.NoError(t, err)
	bad := good
	// A protected header that is an empty map still makes a COSE_Sign1.
	bad.Raw = append(append([]byte{0xd2, 0x84, 0x41, 0xa0, 0xa0, 0x58, 0x20}, frame.PayloadHash[:]...), append([]byte{0x58, 0x40}, frame.Signature...)...)
	result := w.must(maker, "readings:Commit", w.encode(&evidence.Batch{
		Organisation: maker, Number: 1, Fence: 1, Frames: []evidence.BatchFrame{bad, good},
	}))
	manifest := new(provenance.Manifest)
	require.NoError(t, evidence.Unmarshal([]byte(result), manifest))
	require.Equal(t, []provenance.Verdict{provenance.Malformed, provenance.Accepted}, verdicts(manifest))
	require.Equal(t, evidence.LeafHash(bad.Raw), manifest.Refused[0].Leaf)
}

func TestReplaysAreRefusedWithinAndAcrossBatches(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	m := w.commitBatch(maker, 0, shot{device: "s1", sequence: 1}, shot{device: "s1", sequence: 2}, shot{device: "s1", sequence: 1})
	require.Equal(t, []provenance.Verdict{0, 0, provenance.Replay}, verdicts(m))
	m = w.commitBatch(maker, 0, shot{device: "s1", sequence: 2}, shot{device: "s1", sequence: 3})
	require.Equal(t, []provenance.Verdict{provenance.Replay, 0}, verdicts(m))
}

func TestABatchOfRefusedFramesKeepsItsNumber(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	m := w.commitBatch(maker, 0, shot{device: "s1", sequence: 1, spoil: true})
	require.Zero(t, m.Frames)
	require.Zero(t, m.First)
	require.Equal(t, provenance.Hash(sha256.Sum256(nil)), m.Root)
	require.NotContains(t, w.state, provenance.HeadKey("s1", 1))
	require.Equal(t, uint64(2), w.commitBatch(maker, 0, shot{device: "s1", sequence: 1}).Number)
}

func TestGapsOpenAndClose(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	head := func() *provenance.Head { return at[provenance.Head](w, provenance.HeadKey("s1", 1)) }
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 1}, shot{device: "s1", sequence: 6})
	require.Equal(t, []provenance.Gap{{From: 2, To: 5}}, head().Gaps)
	m := w.commitBatch(maker, 0, shot{device: "s1", sequence: 7}, shot{device: "s1", sequence: 4})
	require.Equal(t, []uint32{1}, m.Backfilled, "a frame that fills a gap is back-filled, however fresh")
	require.Equal(t, []provenance.Gap{{From: 2, To: 3}, {From: 5, To: 5}}, head().Gaps)
	m = w.commitBatch(maker, 0, shot{device: "s1", sequence: 3}, shot{device: "s1", sequence: 5}, shot{device: "s1", sequence: 2}, shot{device: "s1", sequence: 4})
	require.Equal(t, []provenance.Verdict{0, 0, 0, provenance.Replay}, verdicts(m))
	require.Equal(t, &provenance.Head{Last: 7, Gaps: []provenance.Gap{}}, head())

	shots := []shot{}
	for i := range uint64(provenance.MaxGaps + 1) {
		shots = append(shots, shot{device: "s1", sequence: 9 + 2*i})
	}
	m = w.commitBatch(maker, 0, shots...)
	require.Equal(t, []provenance.Refusal{{Position: provenance.MaxGaps, Leaf: m.Refused[0].Leaf, Verdict: provenance.TooManyGaps}}, m.Refused)
	require.Len(t, head().Gaps, provenance.MaxGaps)
}

func TestEpochsCountForThemselves(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 1}, shot{device: "s1", sequence: 2})
	w.must(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 2})
	m := w.commitBatch(maker, 0,
		shot{device: "s1", epoch: 2, sequence: 1}, shot{device: "s1", epoch: 1, sequence: 3}, shot{device: "s1", epoch: 1, sequence: 1}, shot{device: "s1", epoch: 3, sequence: 1})
	require.Equal(t, []provenance.Verdict{0, 0, provenance.Replay, provenance.EpochNotStarted}, verdicts(m))
	require.Equal(t, uint64(3), at[provenance.Head](w, provenance.HeadKey("s1", 1)).Last)
	require.Equal(t, uint64(1), at[provenance.Head](w, provenance.HeadKey("s1", 2)).Last)
}

func TestAKeyIsInForceFromItsEpochOn(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	next := deviceKey("s1", 1)
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 1})
	w.must(maker, "devices:RotateKey", provenance.KeyRotation{ID: "s1", Epoch: 2, Key: coseKey(next)})
	m := w.commitBatch(maker, 0,
		shot{device: "s1", sequence: 2},                         // signed before the rotation, arrives after
		shot{device: "s1", epoch: 2, sequence: 1, signer: next}, //
		shot{device: "s1", epoch: 2, sequence: 2},               // the old key in the new epoch
		shot{device: "s1", epoch: 1, sequence: 3, signer: next}, // the new key in the old epoch
		shot{device: "s1", epoch: 2, sequence: 3, signer: next}, //
	)
	require.Equal(t, []provenance.Verdict{0, 0, provenance.BadSignature, provenance.BadSignature, 0}, verdicts(m))
	w.must(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 3})
	m = w.commitBatch(maker, 0, shot{device: "s1", epoch: 3, sequence: 1, signer: next})
	require.Equal(t, []provenance.Verdict{0}, verdicts(m), "the key stays in force in later epochs")
}

func TestADeviceRevokedBetweenEndorsementAndCommitInvalidatesTheBatch(t *testing.T) {
	w := newFleet(newTrade(t), "s1", "s2")
	argument := w.batch(maker, 0, 1, shot{device: "s1", sequence: 1}, shot{device: "s2", sequence: 1})
	simulated, _, err := w.endorse(maker, "readings:Commit", argument)
	require.NoError(t, err)
	w.must(maker, "devices:Revoke", provenance.ByID{ID: "s1"})
	require.ErrorIs(t, w.commit(simulated), errMVCC)
	result := w.must(maker, "readings:Commit", argument) // endorsed afresh: the neighbour is not harmed
	manifest := new(provenance.Manifest)
	require.NoError(t, evidence.Unmarshal([]byte(result), manifest))
	require.Equal(t, []provenance.Verdict{provenance.DeviceRevoked, 0}, verdicts(manifest))
}
