package contract

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestWhatWasSignedIsRecordedOnce drives a lane with random batches, in and out of order, with duplicates and forgeries, and holds it
// against the plainest model: a set of what was accepted. That both endorsers agree on every byte is checked in world.endorse.
func TestWhatWasSignedIsRecordedOnce(t *testing.T) {
	fleet := newFleet(newTrade(t), "s1", "s2", "s3")
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{TB: t, ledger: newLedger(), endorsers: fleet.endorsers, now: start}
		for key, e := range fleet.state {
			w.state[key] = e
		}
		w.version = fleet.version
		recorded := map[string]bool{}
		highest := map[string]uint64{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			shots := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) shot {
				return shot{
					device:   rapid.SampledFrom([]string{"s1", "s2", "s3", "unheard"}).Draw(rt, "device"),
					sequence: rapid.Uint64Range(1, 12).Draw(rt, "sequence"),
					spoil:    rapid.IntRange(0, 9).Draw(rt, "spoil") == 0,
					withhold: rapid.Bool().Draw(rt, "withhold"),
					count:    rapid.IntRange(1, 3).Draw(rt, "count"),
				}
			}), 1, 20).Draw(rt, "frames")
			manifest := w.commitBatch(maker, 0, shots...)
			got := verdicts(manifest)
			require.Len(rt, got, len(shots))
			readings := 0
			for i, s := range shots {
				name := fmt.Sprint(s.device, s.sequence)
				want := provenance.Accepted
				switch {
				case s.device == "unheard":
					want = provenance.UnknownDevice
				case s.spoil:
					want = provenance.BadSignature
				case recorded[name]:
					want = provenance.Replay
				default:
					recorded[name] = true
					highest[s.device] = max(highest[s.device], s.sequence)
					readings += s.count
				}
				require.Equal(rt, want, got[i], "frame %d: %+v", i, s)
			}
			require.Equal(rt, uint32(readings), manifest.Readings)
		}
		for device, last := range highest {
			head := at[provenance.Head](w, provenance.HeadKey(device, 1))
			require.Equal(rt, last, head.Last)
			for sequence := uint64(1); sequence <= last; sequence++ {
				missing := false
				for _, gap := range head.Gaps {
					missing = missing || gap.From <= sequence && sequence <= gap.To
				}
				require.Equal(rt, !recorded[fmt.Sprint(device, sequence)], missing, "%s %d", device, sequence)
			}
		}
	})
}
