package projector

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// block is a block made ready for writing: everything that needs no database.
type block struct {
	*ledger.Block
	transactions []*transaction
	readings     int
}

// transaction is a transaction made ready.
type transaction struct {
	*ledger.Transaction
	block     uint64
	logged    bool // it has a leaf in the log
	digest    provenance.Hash
	states    []state
	batch     *readmodel.BatchRow
	anomalies []anomaly
	misfit    string // why its content was left out, found when it was written
}

type state struct {
	evidence.Write
	value any // nil: deleted
}

type anomaly struct{ kind, detail string }

// The kinds of anomaly, besides readmodel.AnomalyCheckpoint.
const (
	anomalyTransaction = "transaction" // it cannot be decoded
	anomalyForeign     = "foreign"     // another chaincode's transaction wrote to our state
	anomalyDigest      = "digest"      // the event does not carry the digest of the writes
	anomalyState       = "state"       // a record cannot be read
	anomalyBatch       = "batch"       // manifest and argument do not belong together
	anomalyContent     = "content"     // it contradicts what was projected before
)

func (t *transaction) odd(kind, format string, args ...any) {
	t.anomalies = append(t.anomalies, anomaly{kind, fmt.Sprintf(format, args...)})
}

func (p *Projector) prepare(raw *common.Block) (*block, error) {
	decoded, err := ledger.DecodeBlock(raw, p.config.Channel, p.config.Chaincode)
	if err != nil {
		return nil, err
	}
	b := &block{Block: decoded}
	for i := range decoded.Transactions {
		t := prepareTransaction(decoded.Number, &decoded.Transactions[i])
		if t.batch != nil {
			b.readings += int(t.batch.Manifest.Readings)
		}
		b.transactions = append(b.transactions, t)
	}
	return b, nil
}

func prepareTransaction(number uint64, decoded *ledger.Transaction) *transaction {
	t := &transaction{Transaction: decoded, block: number}
	switch {
	case !t.Valid():
		return t
	case t.Foreign:
		t.odd(anomalyForeign, "a transaction of another chaincode (%s) wrote %d records of ours", t.Function, len(t.Writes))
		return t
	case t.Event == nil && len(t.Writes) == 0:
		return t
	}
	t.digest = evidence.Digest(t.Writes)
	if len(t.Event) != len(t.digest) || provenance.Hash(t.Event) != t.digest {
		t.odd(anomalyDigest, "%s set an event of %x, its records have digest %s; it is not part of the log", t.Function, t.Event[:min(len(t.Event), 64)], t.digest)
		return t
	}
	t.logged = true
	for _, w := range t.Writes {
		if len(w.Value) == 0 {
			t.states = append(t.states, state{w, nil})
			continue
		}
		value, err := evidence.DecodeState(w.Key, w.Value)
		if err != nil {
			t.odd(anomalyState, "%v", err)
			continue
		}
		t.states = append(t.states, state{w, value})
		if manifest, ok := value.(*provenance.Manifest); ok {
			t.prepareBatch(manifest, w.Value)
		}
	}
	return t
}

// prepareBatch takes the batch's frames apart and holds them against the manifest.
func (t *transaction) prepareBatch(m *provenance.Manifest, value []byte) {
	name := fmt.Sprintf("batch %d of %s, lane %d", m.Number, m.Organisation, m.Lane)
	if t.batch != nil || len(t.Args) != 1 {
		t.odd(anomalyBatch, "%s: a transaction of %d arguments with more than a batch", name, len(t.Args))
		return
	}
	if provenance.Hash(sha256.Sum256(t.Args[0])) != m.Argument {
		t.odd(anomalyBatch, "%s: the argument is not the one that the manifest names", name)
		return
	}
	decoded, err := evidence.DecodeBatch(t.Args[0])
	if err != nil {
		t.odd(anomalyBatch, "%s: %v", name, err)
		return
	}
	frames, err := acceptedFrames(m, decoded)
	if err != nil {
		t.odd(anomalyBatch, "%s: %v", name, err)
		return
	}
	t.batch = &readmodel.BatchRow{Block: t.block, Manifest: m, Value: value, Argument: t.Args[0], Frames: frames}
}

// acceptedFrames gives the frames of a batch that its manifest does not list as refused, and checks the manifest's root over them.
func acceptedFrames(m *provenance.Manifest, b *evidence.Batch) ([]readmodel.FrameReadings, error) {
	if len(b.Frames) != int(m.Frames)+len(m.Refused) {
		return nil, fmt.Errorf("%d frames, but %d accepted and %d refused", len(b.Frames), m.Frames, len(m.Refused))
	}
	frames, leaves := make([]readmodel.FrameReadings, 0, m.Frames), make([]provenance.Hash, 0, m.Frames)
	refused, readings := m.Refused, uint64(0)
	for i := range b.Frames {
		if len(refused) > 0 && refused[0].Position == uint32(i) {
			refused = refused[1:]
			continue
		}
		leaf := uint32(len(leaves))
		leaves = append(leaves, evidence.LeafHash(b.Frames[i].Raw))
		f, err := readFrame(&b.Frames[i])
		if err != nil {
			return nil, fmt.Errorf("accepted frame %d: %w", i, err)
		}
		f.Leaf = leaf
		_, f.Backfilled = slices.BinarySearch(m.Backfilled, leaf)
		readings += uint64(f.Count)
		frames = append(frames, f)
	}
	if root := evidence.Root(leaves); root != m.Root || len(refused) != 0 {
		return nil, fmt.Errorf("the accepted frames have root %s, the manifest says %s", root, m.Root)
	}
	if readings != uint64(m.Readings) {
		return nil, fmt.Errorf("the accepted frames hold %d readings, the manifest says %d", readings, m.Readings)
	}
	return frames, nil
}

func readFrame(carried *evidence.BatchFrame) (f readmodel.FrameReadings, err error) {
	parsed, err := evidence.ParseFrame(carried.Raw)
	if err != nil {
		return f, err
	}
	f = readmodel.FrameReadings{
		ID: parsed.ID, First: parsed.First, Last: parsed.Last, Published: parsed.Published, Received: carried.Received, Count: uint32(parsed.Count),
	}
	if carried.Payload == nil {
		return f, nil
	}
	pack, err := evidence.ParsePayload(carried.Payload)
	if err != nil {
		return f, err
	}
	if len(pack.Readings) != parsed.Count {
		return f, fmt.Errorf("%d readings, the signed header says %d", len(pack.Readings), parsed.Count)
	}
	f.Readings = pack.Readings
	return f, nil
}
