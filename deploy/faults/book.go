package faults

import (
	"sync"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// book knows every frame that was signed, which of them a broker acknowledged, and which of them blocks hold.
type book struct {
	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when a block was read
	acked     map[provenance.FrameID]*message
	signed    map[provenance.FrameID]*message
	committed map[provenance.FrameID]int // how often
	newest    [lanes]time.Time           // signing time of each lane's newest frame that a block holds
	height    uint64                     // blocks read
	offered   int
}

func newBook() *book {
	return &book{
		changed: make(chan struct{}), acked: map[provenance.FrameID]*message{}, signed: map[provenance.FrameID]*message{},
		committed: map[provenance.FrameID]int{},
	}
}

// offer notes a frame that is about to be published.
func (b *book) offer(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signed[m.id] = m
	b.offered++
}

// acknowledge notes a PUBACK.
func (b *book) acknowledge(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked[m.id] = m
}

// record notes the frames of a block.
func (b *book) record(height uint64, ids []provenance.FrameID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		b.committed[id]++
		if m := b.signed[id]; m != nil && m.signed.After(b.newest[m.lane]) {
			b.newest[m.lane] = m.signed
		}
	}
	b.height = max(b.height, height)
	close(b.changed)
	b.changed = make(chan struct{})
}

// numbers tells how many frames were offered, acknowledged and recorded.
func (b *book) numbers() (offered, acked, committed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offered, len(b.acked), len(b.committed)
}

// missing lists acknowledged frames that no block holds yet.
func (b *book) missing() (list []*message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, m := range b.acked {
		if b.committed[id] == 0 {
			list = append(list, m)
		}
	}
	return list
}

// flowing tells whether every lane has a recorded frame that was signed after a moment, and the height at which it was found.
func (b *book) flowing(since time.Time) (yes bool, height uint64, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.newest {
		if !t.After(since) {
			return false, b.height, b.changed
		}
	}
	return true, b.height, b.changed
}
