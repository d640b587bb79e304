package faults

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// audit compares what publishers got a PUBACK for with the ledger, the log and the read models. What the ledger and the log hold it
// takes from the blocks themselves, without the projector.
type audit struct {
	acked  map[provenance.FrameID]*message
	frames map[provenance.FrameID]place // on the ledger
	batch  []batch
	leaves []provenance.Hash // of the log
	root   provenance.Hash   // over them
	anchor []*provenance.Checkpoint

	Height      uint64         `json:"blocks"`
	Recorded    int            `json:"framesRecorded"`
	Refusals    map[string]int `json:"refusedByContract"`   // by verdict
	Invalid     map[string]int `json:"invalidTransactions"` // by Fabric's code
	Checkpoints int            `json:"checkpoints"`         // anchored ones compared

	lost, altered map[provenance.FrameID]bool
	duplicated    int
	Findings      []string `json:"findings"` // in words; at most mostFindings
	findings      int
}

// place is where a frame stands.
type place struct {
	leaf        provenance.Hash
	transaction uint64 // index of its transaction's leaf in the log
	late        bool   // marked as back-filled
}

type batch struct {
	id     readmodel.BatchID
	leaf   uint64 // index of its transaction's leaf in the log
	frames []recorded
}

const mostFindings = 40

func newAudit(b *book) *audit {
	return &audit{
		acked: b.acked, frames: map[provenance.FrameID]place{}, Refusals: map[string]int{}, Invalid: map[string]int{},
		lost: map[provenance.FrameID]bool{}, altered: map[provenance.FrameID]bool{},
	}
}

// verdict is the run's last line.
func (a *audit) verdict() string {
	return fmt.Sprintf("lost %d, duplicated %d, altered %d", len(a.lost), a.duplicated, len(a.altered))
}

// clean tells whether nothing at all was found.
func (a *audit) clean() bool {
	return len(a.lost) == 0 && a.duplicated == 0 && len(a.altered) == 0 && a.findings == 0
}

func (a *audit) find(format string, args ...any) {
	if a.findings++; a.findings <= mostFindings {
		a.Findings = append(a.Findings, fmt.Sprintf(format, args...))
	}
}

func (a *audit) lose(id provenance.FrameID, where string) {
	if !a.lost[id] {
		a.lost[id] = true
		a.find("lost: frame %d of %s is not in %s", id.Sequence, id.Device, where)
	}
}

func (a *audit) alter(id provenance.FrameID, where string) {
	if !a.altered[id] {
		a.altered[id] = true
		a.find("altered: frame %d of %s is another one in %s", id.Sequence, id.Device, where)
	}
}

// ledger reads all blocks below a height.
func (a *audit) ledger(ctx context.Context, client *ledger.Client, height uint64) error {
	for raw := range client.Blocks(ctx, 0) {
		block, err := ledger.DecodeBlock(raw, client.Channel(), client.Chaincode())
		if err != nil {
			return err
		}
		for _, oddity := range block.Oddities {
			a.find("block %d, transaction %d: %s", block.Number, oddity.Index, oddity.Detail)
		}
		for i := range block.Transactions {
			if err := a.transaction(client.Channel(), block.Number, &block.Transactions[i]); err != nil {
				return fmt.Errorf("block %d, transaction %d: %w", block.Number, block.Transactions[i].Index, err)
			}
		}
		if a.Height = block.Number + 1; a.Height >= height {
			break
		}
	}
	if a.Height < height {
		return fmt.Errorf("the stream of blocks ended at %d of %d: %w", a.Height, height, ctx.Err())
	}
	a.root = evidence.Root(a.leaves)
	for id, m := range a.acked {
		switch at, there := a.frames[id]; {
		case !there:
			a.lose(id, "any block")
		case at.leaf != m.leaf:
			a.alter(id, "its block")
		case !at.late && m.last+provenance.BackfillAfter < provenance.TimeOf(m.sent):
			a.find("frame %d of %s was published %s after its last reading, and is not marked as back-filled", id.Sequence, id.Device, m.sent.Sub(m.last.Time()).Round(time.Second))
		}
	}
	return nil
}

