package quarantine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // registers the driver

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of a store; zero values are refused.
type Limits struct {
	Entries      int64
	Bytes        int64
	ArchiveBytes int64
}

// Store is a quarantine on disk. Safe for concurrent use.
type Store struct {
	db      *sql.DB
	limits  Limits
	archive *archive
	log     *slog.Logger

	mu    sync.Mutex // one writer at a time
	stats Stats
}

// Stats of a store since it was opened, but for Entries and Bytes, which are of now.
type Stats struct {
	Entries  int64
	Bytes    int64
	Archived uint64 // entries moved to archive files
	Dropped  uint64 // entries whose archive file was deleted to make room
}

// ErrNotFound means that there is no entry of this identifier.
var ErrNotFound = errors.New("no such entry in the quarantine")

const schema = `
CREATE TABLE IF NOT EXISTS entries (
	number   INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT NOT NULL UNIQUE,
	received INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	times    INTEGER NOT NULL,
	topic    TEXT NOT NULL,
	device   TEXT NOT NULL,
	verdict  INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	detail   TEXT NOT NULL,
	batch    TEXT NOT NULL,
	replayed INTEGER NOT NULL,
	message  BLOB NOT NULL,
	size     INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entries_reason ON entries (reason, number);
CREATE INDEX IF NOT EXISTS entries_device ON entries (device, number);`

// Open opens the store in a folder, or makes it.
func Open(dir string, limits Limits, log *slog.Logger) (*Store, error) {
	if limits.Entries <= 0 || limits.Bytes <= 0 || limits.ArchiveBytes <= 0 {
		return nil, fmt.Errorf("quarantine: limits must be above zero, got %+v", limits)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making quarantine: %w", err)
	}
	query := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "quarantine.db")+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening quarantine: %w", err)
	}
	db.SetMaxOpenConns(2)
	s := &Store{db: db, limits: limits, archive: &archive{dir: dir, limit: limits.ArchiveBytes}, log: log}
	if _, err = db.ExecContext(context.Background(), schema); err == nil {
		err = db.QueryRowContext(context.Background(), `SELECT count(*), coalesce(sum(size), 0) FROM entries`).Scan(&s.stats.Entries, &s.stats.Bytes)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening quarantine: %w", err), db.Close())
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Stats returns the store's counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Add makes entries durable, all or none.
func (s *Store) Add(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	after := s.stats
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for i := range entries {
			e := &entries[i]
			result, err := tx.ExecContext(ctx, `UPDATE entries SET last = max(last, ?), times = times + 1, verdict = ?, reason = ?,
				detail = ?, batch = ?, replayed = 0 WHERE id = ?`, e.Last, e.Verdict, e.Reason, e.Detail, e.Batch, e.ID)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n > 0 {
				if err != nil {
					return err
				}
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO entries (id, received, last, times, topic, device, verdict, reason, detail,
				batch, replayed, message, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.ID, e.Received, e.Last, e.Times, e.Topic,
				e.Device, e.Verdict, e.Reason, e.Detail, e.Batch, e.Replayed, notNil(e.Message), e.size()); err != nil {
				return err
			}
			after.Entries++
			after.Bytes += e.size()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adding to quarantine: %w", err)
	}
	s.stats = after
	if after.Entries > s.limits.Entries || after.Bytes > s.limits.Bytes {
		if err := s.evict(ctx); err != nil { // what was added is safe; the next Add tries again
			s.log.Error("quarantine is over its limit", slog.Any("error", err), slog.Int64("entries", s.stats.Entries), slog.Int64("bytes", s.stats.Bytes))
		}
	}
	return nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// evict moves the oldest entries to the archive until a tenth of the limits is free. A crash in between may leave an entry in
// both places, never in none.
func (s *Store) evict(ctx context.Context) error {
	for s.stats.Entries > s.limits.Entries*9/10 || s.stats.Bytes > s.limits.Bytes*9/10 {
		oldest, last, err := s.query(ctx, `ORDER BY number LIMIT ?`, int64(100))
		if err != nil || len(oldest) == 0 {
			return err
		}
		dropped, err := s.archive.write(oldest)
		if err != nil {
			return err
		}
		n, size, err := s.delete(ctx, `number <= ?`, last)
		if err != nil {
			return err
		}
		s.stats.Entries -= n
		s.stats.Bytes -= size
		s.stats.Archived += uint64(n)
		s.stats.Dropped += dropped
		s.log.Warn("quarantine is full: moved its oldest entries to the archive", slog.Int64("entries", n), slog.String("file", s.archive.path))
		if dropped > 0 {
			s.log.Error("quarantine archive is full: deleted its oldest file", slog.Uint64("entries", dropped))
		}
	}
	return nil
}

func (s *Store) delete(ctx context.Context, where string, args ...any) (n, size int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE `+where, args...).Scan(&n, &size); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM entries WHERE `+where, args...)
		return err
	})
	return n, size, err
}

// query returns entries and the number of the last one.
func (s *Store) query(ctx context.Context, rest string, args ...any) ([]Entry, int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT number, id, received, last, times, topic, device, verdict, reason, detail, batch,
		replayed, message FROM entries `+rest, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("reading quarantine: %w", err)
	}
	defer rows.Close()
	var found []Entry
	var number int64
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&number, &e.ID, &e.Received, &e.Last, &e.Times, &e.Topic, &e.Device, &e.Verdict, &e.Reason, &e.Detail,
			&e.Batch, &e.Replayed, &e.Message); err != nil {
			return nil, 0, fmt.Errorf("reading quarantine: %w", err)
		}
		found = append(found, e)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("reading quarantine: %w", err)
	}
	return found, number, nil
}

// MarkReplayed notes that entries were sent round again. One that is refused again comes back unmarked.
func (s *Store) MarkReplayed(ctx context.Context, when provenance.Time, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `UPDATE entries SET replayed = ? WHERE id = ?`, when, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("marking as replayed: %w", err)
	}
	return nil
}

// Purge deletes entries for good and tells how many: those of the filter, Limit and Before apart.
func (s *Store) Purge(ctx context.Context, f Filter) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	where, args := f.where()
	n, size, err := s.delete(ctx, where, args...)
	if err != nil {
		return 0, fmt.Errorf("purging quarantine: %w", err)
	}
	s.stats.Entries -= n
	s.stats.Bytes -= size
	s.log.Info("quarantine purged", slog.Int64("entries", n), slog.Any("filter", f))
	return n, nil
}

// Filter chooses entries; zero fields do not restrict.
type Filter struct {
	ID      string
	Reason  string // as in Entry.Reason
	Device  string
	Waiting bool  // only what was not replayed
	Before  int64 // entries older than this cursor, see Page.Next
	Limit   int   // at most this many, 1 to 1000; 0 means 100
}

func (f Filter) where() (string, []any) {
	conditions, args := []string{"1"}, []any{}
	add := func(condition string, arg any) {
		conditions = append(conditions, condition)
		args = append(args, arg)
	}
	if f.ID != "" {
		add("id = ?", f.ID)
	}
	if f.Reason != "" {
		add("reason = ?", f.Reason)
	}
	if f.Device != "" {
		add("device = ?", f.Device)
	}
	if f.Waiting {
		add("replayed = ?", 0)
	}
	return strings.Join(conditions, " AND "), args
}
