package contract

import (
	"crypto"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// shot is a frame to be made.
type shot struct {
	device   string
	epoch    uint32 // 0: 1
	sequence uint64
	signer   crypto.Signer   // nil: the device's first key
	last     provenance.Time // 0: a minute ago
	late     provenance.Time // how long after its last reading it arrived
	count    int             // 0: 1
	unit     string          // "": Cel
	spoil    bool            // break the signature
	withhold bool            // send no payload
}

// frame signs a frame as its device would.
func (w *world) frame(s shot) evidence.BatchFrame {
	w.Helper()
	if s.epoch == 0 {
		s.epoch = 1
	}
	if s.signer == nil {
		s.signer = deviceKey(s.device, 0)
	}
	if s.last == 0 {
		s.last = w.now - minute
	}
	if s.unit == "" {
		s.unit = "Cel"
	}
	pack := &evidence.Pack{Device: s.device, Unit: s.unit}
	for i := range max(s.count, 1) {
		pack.Readings = append(pack.Readings, provenance.Reading{
			Time:  s.last - provenance.Time(max(s.count, 1)-1-i)*minute,
			Value: 4_000_000 + provenance.Micro(s.sequence%10)*100_000 + provenance.Micro(i%7)*100_000,
		})
	}
	message, err := evidence.SignFrame(s.signer, s.epoch, s.sequence, pack, s.last+1000)
	require.NoError(w, err)
	raw, payload, err := evidence.SplitMessage(message)
	require.NoError(w, err)
	if s.spoil {
		raw = slices.Clone(raw)
		raw[len(raw)-1] ^= 1
	}
	if s.withhold {
		payload = nil
	}
	return evidence.BatchFrame{Received: s.last + max(s.late, 1000), Raw: raw, Payload: payload}
}

// batch encodes frames as the lane's batch of that number, with the lane's fence.
func (w *world) batch(organisation string, lane uint32, number uint64, shots ...shot) []byte {
	w.Helper()
	b := &evidence.Batch{Organisation: organisation, Lane: lane, Number: number, Fence: 1}
	if _, ok := w.state[provenance.LaneKey(organisation, lane)]; ok {
		b.Fence = at[provenance.Lane](w, provenance.LaneKey(organisation, lane)).Fence
	}
	for _, s := range shots {
		b.Frames = append(b.Frames, w.frame(s))
	}
	return w.encode(b)
}

func (w *world) encode(b *evidence.Batch) []byte {
	w.Helper()
	argument, err := evidence.EncodeBatch(b)
	require.NoError(w, err)
	return argument
}

// commitBatch commits the lane's next batch and returns its manifest.
func (w *world) commitBatch(organisation string, lane uint32, shots ...shot) *provenance.Manifest {
	w.Helper()
	number := at[provenance.Lane](w, provenance.LaneKey(organisation, lane)).Number + 1
	result := w.must(organisation, "readings:Commit", w.batch(organisation, lane, number, shots...))
	manifest := new(provenance.Manifest)
	require.NoError(w, evidence.Unmarshal([]byte(result), manifest))
	require.Equal(w, at[provenance.Manifest](w, provenance.ManifestKey(organisation, lane, number)), manifest)
	return manifest
}

// verdicts lists what became of each frame of a batch.
func verdicts(m *provenance.Manifest) []provenance.Verdict {
	all := make([]provenance.Verdict, int(m.Frames)+len(m.Refused))
	for _, r := range m.Refused {
		all[r.Position] = r.Verdict
	}
	return all
}

func (w *world) claim(organisation string, lane uint32, owner string) {
	w.Helper()
	w.must(organisation, "lanes:Claim", provenance.LaneClaim{Lane: lane, Owner: owner})
}

// newFleet is a trade where the maker has claimed lane 0 and enrolled devices in it.
func newFleet(w *world, names ...string) *world {
	w.Helper()
	w.claim(maker, 0, "ingest-1")
	w.enrol(maker, 0, names...)
	return w
}