func (a *audit) transaction(channel string, block uint64, tx *ledger.Transaction) error {
	if !tx.Valid() {
		a.Invalid[tx.Code.String()]++
		return nil
	}
	if tx.Event == nil && len(tx.Writes) == 0 {
		return nil
	}
	digest := evidence.Digest(tx.Writes)
	if hex.EncodeToString(tx.Event) != digest.String() {
		a.find("block %d, transaction %d: its event is not the digest of what it wrote", block, tx.Index)
		return nil
	}
	index := uint64(len(a.leaves))
	leaf := evidence.LogLeaf{Channel: channel, Block: block, Transaction: tx.Index, TransactionID: tx.ID, Digest: digest}
	a.leaves = append(a.leaves, evidence.LeafHash(leaf.Encode()))
	for _, w := range tx.Writes {
		if !strings.HasPrefix(w.Key, "c/") || len(w.Value) == 0 {
			continue
		}
		state, err := evidence.DecodeState(w.Key, w.Value)
		if err != nil {
			return err
		}
		if checkpoint, ok := state.(*provenance.Checkpoint); ok {
			a.anchor = append(a.anchor, checkpoint)
		}
	}
	found, err := framesOf(tx)
	if err != nil || found == nil && tx.Function != "readings:Commit" {
		return err
	}
	manifest, err := manifestOf(tx.Writes)
	if err != nil || manifest == nil {
		return err
	}
	for _, r := range manifest.Refused {
		a.Refusals[r.Verdict.String()]++
	}
	a.batch = append(a.batch, batch{readmodel.BatchID{Organisation: manifest.Organisation, Lane: manifest.Lane, Number: manifest.Number}, index, found})
	for _, f := range found {
		a.Recorded++
		if _, twice := a.frames[f.id]; twice {
			a.duplicated++
			a.find("duplicated: frame %d of %s is recorded again in block %d", f.id.Sequence, f.id.Device, block)
			continue
		}
		a.frames[f.id] = place{f.leaf, index, f.late}
	}
	return nil
}

// log compares the checkpoints that organisations anchored with the log that the blocks give.
func (a *audit) log() {
	a.Checkpoints = len(a.anchor)
	if len(a.anchor) == 0 {
		a.find("no organisation anchored a checkpoint")
	}
	for _, c := range a.anchor {
		if c.Size > uint64(len(a.leaves)) {
			a.find("%s signed a log of %d leaves, the blocks give %d", c.Organisation, c.Size, len(a.leaves))
		} else if evidence.Root(a.leaves[:c.Size]) != c.Root {
			a.find("%s signed another root for a log of %d leaves than the blocks give", c.Organisation, c.Size)
		}
	}
}

// node compares a node's database with the blocks. The node must not run.
func (a *audit) node(ctx context.Context, dir, channel string) error {
	name := filepath.Base(dir)
	store, err := readmodel.Open(ctx, filepath.Join(dir, "readmodel.db"), channel)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // nothing was written
	position, err := store.Position(ctx)
	if err != nil {
		return err
	}
	if position.Blocks < a.Height {
		a.find("%s holds %d blocks of %d", name, position.Blocks, a.Height)
	}
	if root, err := store.LogRoot(ctx, uint64(len(a.leaves))); err != nil {
		a.find("%s: %v", name, err)
	} else if root != a.root {
		a.find("%s has another log than the blocks give", name)
	}
	stats, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	if stats.Anomalies+stats.Contradictions > 0 {
		a.find("%s notes %d anomalies and %d contradictions", name, stats.Anomalies, stats.Contradictions)
	}
	if n, err := store.Disagreements(ctx); err != nil {
		return err
	} else if n > 0 {
		a.find("%s finds that %d checkpoints disagree", name, n)
	}
	return errors.Join(a.batches(ctx, store, name), a.readings(ctx, store, name))
}

