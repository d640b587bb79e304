package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// blockTimes notes when the peer's word came that a block is committed. Filtered blocks are small, so following them costs little.
type blockTimes struct {
	mu   sync.Mutex
	at   map[uint64]time.Time
	stop context.CancelFunc
	done chan struct{}
}

func followBlockTimes(p *plainClient) (*blockTimes, error) {
	ctx, stop := context.WithCancel(context.Background())
	events, err := p.network.FilteredBlockEvents(ctx)
	if err != nil {
		stop()
		return nil, fmt.Errorf("following blocks: %w", err)
	}
	b := &blockTimes{at: map[uint64]time.Time{}, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for block := range events {
			now := time.Now()
			b.mu.Lock()
			b.at[block.GetNumber()] = now
			b.mu.Unlock()
		}
	}()
	return b, nil
}

func (b *blockTimes) of(block uint64) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, known := b.at[block]
	return at, known
}

func (b *blockTimes) close() error {
	b.stop()
	<-b.done
	return nil
}

func (r *run) height(ctx context.Context) (uint64, error) { return r.contracts.Client.Height(ctx) }

// blockBytes sums up the blocks from a number on, as they stand in the channel.
func (r *run) blockBytes(ctx context.Context, from uint64) (bytes, transactions int, err error) {
	to, err := r.height(ctx)
	if err != nil || from >= to {
		return 0, 0, err
	}
	for block := range r.contracts.Client.Blocks(ctx, from) {
		bytes += proto.Size(block)
		transactions += len(block.GetData().GetData())
		if block.GetHeader().GetNumber()+1 >= to {
			return bytes, transactions, nil
		}
	}
	return bytes, transactions, ctx.Err()
}
