package projector

import (
	"context"
	"slices"
	"sync"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// changes gathers what a group of blocks changed, each thing once.
type changes struct {
	order []changeID
	byID  map[changeID]*readmodel.Change
}

type changeID struct {
	kind         readmodel.ChangeKind
	id, shipment string
}

func newChanges() *changes { return &changes{byID: map[changeID]*readmodel.Change{}} }

func (c *changes) add(change readmodel.Change) {
	id := changeID{change.Kind, change.ID, change.Shipment}
	before := c.byID[id]
	if before == nil {
		c.byID[id] = &change
		c.order = append(c.order, id)
		return
	}
	before.Block = change.Block
	before.From, before.To = min(before.From, change.From), max(before.To, change.To)
	before.Backfilled = before.Backfilled || change.Backfilled
}

func (c *changes) state(block uint64, value any) {
	switch s := value.(type) {
	case *provenance.Organisation:
		c.add(readmodel.Change{Kind: readmodel.ChangedOrganisation, ID: s.ID, Block: block})
	case *provenance.Device:
		c.add(readmodel.Change{Kind: readmodel.ChangedDevice, ID: s.ID, Block: block})
	case *provenance.Shipment:
		c.add(readmodel.Change{Kind: readmodel.ChangedShipment, ID: s.ID, Shipment: s.ID, Block: block})
	case *provenance.Model:
		c.add(readmodel.Change{Kind: readmodel.ChangedModel, ID: s.Name + "/" + s.Version, Block: block})
	case *provenance.Alert:
		c.add(readmodel.Change{Kind: readmodel.ChangedAlert, ID: s.ID, Shipment: s.Shipment, Block: block})
	case *provenance.Checkpoint:
		c.add(readmodel.Change{Kind: readmodel.ChangedCheckpoint, ID: s.Organisation, Block: block})
	case *provenance.Contradiction:
		c.add(readmodel.Change{Kind: readmodel.ChangedContradiction, Block: block})
	}
}

// frame tells the shipments that a frame's readings belong to.
func (c *changes) frame(block uint64, f *readmodel.FrameReadings, attachments []readmodel.ShipmentAttachment) {
	attached := false
	for _, a := range attachments {
		from, to := max(f.First, a.From), f.Last
		if a.To != 0 {
			to = min(to, a.To-1)
		}
		if from <= to {
			attached = true
			c.add(readmodel.Change{Kind: readmodel.ChangedReadings, ID: a.Shipment, Shipment: a.Shipment, Block: block, From: from, To: to, Backfilled: f.Backfilled})
		}
	}
	if !attached {
		c.add(readmodel.Change{Kind: readmodel.ChangedReadings, Block: block, From: f.First, To: f.Last, Backfilled: f.Backfilled})
	}
}

func (c *changes) list(block uint64) []readmodel.Change {
	list := make([]readmodel.Change, 0, len(c.order)+1)
	for _, id := range c.order {
		list = append(list, *c.byID[id])
	}
	return append(list, readmodel.Change{Kind: readmodel.ChangedBlock, Block: block})
}

// subscriberBuffer is how many changes may wait for one subscriber.
const subscriberBuffer = 256

// subscribers are those who want to hear of changes.
type subscribers struct {
	mu   sync.Mutex
	list []*subscriber
}

type subscriber struct {
	changes chan readmodel.Change
	missed  bool // there was no room; a Resync comes before anything else
}

// Subscribe gives the changes from now on, after each is visible in the read model. A reader that is slow misses some, and gets
// one Resync instead, after which it should read anew. The channel is closed when ctx ends.
func (s *subscribers) Subscribe(ctx context.Context) <-chan readmodel.Change {
	sub := &subscriber{changes: make(chan readmodel.Change, subscriberBuffer)}
	s.mu.Lock()
	s.list = append(s.list, sub)
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = slices.DeleteFunc(s.list, func(other *subscriber) bool { return other == sub })
		close(sub.changes)
	})
	return sub.changes
}

func (s *subscribers) publish(list []readmodel.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.list {
		for _, change := range list {
			sub.send(change)
		}
	}
}

// send never waits. The last free place is kept for Resync.
func (s *subscriber) send(change readmodel.Change) {
	free := cap(s.changes) - len(s.changes)
	switch {
	case !s.missed && free > 1:
		s.changes <- change
	case !s.missed:
		s.missed = true
		s.changes <- readmodel.Change{Kind: readmodel.Resync, Block: change.Block}
	case free > cap(s.changes)/2: // it reads again
		s.missed = false
		s.changes <- change
	}
}
