package readmodel

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/transparency-dev/merkle/compact"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Writer puts what blocks say into the read model, within one database transaction. It is not for concurrent use, and is of
// no use after the Update that gave it.
type Writer struct {
	ctx   context.Context
	store *Store
	tx    *sql.Tx
	*writerState
	dirty []*segment
	heads map[headID]*headRow
	order []headID
}

// writerState is what writers remember of the database from one Update to the next; after a failure it is thrown away.
type writerState struct {
	position counters
	tree     *compact.Range
	devices  map[string]int64 // row ids, as far as they were needed
	segments map[int64]*segment
	// unchecked counts anchored checkpoints of sizes that the log has not reached.
	unchecked int
}

// counters is the row of the table position.
type counters struct {
	blocks, logSize, invalid, frames, readings, refused, late uint64
	lastTime                                                  provenance.Time
}

// maxOpenSegments bounds the memory for segments that are being added to, at up to 6 kB each.
const maxOpenSegments = 20_000

// Update runs f in one database transaction: all that it wrote becomes visible at once, or, when f or the commit fails,
// nothing of it. Updates go one after the other.
func (s *Store) Update(ctx context.Context, f func(w *Writer) error) (err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // half a transaction helps nobody, and a block is written in less than a second
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning to write the read model: %w", err)
	}
	defer func() {
		if err != nil {
			s.state = nil
			if undone := tx.Rollback(); undone != nil && !errors.Is(undone, sql.ErrTxDone) {
				err = errors.Join(err, undone)
			}
		}
	}()
	w := &Writer{ctx: ctx, store: s, tx: tx, heads: map[headID]*headRow{}}
	if s.state == nil {
		if s.state, err = w.load(); err != nil {
			return err
		}
	}
	w.writerState = s.state
	if err = f(w); err != nil {
		return err
	}
	if err = w.flush(); err != nil {
		return err
	}
	if err = tx.Commit(); err != nil {
		return fmt.Errorf("committing to the read model: %w", err)
	}
	return nil
}

func (w *Writer) load() (*writerState, error) {
	state := &writerState{devices: map[string]int64{}, segments: map[int64]*segment{}}
	p := &state.position
	_, err := w.row(`SELECT blocks, log_size, last_time, invalid, frames, readings, refused, late FROM position WHERE id = 1`, nil,
		&p.blocks, &p.logSize, &p.lastTime, &p.invalid, &p.frames, &p.readings, &p.refused, &p.late)
	if err != nil {
		return nil, err
	}
	if _, err := w.row(`SELECT COUNT(*) FROM checkpoints WHERE agreement = ?`, []any{int64(Unchecked)}, &state.unchecked); err != nil {
		return nil, err
	}
	state.tree, err = treeOf(p.logSize, w.rows)
	return state, err
}

// ContentError says that what a block brings contradicts what stands in the read model already, or has no place in it. The Update that
// met it must be given up; another one without that transaction's content will do.
type ContentError struct{ Detail string }

func (e *ContentError) Error() string { return e.Detail }

func (w *Writer) rows(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := w.tx.QueryContext(w.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the read model: %w", err)
	}
	return eachRow(rows, scan)
}

// statement prepares a query once for the life of the store, on the one connection that writes.
func (w *Writer) statement(query string) (*sql.Stmt, error) {
	stmt := w.store.statements[query]
	if stmt == nil {
		var err error
		if stmt, err = w.store.conn.PrepareContext(w.ctx, query); err != nil {
			return nil, fmt.Errorf("preparing to write the read model: %w", err)
		}
		w.store.statements[query] = stmt
	}
	return stmt, nil
}

func (w *Writer) exec(query string, args ...any) error {
	stmt, err := w.statement(query) //nolint:sqlclosecheck // it is kept; Close closes it
	if err != nil {
		return err
	}
	if _, err := stmt.ExecContext(w.ctx, args...); err != nil {
		verb, _, _ := strings.Cut(query, " (")
		if isConstraint(err) {
			return &ContentError{fmt.Sprintf("%s: %v", verb, err)}
		}
		return fmt.Errorf("writing the read model (%s): %w", verb, err)
	}
	return nil
}

