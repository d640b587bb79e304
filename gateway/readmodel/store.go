package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Store is an open read model. Queries may run side by side, and beside one writer.
type Store struct {
	channel string
	writer  *sql.DB
	reader  *sql.DB

	writing    sync.Mutex // held during Update; guards what stands below
	conn       *sql.Conn  // the one connection of writer
	statements map[string]*sql.Stmt
	state      *writerState
}

// Open opens the read model of a channel in a file, which is made where there is none. A file that holds another channel's
// is refused.
func Open(ctx context.Context, path, channel string) (*Store, error) {
	writer, reader, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening read model %s: %w", path, err)
	}
	s := &Store{channel: channel, writer: writer, reader: reader, statements: map[string]*sql.Stmt{}}
	s.conn, err = writer.Conn(ctx)
	if err == nil {
		err = s.bindChannel(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("opening read model %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) bindChannel(ctx context.Context) error {
	_, err := s.conn.ExecContext(ctx, `INSERT INTO position (id, channel, blocks, log_size, last_time, invalid, frames, readings, refused, late)
		VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING`, s.channel)
	if err != nil {
		return err
	}
	var channel string
	if err := s.conn.QueryRowContext(ctx, `SELECT channel FROM position WHERE id = 1`).Scan(&channel); err != nil {
		return err
	}
	if channel != s.channel {
		return fmt.Errorf("it holds channel %q, not %q", channel, s.channel)
	}
	return nil
}

// Channel is the name of the channel that the store holds.
func (s *Store) Channel() string { return s.channel }

// Close closes the database; a write that is under way ends first.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.reader.Close()
	for _, stmt := range s.statements {
		err = errors.Join(err, stmt.Close())
	}
	if s.conn != nil {
		err = errors.Join(err, s.conn.Close())
	}
	return errors.Join(err, s.writer.Close())
}

// view is a set of queries that see one state of the database.
type view struct {
	ctx   context.Context
	store *Store
	tx    *sql.Tx
}

// read runs queries on one state of the database.
func (s *Store) read(ctx context.Context, f func(v view) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the read model: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return f(view{ctx, s, tx})
}

// rows runs a query and calls scan for each row.
func (v view) rows(query string, args []any, scan func(r *sql.Rows) error) error {
	rows, err := v.tx.QueryContext(v.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the read model: %w", err)
	}
	return eachRow(rows, scan)
}

func eachRow(rows *sql.Rows, scan func(r *sql.Rows) error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the read model: %w", err)
	}
	return nil
}

// row runs a query for one row; found is false where there is none.
func (v view) row(query string, args []any, into ...any) (found bool, err error) {
	err = v.tx.QueryRowContext(v.ctx, query, args...).Scan(into...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the read model: %w", err)
	}
	return true, nil
}

// Position tells how far the projection has come.
func (s *Store) Position(ctx context.Context) (p Position, err error) {
	err = s.read(ctx, func(v view) error {
		p, err = v.position()
		return err
	})
	return p, err
}

func (v view) position() (p Position, err error) {
	if _, err = v.row(`SELECT blocks, log_size, last_time FROM position WHERE id = 1`, nil, &p.Blocks, &p.LogSize, &p.LastTime); err != nil {
		return p, err
	}
	p.LogRoot, err = v.root(p.LogSize)
	return p, err
}

func hashOf(b []byte) (h provenance.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("hash of %d bytes in the read model", len(b))
	}
	copy(h[:], b)
	return h, nil
}
