// Package receipt makes the files that prove, without a network, what stands on the ledger: a record, its place in the log,
// and the checkpoints under which organisations vouch for that log. It may import gateway/readmodel, chaincode/provenance and
// chaincode/evidence.
package receipt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// ErrNotYetAnchored says that no checkpoint covers a record so far; see NotYetAnchoredError.
var ErrNotYetAnchored = errors.New("not yet anchored")

// NotYetAnchoredError says which size a checkpoint must have: wait for one (a change of kind "checkpoint"), which takes a few
// seconds, and ask again.
type NotYetAnchoredError struct {
	Size  uint64 // that a checkpoint needs at least
	Have  int    // organisations whose checkpoints cover it
	Asked int    // organisations that were asked for
}

func (e *NotYetAnchoredError) Error() string {
	return fmt.Sprintf("%d of %d organisations have anchored a checkpoint of size %d or more; ask again in a few seconds", e.Have, e.Asked, e.Size)
}

func (e *NotYetAnchoredError) Unwrap() error { return ErrNotYetAnchored }

// Builder makes receipts from a read model.
type Builder struct {
	store  *readmodel.Store
	quorum int
}

// New prepares a builder. A receipt is given out when at least quorum organisations' checkpoints cover it (at least one).
func New(store *readmodel.Store, quorum int) *Builder { return &Builder{store, max(quorum, 1)} }

// Reading makes the receipt of one reading.
func (b *Builder) Reading(ctx context.Context, id provenance.FrameID, index uint32) ([]byte, error) {
	frame, err := b.store.Frame(ctx, id)
	if err != nil {
		return nil, err
	}
	if frame.Payload == nil {
		return nil, provenance.NotFoundf("the readings of frame %d of epoch %d of device %q are confidential; their payload is not on the channel", id.Sequence, id.Epoch, id.Device)
	}
	pack, err := evidence.ParsePayload(frame.Payload)
	if err != nil {
		return nil, fmt.Errorf("reading a payload of the read model: %w", err)
	}
	if int(index) >= len(pack.Readings) {
		return nil, provenance.NotFoundf("frame %d of epoch %d of device %q has readings 0 to %d, no reading %d", id.Sequence, id.Epoch, id.Device, len(pack.Readings)-1, index)
	}
	leaves, err := b.store.FrameLeaves(ctx, frame.Batch)
	if err != nil {
		return nil, err
	}
	proof, err := evidence.Prove(leaves, uint64(frame.Leaf))
	if err != nil {
		return nil, fmt.Errorf("proving frame %d of its batch: %w", frame.Leaf, err)
	}
	manifest := provenance.ManifestKey(frame.Batch.Organisation, frame.Batch.Lane, frame.Batch.Number)
	device, err := b.store.VersionBefore(ctx, provenance.DeviceKeyState(id.Device), frame.Stamp.Leaf)
	if err != nil {
		return nil, err
	}
	reading := pack.Readings[index]
	subject := &evidence.Subject{
		Frame: frame.Raw, Payload: frame.Payload, Proof: proof,
		Reading: evidence.SubjectReading{Index: index, Time: reading.Time, Value: reading.Value},
	}
	return b.build(ctx, evidence.ReceiptReading, subject, place{manifest, frame.Stamp.Leaf}, place{device.Key, device.Stamp.Leaf})
}

// Alert makes the receipt of an alert as it stands now, with the model and the shipment that were in force when it was written.
func (b *Builder) Alert(ctx context.Context, shipment, id string) ([]byte, error) {
	alert, err := b.store.Alert(ctx, shipment, id)
	if err != nil {
		return nil, err
	}
	model, err := b.store.VersionBefore(ctx, provenance.ModelKey(alert.ModelName, alert.ModelVersion), alert.Stamp.Leaf)
	if err != nil {
		return nil, err
	}
	goods, err := b.store.VersionBefore(ctx, provenance.ShipmentKey(shipment), alert.Stamp.Leaf)
	if err != nil {
		return nil, err
	}
	return b.build(ctx, evidence.ReceiptAlert, nil,
		place{provenance.AlertKey(shipment, id), alert.Stamp.Leaf}, place{model.Key, model.Stamp.Leaf}, place{goods.Key, goods.Stamp.Leaf})
}

