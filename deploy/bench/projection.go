package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"sync"
	"time"
)

// sample is what the gateway node's read model answered at a moment.
type sample struct {
	at     time.Time
	blocks uint64
	readModelCounts
}

// projection follows the read model as any reader sees it.
type projection struct {
	mu      sync.Mutex
	samples []sample
	err     error
	stop    context.CancelFunc
	done    chan struct{}
}

// followProjection asks every so often. Before it returns it has an answer.
func (r *run) followProjection(ctx context.Context, every time.Duration) (*projection, error) {
	ctx, stop := context.WithCancel(ctx)
	p := &projection{stop: stop, done: make(chan struct{})}
	if err := p.look(ctx, r.counts); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(p.done)
		for sleep(ctx, every) == nil {
			if err := p.look(ctx, r.counts); err != nil {
				if ctx.Err() == nil {
					p.mu.Lock()
					p.err = err
					p.mu.Unlock()
				}
				return
			}
		}
	}()
	return p, nil
}

// openCounts prepares the question that is asked again and again while a load runs. readmodel.Store has the same counts in Stats, and is
// asked whenever counts are compared; but Stats counts much else besides, which at twenty times a second took half of what we spend.
func openCounts(ctx context.Context, path string) (*sql.DB, *sql.Stmt, error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(10000)"}).String())
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	counts, err := db.PrepareContext(ctx, `SELECT blocks, frames, readings FROM position WHERE id = 1`)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("asking the read model: %w", err), db.Close())
	}
	return db, counts, nil
}

func (p *projection) look(ctx context.Context, counts *sql.Stmt) error {
	var s sample
	if err := counts.QueryRowContext(ctx).Scan(&s.blocks, &s.frames, &s.readings); err != nil {
		return fmt.Errorf("asking the read model: %w", err)
	}
	s.at = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, s)
	return nil
}

func (p *projection) latest() sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.samples[len(p.samples)-1]
}

// shown is when a block's readings could first be asked for.
func (p *projection) shown(block uint64) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := sort.Search(len(p.samples), func(i int) bool { return p.samples[i].blocks > block })
	if i == len(p.samples) {
		return time.Time{}, false
	}
	return p.samples[i].at, true
}

func (p *projection) end() error {
	p.stop()
	<-p.done
	return p.err
}

func (r *run) projected(ctx context.Context) (readModelCounts, error) {
	n, err := r.store.Stats(ctx)
	return readModelCounts{n.Frames, n.Readings}, err
}

// awaitHeight waits until the blocks up to a height are projected.
func (r *run) awaitHeight(ctx context.Context, height uint64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		position, err := r.store.Position(ctx)
		if err != nil {
			return err
		}
		if position.Blocks >= height {
			return nil
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("the projection stands at %d of %d blocks and does not come closer", position.Blocks, height)
		}
	}
}
