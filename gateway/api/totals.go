package api

import (
	"context"
	"fmt"
	"sync"

	"github.com/trailmark/trailmark/gateway/readmodel"
)

// totals remembers how many entries filters matched, as long as no block was projected since.
type totals struct {
	mu     sync.Mutex
	blocks uint64
	known  map[string]int64
}

// key names a filter.
func key(list string, parts ...any) string {
	for _, p := range parts {
		if flag, optional := p.(*bool); optional && flag != nil {
			p = *flag
		}
		list += fmt.Sprintf("\x00%v", p)
	}
	return list
}

// of counts what a filter matches by walking its pages, unless the one page at hand is all there is.
func (t *totals) of(ctx context.Context, store *readmodel.Store, filter string, whole bool, have int, walk func(readmodel.Paging) (int, string, error)) (int64, error) {
	if whole {
		return int64(have), nil
	}
	position, err := store.Position(ctx)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	if t.blocks != position.Blocks || t.known == nil || len(t.known) > 1000 {
		t.blocks, t.known = position.Blocks, map[string]int64{}
	}
	total, known := t.known[filter]
	t.mu.Unlock()
	if known {
		return total, nil
	}
	for p := (readmodel.Paging{Limit: readmodel.MaxLimit}); ; {
		n, next, err := walk(p)
		if err != nil {
			return 0, err
		}
		total += int64(n)
		if next == "" {
			break
		}
		p.After = next
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blocks == position.Blocks {
		t.known[filter] = total
	}
	return total, nil
}