// Record makes the receipt of the newest version of any record.
func (b *Builder) Record(ctx context.Context, key string) ([]byte, error) {
	history, err := b.store.History(ctx, key, readmodel.Paging{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(history.Items) == 0 {
		return nil, provenance.NotFoundf("the ledger holds no record %q", key)
	}
	return b.build(ctx, evidence.ReceiptRecord, nil, place{key, history.Items[0].Stamp.Leaf})
}

// place is where a version of a record stands.
type place struct {
	key  string
	leaf uint64
}

func (b *Builder) build(ctx context.Context, kind string, subject *evidence.Subject, places ...place) ([]byte, error) {
	needed := uint64(0)
	for _, p := range places {
		needed = max(needed, p.leaf+1)
	}
	checkpoints, err := b.store.Covering(ctx, needed)
	if err != nil {
		return nil, err
	}
	if len(checkpoints) < b.quorum {
		return nil, &NotYetAnchoredError{Size: needed, Have: len(checkpoints), Asked: b.quorum}
	}
	sort.Slice(checkpoints, func(i, j int) bool { return checkpoints[i].Organisation < checkpoints[j].Organisation })
	receipt := &evidence.Receipt{Version: 1, Kind: kind, Subject: subject}
	for _, c := range checkpoints {
		receipt.Notes = append(receipt.Notes, c.Note)
	}
	for _, p := range places {
		entry, err := b.entry(ctx, p, checkpoints)
		if err != nil {
			return nil, fmt.Errorf("proving %s: %w", p.key, err)
		}
		receipt.Entries = append(receipt.Entries, *entry)
	}
	return receipt.Encode()
}

func (b *Builder) entry(ctx context.Context, p place, checkpoints []readmodel.Checkpoint) (*evidence.Entry, error) {
	transaction, writes, err := b.store.Records(ctx, p.leaf)
	if err != nil {
		return nil, err
	}
	index := -1
	for i, w := range writes {
		if w.Key == p.key {
			index = i
		}
	}
	if index < 0 {
		return nil, errors.New("its transaction does not hold it; rebuild the read model")
	}
	entry := &evidence.Entry{Leaf: transaction.LeafData, Record: evidence.EncodeRecord(writes[index]), Index: p.leaf}
	if entry.RecordProof, err = evidence.Prove(evidence.RecordLeaves(writes), uint64(index)); err != nil {
		return nil, err
	}
	for _, c := range checkpoints {
		path, err := b.store.InclusionProof(ctx, p.leaf, c.Size)
		if err != nil {
			return nil, err
		}
		entry.Paths = append(entry.Paths, path)
	}
	return entry, nil
}

// TrustExport writes trust.json: the log keys that the organisations have on the ledger. Quorum 0 means the builder's.
func (b *Builder) TrustExport(ctx context.Context, quorum int) ([]byte, error) {
	organisations, err := b.store.Organisations(ctx)
	if err != nil {
		return nil, err
	}
	if quorum == 0 {
		quorum = b.quorum
	}
	if quorum < 1 || quorum > len(organisations) {
		return nil, provenance.Invalidf("a quorum of %d among %d registered organisations cannot be", quorum, len(organisations))
	}
	trust := evidence.Trust{Version: 1, Channel: b.store.Channel(), Quorum: quorum}
	for _, o := range organisations {
		trust.Organisations = append(trust.Organisations, evidence.PinnedOrganisation{MSPID: o.ID, Name: o.Name, LogKey: o.LogKey})
	}
	data, err := json.MarshalIndent(trust, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}
