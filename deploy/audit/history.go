package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// Source gives a channel's blocks from a number on.
type Source interface {
	Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block]
}

// place is where a record was written.
type place struct {
	block, index uint64
	transaction  []byte
	leaf         uint64 // in the log
}

func (p place) before(o place) bool {
	return p.block < o.block || p.block == o.block && p.index < o.index
}

func (p place) String() string {
	return fmt.Sprintf("block %d, transaction %x…", p.block, p.transaction[:4])
}

// version is a record as one transaction wrote it.
type version[T any] struct {
	place
	value T
}

// history is what an audit remembers of the ledger's states: all versions, rising.
type history struct {
	channel   string
	height    uint64
	leaves    []provenance.Hash // of the log of valid transactions
	alerts    map[string][]version[*provenance.Alert]
	shipments map[string][]version[*provenance.Shipment]
	devices   map[string][]version[*provenance.Device]
	models    map[string][]version[*provenance.Model]
	members   map[string][]version[*provenance.Organisation]
	anchored  map[string]*provenance.Checkpoint // the newest of each organisation
}

// readHistory reads the states from all blocks below height. Only transactions that are valid, ours and carry their digest count.
func readHistory(ctx context.Context, source Source, channel, chaincode string, height uint64) (*history, error) {
	h := &history{
		channel: channel, height: height,
		alerts: map[string][]version[*provenance.Alert]{}, shipments: map[string][]version[*provenance.Shipment]{}, devices: map[string][]version[*provenance.Device]{},
		models: map[string][]version[*provenance.Model]{}, members: map[string][]version[*provenance.Organisation]{}, anchored: map[string]*provenance.Checkpoint{},
	}
	return h, walk(ctx, source, channel, chaincode, 0, height, func(block uint64, t *ledger.Transaction) error {
		if !t.Valid() || t.Foreign || t.Event == nil {
			return nil
		}
		digest := evidence.Digest(t.Writes)
		if string(t.Event) != string(digest[:]) {
			return nil // it is no part of the log
		}
		at := place{block, t.Index, t.ID, uint64(len(h.leaves))}
		h.leaves = append(h.leaves, evidence.LeafHash(evidence.LogLeaf{
			Channel: channel, Block: block, Transaction: t.Index, TransactionID: t.ID, Digest: digest,
		}.Encode()))
		for _, w := range t.Writes {
			if len(w.Value) == 0 {
				continue
			}
			state, err := evidence.DecodeState(w.Key, w.Value)
			if err != nil {
				return fmt.Errorf("block %d, transaction %x: %w", block, t.ID, err)
			}
			h.keep(w.Key, state, at)
		}
		return nil
	})
}

func (h *history) keep(key string, state any, at place) {
	switch s := state.(type) {
	case *provenance.Alert:
		h.alerts[key] = append(h.alerts[key], version[*provenance.Alert]{at, s})
	case *provenance.Shipment:
		h.shipments[s.ID] = append(h.shipments[s.ID], version[*provenance.Shipment]{at, s})
	case *provenance.Device:
		h.devices[s.ID] = append(h.devices[s.ID], version[*provenance.Device]{at, s})
	case *provenance.Model:
		h.models[key] = append(h.models[key], version[*provenance.Model]{at, s})
	case *provenance.Organisation:
		h.members[s.ID] = append(h.members[s.ID], version[*provenance.Organisation]{at, s})
	case *provenance.Checkpoint:
		if newest := h.anchored[s.Organisation]; newest == nil || s.Size >= newest.Size {
			h.anchored[s.Organisation] = s
		}
	}
}

// inForce gives the version that a transaction at a place found, nil where there was none.
func inForce[T any](versions []version[T], at place) *version[T] {
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].before(at) {
			return &versions[i]
		}
	}
	return nil
}

// walk goes over our transactions in blocks from ≤ n < to.
func walk(ctx context.Context, source Source, channel, chaincode string, from, to uint64, visit func(block uint64, t *ledger.Transaction) error) error {
	next := from
	if next < to {
		for raw := range source.Blocks(ctx, from) {
			block, err := ledger.DecodeBlock(raw, channel, chaincode)
			if err != nil {
				return err
			}
			if block.Number != next {
				return fmt.Errorf("the peer gave block %d where block %d comes", block.Number, next)
			}
			for i := range block.Transactions {
				if err := visit(block.Number, &block.Transactions[i]); err != nil {
					return err
				}
			}
			if next++; next == to {
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return fmt.Errorf("the peer gave %d blocks, there are %d", next, to)
	}
	return nil
}
