package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestClaimComparesAndSwaps(t *testing.T) {
	w := newTrade(t)
	never := answer[provenance.Lane](w, w.mustKeep(maker, "lanes:Get", provenance.LaneName{Organisation: maker, Lane: 3}))
	require.Equal(t, &provenance.Lane{Organisation: maker, Lane: 3}, never)

	claim := func(owner string, fence uint64) provenance.LaneClaim {
		return provenance.LaneClaim{Lane: 3, Owner: owner, ExpectedFence: fence}
	}
	w.refused(maker, "lanes:Claim", claim("a", 4), "conflict: stale-fence: lane 3 of ManufacturerMSP was never claimed, so its fence is 0, not 4")
	lane := answer[provenance.Lane](w, w.must(maker, "lanes:Claim", claim("a", 0)))
	require.Equal(t, &provenance.Lane{Organisation: maker, Lane: 3, Owner: "a", Fence: 1, Changed: start}, lane)
	w.mustKeep(maker, "lanes:Claim", claim("a", 0)) // a retry whose answer was lost
	w.mustKeep(maker, "lanes:Claim", claim("a", 1)) // an owner making sure
	w.refused(maker, "lanes:Claim", claim("b", 0), "conflict: stale-fence: lane 3 of ManufacturerMSP belongs to a with fence 1, not 0")
	lane = answer[provenance.Lane](w, w.must(maker, "lanes:Claim", claim("b", 1)))
	require.Equal(t, uint64(2), lane.Fence)
	w.refused(maker, "lanes:Claim", claim("a", 1), "conflict: stale-fence: lane 3 of ManufacturerMSP belongs to b with fence 2, not 1")
	require.Equal(t, uint64(1), answer[provenance.Lane](w, w.must(carrier, "lanes:Claim", claim("a", 0))).Fence, "another organisation has lanes of its own")

	w.refused(maker, "lanes:Claim", provenance.LaneClaim{Lane: 1024, Owner: "a"}, "invalid: lane 1024, lanes run from 0 to 1023")
	w.refused(maker, "lanes:Claim", provenance.LaneClaim{Lane: 1}, "invalid: owner: an identifier is missing")
	w.refused(maker, "lanes:Get", provenance.LaneName{Organisation: "a/b"}, `invalid: organisation: '/' at position 2 is not allowed in an identifier (letters, digits, and . _ : - after the first)`)
}

func TestTwoClaimsInOneBlockLeaveOneOwner(t *testing.T) {
	w := newTrade(t)
	a, _, err := w.endorse(maker, "lanes:Claim", provenance.LaneClaim{Owner: "a"})
	require.NoError(t, err)
	b, _, err := w.endorse(maker, "lanes:Claim", provenance.LaneClaim{Owner: "b"})
	require.NoError(t, err)
	require.NoError(t, w.commit(a))
	require.ErrorIs(t, w.commit(b), errMVCC)
}

func TestOnlyTheOwnerWithItsFenceCommits(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1")
	w.refused(maker, "readings:Commit", w.batch(maker, 0, 1, shot{device: "s1", sequence: 1}),
		"conflict: stale-fence: lane 0 of ManufacturerMSP was never claimed, so its fence is 0, not 1")
	w.claim(maker, 0, "a")
	old := w.batch(maker, 0, 1, shot{device: "s1", sequence: 1})
	w.must(maker, "lanes:Claim", provenance.LaneClaim{Owner: "b", ExpectedFence: 1})
	w.refused(maker, "readings:Commit", old, "conflict: stale-fence: lane 0 of ManufacturerMSP belongs to b with fence 2, not 1")
	refusal := provenance.ParseError("chaincode response 500, conflict: stale-fence: lane 0")
	require.Equal(t, &provenance.Error{Code: provenance.Conflict, Message: provenance.StaleFence + ": lane 0"}, refusal)
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 1})
}

func TestATakeOverInvalidatesTheBatchInFlight(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	simulated, _, err := w.endorse(maker, "readings:Commit", w.batch(maker, 0, 1, shot{device: "s1", sequence: 1}))
	require.NoError(t, err)
	w.must(maker, "lanes:Claim", provenance.LaneClaim{Owner: "b", ExpectedFence: 1})
	require.ErrorIs(t, w.commit(simulated), errMVCC)
}

