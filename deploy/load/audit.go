package load

import (
	"context"
	"fmt"
	"sync"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// Audit compares what publishers got an acknowledgement for with what stands on the ledger.
type Audit struct {
	mu       sync.Mutex
	expected map[provenance.FrameID]provenance.Hash

	Batches    int
	Frames     int // recorded, whoever published them
	Refused    map[provenance.Verdict]int
	Invalid    map[string]int // transactions of readings:Commit that Fabric found invalid, by code
	Bytes      int            // of the envelopes of valid commits in blocks
	Duplicated []provenance.FrameID
	Altered    []provenance.FrameID
	recorded   map[provenance.FrameID]provenance.Hash
}

// NewAudit begins with nothing expected.
func NewAudit() *Audit {
	return &Audit{
		expected: map[provenance.FrameID]provenance.Hash{}, recorded: map[provenance.FrameID]provenance.Hash{},
		Refused: map[provenance.Verdict]int{}, Invalid: map[string]int{},
	}
}

// Expect says that a publisher has the broker's acknowledgement for a frame.
func (a *Audit) Expect(m *Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expected[m.ID] = m.Leaf
}

// Expected counts the acknowledged frames.
func (a *Audit) Expected() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.expected)
}

// Lost lists the acknowledged frames that the ledger does not hold, among the blocks seen.
func (a *Audit) Lost() []provenance.FrameID {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lost []provenance.FrameID
	for id := range a.expected {
		if _, there := a.recorded[id]; !there {
			lost = append(lost, id)
		}
	}
	return lost
}

// Summary is the verdict in one line.
func (a *Audit) Summary() string {
	return fmt.Sprintf("lost %d, duplicated %d, altered %d", len(a.Lost()), len(a.Duplicated), len(a.Altered))
}

// Read audits the ledger's blocks from a number on, up to and with another one.
func (a *Audit) Read(ctx context.Context, client *ledger.Client, from, to uint64) error {
	if from > to {
		return nil
	}
	for raw := range client.Blocks(ctx, from) {
		block, err := ledger.DecodeBlock(raw, client.Channel(), client.Chaincode())
		if err != nil {
			return err
		}
		for i := range block.Transactions {
			tx := &block.Transactions[i]
			if tx.Function != "readings:Commit" && tx.Valid() {
				continue
			}
			if err := a.transaction(tx, len(raw.Data.Data[tx.Index])); err != nil {
				return fmt.Errorf("block %d, transaction %d: %w", block.Number, tx.Index, err)
			}
		}
		if block.Number >= to {
			return nil
		}
	}
	return ctx.Err()
}

func (a *Audit) transaction(tx *ledger.Transaction, bytes int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !tx.Valid() {
		a.Invalid[tx.Code.String()]++
		return nil
	}
	batch, err := evidence.DecodeBatch(tx.Args[0])
	if err != nil {
		return err
	}
	manifest, err := manifestOf(tx.Writes)
	if err != nil {
		return err
	}
	refused := map[uint32]bool{}
	for _, r := range manifest.Refused {
		refused[r.Position] = true
		a.Refused[r.Verdict]++
	}
	a.Batches++
	a.Bytes += bytes
	for i, f := range batch.Frames {
		if refused[uint32(i)] {
			continue
		}
		frame, err := evidence.ParseFrame(f.Raw)
		if err != nil {
			return err
		}
		leaf := evidence.LeafHash(f.Raw)
		if _, twice := a.recorded[frame.ID]; twice {
			a.Duplicated = append(a.Duplicated, frame.ID)
		}
		a.recorded[frame.ID] = leaf
		a.Frames++
		if want, known := a.expected[frame.ID]; known && want != leaf {
			a.Altered = append(a.Altered, frame.ID)
		}
	}
	return nil
}

func manifestOf(writes []evidence.Write) (*provenance.Manifest, error) {
	for _, w := range writes {
		if len(w.Key) > 2 && w.Key[:2] == "b/" {
			state, err := evidence.DecodeState(w.Key, w.Value)
			if err != nil {
				return nil, err
			}
			return state.(*provenance.Manifest), nil
		}
	}
	return nil, fmt.Errorf("a valid commit wrote no manifest")
}
