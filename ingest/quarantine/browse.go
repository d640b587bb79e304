package quarantine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Page of entries, newest first.
type Page struct {
	Entries []Entry
	Next    int64 // Filter.Before of the next page; 0 at the end
}

const (
	defaultPage = 100
	largestPage = 1000
)

// List returns a page of entries.
func (s *Store) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit == 0 {
		f.Limit = defaultPage
	}
	limit := min(max(f.Limit, 1), largestPage)
	where, args := f.where()
	if f.Before > 0 {
		where, args = where+" AND number < ?", append(args, f.Before)
	}
	entries, last, err := s.query(ctx, "WHERE "+where+" ORDER BY number DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return Page{}, err
	}
	if len(entries) < limit {
		last = 0
	}
	return Page{entries, last}, nil
}

// Get returns one entry or [ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (*Entry, error) {
	page, err := s.List(ctx, Filter{ID: id})
	if err != nil {
		return nil, err
	}
	if len(page.Entries) == 0 {
		return nil, fmt.Errorf("%w: %.64q", ErrNotFound, id)
	}
	return &page.Entries[0], nil
}

// Count tells how many entries there are for each reason.
func (s *Store) Count(ctx context.Context) (map[string]int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT reason, count(*) FROM entries GROUP BY reason`)
	if err != nil {
		return nil, fmt.Errorf("counting quarantine: %w", err)
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var reason string
		var n int64
		if err := rows.Scan(&reason, &n); err != nil {
			return nil, fmt.Errorf("counting quarantine: %w", err)
		}
		counts[reason] = n
	}
	return counts, rows.Err()
}

// Each calls do with every entry of a filter, newest first, page by page; Filter.Limit is the size of a page.
func (s *Store) Each(ctx context.Context, f Filter, do func([]Entry) error) error {
	for {
		page, err := s.List(ctx, f)
		if err != nil {
			return err
		}
		if len(page.Entries) > 0 {
			if err := do(page.Entries); err != nil {
				return err
			}
		}
		if f.Before = page.Next; page.Next == 0 {
			return nil
		}
	}
}

// Export writes entries as NDJSON, newest first, and tells how many.
func (s *Store) Export(ctx context.Context, w io.Writer, f Filter) (int, error) {
	encoder, n := json.NewEncoder(w), 0
	err := s.Each(ctx, f, func(entries []Entry) error {
		for i := range entries {
			if err := encoder.Encode(&entries[i]); err != nil {
				return fmt.Errorf("exporting quarantine: %w", err)
			}
			n++
		}
		return nil
	})
	return n, err
}
