package projector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// misfitError says that a transaction's content contradicts the read model; it is written without its content then.
type misfitError struct {
	transaction *transaction
	cause       error
}

func (e *misfitError) Error() string { return e.cause.Error() }
func (e *misfitError) Unwrap() error { return e.cause }

// application puts prepared blocks into one database transaction.
type application struct {
	projector *Projector
	writer    *readmodel.Writer
	changes   *changes
	newest    provenance.Time

	frames, readings, anomalies int
}

func (a *application) block(b *block) error {
	odd := func(index uint64, kind, detail string, at provenance.Time) error {
		a.anomalies++
		a.changes.add(readmodel.Change{Kind: readmodel.ChangedAnomaly, ID: kind, Block: b.Number})
		return a.writer.AddAnomaly(b.Number, index, kind, detail, at)
	}
	for _, oddity := range b.Oddities {
		if err := odd(oddity.Index, anomalyTransaction, oddity.Detail, 0); err != nil {
			return err
		}
	}
	for _, t := range b.transactions {
		if !t.Valid() {
			a.writer.AddInvalid()
			continue
		}
		for _, found := range t.anomalies {
			if err := odd(t.Index, found.kind, found.detail, t.Time); err != nil {
				return err
			}
		}
		if t.misfit != "" {
			if err := odd(t.Index, anomalyContent, t.misfit, t.Time); err != nil {
				return err
			}
		}
		if !t.logged {
			continue
		}
		if err := a.transaction(t); err != nil {
			if content := new(readmodel.ContentError); errors.As(err, &content) && t.misfit == "" {
				return &misfitError{t, err}
			}
			return fmt.Errorf("projecting transaction %d of block %d: %w", t.Index, b.Number, err)
		}
	}
	return a.writer.EndBlock(b.Number)
}

func (a *application) transaction(t *transaction) error {
	leaf, err := a.writer.AddTransaction(&readmodel.TransactionRow{
		Block: t.block, Index: t.Index, ID: t.ID, Time: t.Time, Function: t.Function, Creator: t.Creator, Digest: t.digest, Writes: t.Writes,
	})
	if err != nil || t.misfit != "" {
		return err
	}
	a.newest = max(a.newest, t.Time)
	// Devices before heads, organisations before checkpoints: within a transaction the order of keys is no order of events.
	slices.SortStableFunc(t.states, func(x, y state) int { return cmp.Compare(rank(x.value), rank(y.value)) })
	for _, s := range t.states {
		if s.value == nil {
			err = a.writer.DeleteState(leaf, s.Key)
		} else {
			err = a.writer.PutState(leaf, s.Key, s.Value, s.value)
			a.changes.state(t.block, s.value)
		}
		if err != nil {
			return err
		}
		if shipment, ok := s.value.(*provenance.Shipment); ok {
			a.projector.reattach(shipment)
		}
	}
	if t.batch == nil {
		return nil
	}
	t.batch.Leaf = leaf
	if err := a.writer.AddBatch(t.batch); err != nil {
		return err
	}
	for i := range t.batch.Frames {
		f := &t.batch.Frames[i]
		a.frames++
		a.readings += int(f.Count)
		a.changes.frame(t.block, f, a.projector.attached[f.ID.Device])
	}
	return nil
}

func rank(value any) int {
	switch value.(type) {
	case *provenance.Organisation, *provenance.Device:
		return 0
	}
	return 1
}
