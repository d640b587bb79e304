package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

// Blocks streams the channel's blocks from a number on, each once and in order, until ctx ends. When a peer fails, the next
// one takes over.
func (c *Client) Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block] {
	return follow(ctx, c, from, "streaming blocks", func(ctx context.Context, p *gatewayPeer, next uint64) (<-chan *common.Block, error) {
		return p.network.BlockEvents(ctx, client.WithStartBlock(next))
	}, func(b *common.Block) uint64 { return b.GetHeader().GetNumber() })
}

// follow reads a stream of numbered items, and opens it again where it ended.
func follow[T any](ctx context.Context, c *Client, from uint64, doing string,
	open func(ctx context.Context, p *gatewayPeer, next uint64) (<-chan T, error), number func(T) uint64,
) iter.Seq[T] {
	return func(yield func(T) bool) {
		next, wait := from, 50*time.Millisecond
		for ctx.Err() == nil {
			p := c.pick()
			got, goOn := readStream(ctx, p, next, open, number, yield)
			if !goOn {
				return
			}
			if got > next {
				next, wait = got, 50*time.Millisecond
			}
			if ctx.Err() != nil {
				return
			}
			c.pass(p, doing, fmt.Errorf("the stream ended before block %d", next))
			select {
			case <-ctx.Done():
			case <-time.After(wait):
				wait = min(2*wait, time.Second)
			}
		}
	}
}

// readStream reads one stream to its end and gives the number that comes next; goOn is false where the reader has enough.
func readStream[T any](ctx context.Context, p *gatewayPeer, next uint64,
	open func(ctx context.Context, p *gatewayPeer, next uint64) (<-chan T, error), number func(T) uint64, yield func(T) bool,
) (got uint64, goOn bool) {
	ctx, cancel := context.WithCancel(ctx)
	go func(silent <-chan struct{}) {
		select {
		case <-silent:
			cancel()
		case <-ctx.Done():
		}
	}(p.silent())
	items, err := open(ctx, p, next)
	defer func() {
		cancel()
		if err == nil {
			for range items { // the library's goroutine waits until it has handed over what it holds
				continue
			}
		}
	}()
	if err != nil {
		return next, true
	}
	for item := range items {
		if number(item) != next {
			return next, true // a peer that skips a block is not to be trusted with the next one
		}
		if !yield(item) {
			return next, false
		}
		next++
	}
	return next, true
}

// outcome is what a block says of a transaction.
type outcome struct {
	block uint64
	code  peer.TxValidationCode
}

// outcomes hands what blocks say to those who wait for it.
type outcomes struct {
	ctx     context.Context // ends with the client
	ready   chan struct{}   // closed when the stream has begun
	mu      sync.Mutex
	waiters map[string]chan outcome
	via     *gatewayPeer // that the stream comes from
	heard   time.Time    // when it was opened, or last said something
}

// from notes which peer the stream comes from now.
func (o *outcomes) from(p *gatewayPeer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.via, o.heard = p, time.Now()
}

// unheard gives the peer that the stream comes from if nothing was heard of it for a time, otherwise nil.
func (o *outcomes) unheard(since time.Duration) *gatewayPeer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.via == nil || time.Since(o.heard) < since {
		return nil
	}
	o.heard = time.Now() // the next stream has its time, too
	return o.via
}

func (o *outcomes) register(id string) <-chan outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiter := make(chan outcome, 1)
	o.waiters[id] = waiter
	return waiter
}

func (o *outcomes) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.waiters, id)
}

// resolve passes on the outcomes of a block. A transaction that was sent twice is found to be a duplicate the second time: what
// the first time said counts, and came before.
func (o *outcomes) resolve(block *peer.FilteredBlock) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = time.Now()
	for _, t := range block.GetFilteredTransactions() {
		waiter := o.waiters[t.GetTxid()]
		if waiter == nil || t.GetTxValidationCode() == peer.TxValidationCode_DUPLICATE_TXID {
			continue
		}
		select {
		case waiter <- outcome{block.GetNumber(), t.GetTxValidationCode()}:
		default: // it knows already
		}
	}
}

// followBlocks starts the stream of outcomes at the first submit, and waits until it has begun: from then on no block is missed.
// It is one stream of identifiers and codes for all submits, a small part of the blocks' bytes.
func (c *Client) followBlocks(ctx context.Context) error {
	c.follow.Do(func() {
		c.done.Add(1)
		go func() {
			defer c.done.Done()
			c.streamOutcomes(c.waiting.ctx)
		}()
	})
	select {
	case <-c.waiting.ready:
		return nil
	case <-ctx.Done():
		return &UnreachableError{ctx.Err()}
	case <-c.waiting.ctx.Done():
		return errors.New("the client is closed")
	}
}

func (c *Client) streamOutcomes(ctx context.Context) {
	var height uint64
	for {
		var err error
		if height, err = c.Height(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		c.log.Warn("cannot follow blocks yet", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	begun := false
	for block := range follow(ctx, c, max(height, 1)-1, "streaming outcomes", func(ctx context.Context, p *gatewayPeer, next uint64) (<-chan *peer.FilteredBlock, error) {
		c.waiting.from(p)
		return p.network.FilteredBlockEvents(ctx, client.WithStartBlock(next))
	}, (*peer.FilteredBlock).GetNumber) {
		if !begun { // the newest block comes at once
			begun = true
			close(c.waiting.ready)
		}
		c.waiting.resolve(block)
	}
}
