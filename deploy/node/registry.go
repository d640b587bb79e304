package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// Registry is the devices of the ledger in memory: listed once, then kept current from blocks. Its records are never changed, only
// replaced.
type Registry struct {
	mu      sync.RWMutex
	devices map[string]*provenance.Device
}

// Device implements ingest.Devices.
func (r *Registry) Device(id string) (*provenance.Device, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	device, known := r.devices[id]
	return device, known
}

func (r *Registry) put(devices ...*provenance.Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range devices {
		if known := r.devices[d.ID]; known == nil || known.Changed <= d.Changed {
			r.devices[d.ID] = d
		}
	}
}

// NewRegistry lists the devices and returns with a function that follows the blocks after that until ctx ends.
func NewRegistry(ctx context.Context, contracts Contracts, log *slog.Logger) (*Registry, func(context.Context) error, error) {
	height, err := contracts.Client.Height(ctx) // before the listing: what is enrolled meanwhile is seen twice rather than never
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the ledger's height: %w", err)
	}
	all, err := contracts.Devices(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing devices: %w", err)
	}
	r := &Registry{devices: make(map[string]*provenance.Device, len(all))}
	r.put(all...)
	return r, func(ctx context.Context) error {
		for raw := range contracts.Client.Blocks(ctx, height) {
			block, err := ledger.DecodeBlock(raw, contracts.Client.Channel(), contracts.Client.Chaincode())
			if err != nil {
				log.Error("a block could not be read for devices", slog.Any("error", err))
				continue
			}
			r.observe(block)
		}
		return ctx.Err()
	}, nil
}

func (r *Registry) observe(block *ledger.Block) {
	for i := range block.Transactions {
		tx := &block.Transactions[i]
		if !tx.Valid() || tx.Function == "readings:Commit" {
			continue
		}
		for _, write := range tx.Writes {
			if len(write.Key) < 2 || write.Key[:2] != "d/" {
				continue
			}
			if state, err := evidence.DecodeState(write.Key, write.Value); err == nil {
				r.put(state.(*provenance.Device))
			}
		}
	}
}
