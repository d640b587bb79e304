package readmodel

import (
	"database/sql"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// putCheckpoint keeps an anchored checkpoint and holds it against our own log. That depends on blocks alone, so it belongs to the
// projection.
func (w *Writer) putCheckpoint(leaf uint64, c *provenance.Checkpoint, value []byte) error {
	agreement, err := w.compare(c)
	if err != nil {
		return err
	}
	if agreement == Unchecked {
		w.unchecked++
	}
	err = w.exec(`INSERT INTO checkpoints (size, organisation, leaf, agreement, value) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (size, organisation) DO UPDATE SET leaf = excluded.leaf, agreement = excluded.agreement, value = excluded.value`,
		int64(c.Size), c.Organisation, int64(leaf), int64(agreement), value)
	if err != nil {
		return err
	}
	return w.alarm(leaf, c, agreement)
}

// alarm notes a checkpoint that does not agree.
func (w *Writer) alarm(leaf uint64, c *provenance.Checkpoint, agreement Agreement) error {
	detail := fmt.Sprintf("the checkpoint of %s at size %d cannot be opened with the organisation's log key", c.Organisation, c.Size)
	switch agreement {
	case Unchecked, Agrees:
		return nil
	case Disagrees:
		detail = fmt.Sprintf("%s signed root %s at size %d, and our log has another: somebody was shown another ledger", c.Organisation, c.Root, c.Size)
	}
	var block, transaction int64
	if _, err := w.row(`SELECT block, tx FROM transactions WHERE leaf = ?`, []any{int64(leaf)}, &block, &transaction); err != nil {
		return err
	}
	return w.AddAnomaly(uint64(block), uint64(transaction), AnomalyCheckpoint, detail, c.Anchored)
}

// AnomalyCheckpoint is the kind of anomaly that a disagreeing or unreadable checkpoint is.
const AnomalyCheckpoint = "checkpoint"

func (w *Writer) compare(c *provenance.Checkpoint) (Agreement, error) {
	var value []byte
	found, err := w.row(`SELECT value FROM organisations WHERE id = ?`, []any{c.Organisation}, &value)
	if err != nil || !found {
		return Unreadable, err
	}
	organisation, err := decodeState[provenance.Organisation](value)
	if err != nil {
		return Unreadable, err
	}
	if !opens(c, organisation.LogKey, w.store.channel) {
		return Unreadable, nil
	}
	return w.agrees(c)
}

// opens tells whether a checkpoint's note is of this key and says what the record says.
func opens(c *provenance.Checkpoint, logKey, channel string) bool {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return false
	}
	size, root, err := evidence.OpenCheckpoint(c.Note, verifier, channel)
	return err == nil && size == c.Size && root == c.Root
}

func (w *Writer) agrees(c *provenance.Checkpoint) (Agreement, error) {
	if c.Size > w.position.logSize {
		return Unchecked, nil
	}
	tree, err := treeOf(c.Size, w.rows)
	if err != nil {
		return Unchecked, err
	}
	own, err := rootOf(tree)
	if err != nil {
		return Unchecked, err
	}
	if own != c.Root {
		return Disagrees, nil
	}
	return Agrees, nil
}

// checkLater holds checkpoints that were ahead of our log against it once it has grown.
func (w *Writer) checkLater() error {
	type pending struct {
		leaf  uint64
		value []byte
	}
	var reached []pending
	err := w.rows(`SELECT leaf, value FROM checkpoints WHERE agreement = ? AND size <= ? ORDER BY size, organisation`,
		[]any{int64(Unchecked), int64(w.position.logSize)}, func(r *sql.Rows) error {
			var p pending
			err := r.Scan(&p.leaf, &p.value)
			reached = append(reached, p)
			return err
		})
	if err != nil {
		return err
	}
	for _, p := range reached {
		c, err := decodeState[provenance.Checkpoint](p.value)
		if err != nil {
			return err
		}
		agreement, err := w.agrees(c)
		if err != nil {
			return err
		}
		if err := w.exec(`UPDATE checkpoints SET agreement = ? WHERE organisation = ? AND size = ?`, int64(agreement), c.Organisation, int64(c.Size)); err != nil {
			return err
		}
		if err := w.alarm(p.leaf, c, agreement); err != nil {
			return err
		}
		w.unchecked--
	}
	return nil
}