// included looks for a batch's transaction in a node's log: its leaf is there, and a proof leads from it to the root that the blocks
// give.
func (a *audit) included(ctx context.Context, store *readmodel.Store, name string, b *batch) error {
	held, err := store.Transaction(ctx, b.leaf)
	absent := notFound(err)
	if err != nil && !absent {
		return err
	}
	if absent || evidence.LeafHash(held.LeafData) != a.leaves[b.leaf] {
		a.find("%s: leaf %d of the log, of batch %d of lane %d, is not the one that the blocks give", name, b.leaf, b.id.Number, b.id.Lane)
		return nil
	}
	size := uint64(len(a.leaves))
	path, err := store.InclusionProof(ctx, b.leaf, size)
	if err != nil {
		a.find("%s: proving leaf %d: %v", name, b.leaf, err)
		return nil
	}
	root, err := evidence.Proof{Size: size, Index: b.leaf, Path: path}.Root(a.leaves[b.leaf])
	if err != nil || root != a.root {
		a.find("%s: the proof of leaf %d, of batch %d of lane %d, does not lead to the log's root", name, b.leaf, b.id.Number, b.id.Lane)
	}
	return nil
}

// batches looks for every batch, its frames in their order, and its transaction's leaf.
func (a *audit) batches(ctx context.Context, store *readmodel.Store, name string) error {
	for i := range a.batch {
		b := &a.batch[i]
		if err := a.included(ctx, store, name, b); err != nil {
			return err
		}
		leaves, err := store.FrameLeaves(ctx, b.id)
		if notFound(err) {
			for _, f := range b.frames {
				a.lose(f.id, name)
			}
			continue
		}
		if err != nil {
			return err
		}
		if len(leaves) != len(b.frames) {
			a.find("%s: batch %d of lane %d has %d frames, in its block %d", name, b.id.Number, b.id.Lane, len(leaves), len(b.frames))
			continue
		}
		for i, f := range b.frames {
			if leaves[i] != f.leaf {
				a.alter(f.id, name)
			}
		}
		if len(b.frames) == 0 {
			continue
		}
		// One frame of each batch by the way that the API goes: index of frames, batch, stamp.
		f := b.frames[len(b.frames)/2]
		found, err := store.Frame(ctx, f.id)
		if notFound(err) {
			a.lose(f.id, name)
			continue
		}
		if err != nil {
			return err
		}
		if evidence.LeafHash(found.Raw) != f.leaf {
			a.alter(f.id, name)
		}
		if at := a.frames[f.id]; found.Stamp.Leaf != at.transaction {
			a.find("%s: frame %d of %s stands under leaf %d of the log, the blocks say %d", name, f.id.Sequence, f.id.Device, found.Stamp.Leaf, at.transaction)
		}
	}
	return nil
}

func notFound(err error) bool {
	refused := new(provenance.Error)
	return errors.As(err, &refused) && refused.Code == provenance.NotFound
}

// readings compares every reading of the read model with what was signed.
func (a *audit) readings(ctx context.Context, store *readmodel.Store, name string) error {
	devices := map[string]bool{}
	for id := range a.acked {
		devices[id.Device] = true
	}
	got := map[provenance.FrameID][]provenance.Reading{}
	for device := range devices {
		for query := (readmodel.RawQuery{Device: device, Paging: readmodel.Paging{Limit: readmodel.MaxRawLimit}}); ; {
			page, err := store.RawReadings(ctx, query)
			if err != nil {
				return err
			}
			for _, r := range page.Items {
				got[r.FrameID] = append(got[r.FrameID], provenance.Reading{Time: r.Time, Value: r.Value})
			}
			if query.After = page.Next; page.Next == "" {
				break
			}
		}
	}
	for id, m := range a.acked {
		_, payload, err := evidence.SplitMessage(m.body)
		if err != nil {
			return err
		}
		pack, err := evidence.ParsePayload(payload)
		if err != nil {
			return err
		}
		switch readings := got[id]; {
		case len(readings) == 0:
			a.lose(id, name)
		case len(readings) > len(pack.Readings):
			a.duplicated++
			a.find("duplicated: %s shows %d readings of frame %d of %s, %d were signed", name, len(readings), id.Sequence, id.Device, len(pack.Readings))
		case !slices.Equal(readings, pack.Readings):
			a.alter(id, name)
		}
	}
	return nil
}
