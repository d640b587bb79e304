package bench

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/trailmark/trailmark/gateway/readmodel"
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
	if err := p.look(ctx, r.store); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(p.done)
		for sleep(ctx, every) == nil {
			if err := p.look(ctx, r.store); err != nil {
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

func (p *projection) look(ctx context.Context, store *readmodel.Store) error {
	n, err := store.Stats(ctx)
	if err != nil {
		return fmt.Errorf("asking the read model: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, sample{time.Now(), n.Blocks, readModelCounts{n.Frames, n.Readings}})
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
