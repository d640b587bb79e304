package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// proven is what was found about the readings of devices, each frame held against its device's key and its batch's root.
type proven struct {
	readings []service.Reading             // of thermometers, attached or not, in ledger order
	used     map[string]*provenance.Device // devices as of their last frame
	batches  int
	frames   int // of these devices
	all      int // all frames that stand in the roots
	hidden   int // frames whose payload is not on the channel
}

// readProven reads the frames of some devices from the blocks below to.
func (h *history) readProven(ctx context.Context, source Source, chaincode string, to uint64, devices map[string]bool) (*proven, error) {
	p := &proven{used: map[string]*provenance.Device{}}
	err := walk(ctx, source, h.channel, chaincode, 0, to, func(block uint64, t *ledger.Transaction) error {
		if !t.Valid() || t.Foreign {
			return nil
		}
		for _, w := range t.Writes {
			state, err := evidence.DecodeState(w.Key, w.Value)
			if manifest, is := state.(*provenance.Manifest); err == nil && is {
				if err := p.batch(h, place{block: block, index: t.Index, transaction: t.ID}, manifest, t.Args, devices); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return p, err
}

// batch checks that the frames of a batch are those that its manifest's root stands for, and every one of our devices with its key.
func (p *proven) batch(h *history, at place, m *provenance.Manifest, args [][]byte, devices map[string]bool) error {
	name := fmt.Sprintf("batch %d of %s, lane %d (%s)", m.Number, m.Organisation, m.Lane, at)
	if len(args) != 1 || sha256.Sum256(args[0]) != m.Argument {
		return failed(stepBatches, "%s: the frames in the block are not those that the manifest names by their hash", name)
	}
	batch, err := evidence.DecodeBatch(args[0])
	if err != nil {
		return failed(stepBatches, "%s: %v", name, err)
	}
	refused := map[uint32]bool{}
	for _, r := range m.Refused {
		refused[r.Position] = true
	}
	leaves, ours := make([]provenance.Hash, 0, m.Frames), false
	for i := range batch.Frames {
		carried := &batch.Frames[i]
		if refused[uint32(i)] {
			continue
		}
		leaves = append(leaves, evidence.LeafHash(carried.Raw))
		frame, err := evidence.ParseFrame(carried.Raw)
		if err != nil {
			return failed(stepFrames, "%s: accepted frame %d: %v", name, i, err)
		}
		if !devices[frame.ID.Device] {
			continue
		}
		ours = true
		if err := p.frame(h, at, m, frame, carried.Payload); err != nil {
			return failed(stepFrames, "%s: frame %d of epoch %d of device %s: %v", name, frame.ID.Sequence, frame.ID.Epoch, frame.ID.Device, err)
		}
	}
	if root := evidence.Root(leaves); root != m.Root || len(leaves) != int(m.Frames) {
		return failed(stepBatches, "%s: its %d accepted frames have root %s, the manifest says %d with root %s", name, len(leaves), root, m.Frames, m.Root)
	}
	if ours {
		p.batches++
		p.all += len(leaves)
	}
	return nil
}

// frame judges a frame as the endorsers did, by the device's record that was in force.
func (p *proven) frame(h *history, at place, m *provenance.Manifest, frame *evidence.Frame, payload []byte) error {
	record := inForce(h.devices[frame.ID.Device], at)
	if record == nil {
		return fmt.Errorf("the device was not enrolled by then")
	}
	device := record.value
	if err := evidence.Judge(frame, payload, device, nil, evidence.Origin{Organisation: m.Organisation, Lane: m.Lane, Now: m.Committed}); err != nil {
		return err
	}
	p.frames++
	p.used[device.ID] = device
	if payload == nil {
		p.hidden++
		return nil
	}
	if device.Quantity != "temperature" || device.Unit != "Cel" {
		return nil
	}
	pack, err := evidence.ParsePayload(payload)
	if err != nil {
		return err
	}
	for _, r := range pack.Readings {
		p.readings = append(p.readings, service.Reading{Device: device.ID, Time: r.Time, Value: r.Value, Block: at.block})
	}
	return nil
}

// input gives what a score of a shipment saw: the readings acquired while their device was attached and recorded up to a block.
func (p *proven) input(shipment *provenance.Shipment, asOf uint64) (input []service.Reading) {
	for _, r := range p.readings {
		attached := slices.ContainsFunc(shipment.Attachments, func(a provenance.Attachment) bool { return a.Device == r.Device && a.Holds(r.Time) })
		if attached && r.Block <= asOf {
			input = append(input, r)
		}
	}
	return input
}