// row runs a query for one row; found is false where there is none.
func (w *Writer) row(query string, args []any, into ...any) (found bool, err error) {
	stmt, err := w.statement(query) //nolint:sqlclosecheck // it is kept; Close closes it
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(w.ctx, args...).Scan(into...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the read model: %w", err)
	}
	return true, nil
}

// Blocks is the number of the next block that is wanted.
func (w *Writer) Blocks() uint64 { return w.position.blocks }

// EndBlock says that all of a block was handed over. Blocks come in order, without a hole.
func (w *Writer) EndBlock(number uint64) error {
	if number != w.position.blocks {
		return fmt.Errorf("block %d handed over, block %d is wanted", number, w.position.blocks)
	}
	w.position.blocks++
	if w.unchecked > 0 {
		return w.checkLater()
	}
	return nil
}

// AddInvalid counts a transaction of ours that Fabric found invalid.
func (w *Writer) AddInvalid() { w.position.invalid++ }

// TransactionRow is a valid transaction of our chaincode that recorded something.
type TransactionRow struct {
	Block    uint64
	Index    uint64
	ID       []byte // 32 bytes
	Time     provenance.Time
	Function string
	Creator  string
	Digest   provenance.Hash
	Writes   []evidence.Write // sorted by key
}

var (
	compressor, _   = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	decompressor, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
)

// AddTransaction appends a transaction to the log and keeps its records, of which receipts are made. It returns the leaf's index.
func (w *Writer) AddTransaction(t *TransactionRow) (leaf uint64, err error) {
	records, err := packRecords(t.Writes)
	if err != nil {
		return 0, err
	}
	leaf = w.position.logSize
	err = w.exec(`INSERT INTO transactions (leaf, block, tx, txid, time, function, creator, digest, records) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(leaf), int64(t.Block), int64(t.Index), t.ID, int64(t.Time), t.Function, t.Creator, t.Digest[:], records)
	if err != nil {
		return 0, err
	}
	hash := evidence.LeafHash(evidence.LogLeaf{Channel: w.store.channel, Block: t.Block, Transaction: t.Index, TransactionID: t.ID, Digest: t.Digest}.Encode())
	var failed error
	err = w.tree.Append(hash[:], func(id compact.NodeID, hash []byte) {
		if failed == nil {
			failed = w.exec(`INSERT INTO nodes (id, hash) VALUES (?, ?)`, nodeRow(id), bytes.Clone(hash))
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	w.position.logSize++
	w.position.lastTime = max(w.position.lastTime, t.Time)
	return leaf, nil
}

// AddAnomaly notes something that does not fit.
func (w *Writer) AddAnomaly(block, transaction uint64, kind, detail string, at provenance.Time) error {
	if len(detail) > 1000 {
		detail = strings.ToValidUTF8(detail[:1000], "") + "…"
	}
	return w.exec(`INSERT INTO anomalies (id, block, tx, kind, detail, time)
		VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM anomalies), ?, ?, ?, ?, ?)`, int64(block), int64(transaction), kind, strings.ToValidUTF8(detail, "?"), int64(at))
}

// flush writes what was gathered over the transaction: heads, segments, position.
func (w *Writer) flush() error {
	if err := w.flushHeads(); err != nil {
		return err
	}
	slices.SortFunc(w.dirty, func(a, b *segment) int { return int(min(max(a.id-b.id, -1), 1)) })
	for _, s := range w.dirty {
		err := w.exec(`INSERT INTO segments (id, block, first_time, last_time, last_value, hours, data) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET block = excluded.block, first_time = excluded.first_time, last_time = excluded.last_time,
			last_value = excluded.last_value, hours = excluded.hours, data = excluded.data`,
			s.id, int64(s.block), int64(s.first), int64(s.last), int64(s.lastValue), s.hours.encode(), s.data)
		if err != nil {
			return err
		}
		s.dirty = false
	}
	if len(w.segments) > maxOpenSegments {
		clear(w.segments) // they are read back when they are added to again
	}
	p := &w.position
	return w.exec(`UPDATE position SET blocks = ?, log_size = ?, last_time = ?, invalid = ?, frames = ?, readings = ?, refused = ?, late = ? WHERE id = 1`,
		int64(p.blocks), int64(p.logSize), int64(p.lastTime), int64(p.invalid), int64(p.frames), int64(p.readings), int64(p.refused), int64(p.late))
}