func TestBatchesRunInOrder(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	first := w.batch(maker, 0, 1, shot{device: "s1", sequence: 1})
	w.refused(maker, "readings:Commit", w.batch(maker, 0, 2, shot{device: "s1", sequence: 1}),
		"conflict: wrong-number: expected batch 1 of lane 0 of ManufacturerMSP, got 2")
	w.refused(maker, "readings:Commit", w.batch(maker, 0, 0, shot{device: "s1", sequence: 1}),
		"conflict: wrong-number: expected batch 1 of lane 0 of ManufacturerMSP, got 0")
	result := w.must(maker, "readings:Commit", first)
	require.Equal(t, result, w.mustKeep(maker, "readings:Commit", first), "a retry is answered with the manifest that stands")
	w.refused(maker, "readings:Commit", w.batch(maker, 0, 1, shot{device: "s1", sequence: 2}),
		"conflict: wrong-number: expected batch 2 of lane 0 of ManufacturerMSP, got 1")
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 2})
	require.Equal(t, result, w.mustKeep(maker, "readings:Commit", first), "also when later ones stand")
	w.refused(maker, "readings:Commit", w.batch(maker, 0, 1, shot{device: "s1", sequence: 3}),
		"conflict: wrong-number: expected batch 3 of lane 0 of ManufacturerMSP, got 1")
	w.must(maker, "lanes:Claim", provenance.LaneClaim{Owner: "b", ExpectedFence: 1})
	require.Equal(t, result, w.mustKeep(maker, "readings:Commit", first), "also when the lane has another owner")
}

func TestBatchesThatAreNone(t *testing.T) {
	w := newFleet(newTrade(t), "s1")
	good := w.batch(maker, 0, 1, shot{device: "s1", sequence: 1})
	for _, argument := range [][]byte{{}, {0x80}, good[:len(good)-1], append(good[:len(good):len(good)], 0)} {
		_, err := w.submit(maker, "readings:Commit", argument)
		require.ErrorContains(t, err, "invalid: ")
	}
	w.refused(carrier, "readings:Commit", good, "forbidden: the batch is of ManufacturerMSP, and the caller of CarrierMSP")
	w.refused(maker, "readings:Commit", w.encode(&evidence.Batch{
		Organisation: maker, Lane: provenance.MaxLanes, Number: 1, Fence: 1, Frames: []evidence.BatchFrame{w.frame(shot{device: "s1", sequence: 1})},
	}), "invalid: lane 1024, lanes run from 0 to 1023")
}

// TestLanesDoNotConflict puts batches of several lanes into one block; each also carries a frame that strayed from another lane.
func TestLanesDoNotConflict(t *testing.T) {
	w := newTrade(t)
	const count = 8
	for lane := range uint32(count) {
		w.claim(maker, lane, "ingest-1")
		w.enrol(maker, lane, device(lane, 0), device(lane, 1))
	}
	for round := range uint64(3) {
		var block []*stub
		for lane := range uint32(count) {
			argument := w.batch(maker, lane, round+1,
				shot{device: device(lane, 0), sequence: round + 1},
				shot{device: device(lane, 1), sequence: round + 1, count: 5},
				shot{device: device((lane+1)%count, 0), sequence: round + 1})
			s, _, err := w.endorse(maker, "readings:Commit", argument)
			require.NoError(t, err)
			block = append(block, s)
		}
		for _, s := range block {
			require.NoError(t, w.commit(s))
		}
		again, _, err := w.endorse(maker, "readings:Commit", w.batch(maker, 0, round+2, shot{device: device(0, 0), sequence: round + 2}))
		require.NoError(t, err)
		twin, _, err := w.endorse(maker, "readings:Commit", w.batch(maker, 0, round+2, shot{device: device(0, 1), sequence: round + 2}))
		require.NoError(t, err)
		require.NoError(t, w.commit(again))
		require.ErrorIs(t, w.commit(twin), errMVCC, "the ledger must be able to fail this test")
		w.state[provenance.LaneKey(maker, 0)] = block[0].entryOf(w, provenance.LaneKey(maker, 0)) // take the extra batch back
		w.state[provenance.HeadKey(device(0, 0), 1)] = block[0].entryOf(w, provenance.HeadKey(device(0, 0), 1))
	}
	for lane := range uint32(count) {
		require.Equal(t, uint64(3), at[provenance.Head](w, provenance.HeadKey(device(lane, 1), 1)).Last)
		m := at[provenance.Manifest](w, provenance.ManifestKey(maker, lane, 3))
		require.Equal(t, []provenance.Verdict{0, 0, provenance.WrongLane}, verdicts(m))
	}
}

func device(lane uint32, i int) string { return string(rune('a'+lane)) + string(rune('0'+i)) }

// entryOf is what a transaction wrote, as of now.
func (s *stub) entryOf(w *world, key string) entry {
	w.version++
	return entry{s.writes[key], w.version}
}

func TestCommitAsksThePeerFewTimes(t *testing.T) {
	w := newFleet(newTrade(t), "s1", "s2", "s3")
	s, _, err := w.endorse(maker, "readings:Commit", w.batch(maker, 0, 1, shot{device: "s1", sequence: 1}, shot{device: "s2", sequence: 1}, shot{device: "s3", sequence: 1}))
	require.NoError(t, err)
	require.Equal(t, 4, s.exchanges, "lane, devices, heads, writes")
}
