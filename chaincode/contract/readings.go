package contract

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// readings records batches of signed frames.
type readings struct {
	contractapi.Contract
	devices *deviceCache
}

func (*readings) GetEvaluateTransactions() []string { return []string{"Head", "Manifest"} }

// Commit records a batch: every frame gets its verdict, the manifest keeps the root over the accepted ones, and the heads move
// on. The argument is what evidence.EncodeBatch writes, the result the manifest in CBOR. A batch that stands is not recorded
// again; its manifest is returned.
func (c *readings) Commit(tx *transaction) (string, error) {
	argument := tx.stub.GetArgs()[1]
	batch, err := evidence.DecodeBatch(argument)
	if err != nil {
		return "", err
	}
	if batch.Organisation != tx.organisation {
		return "", provenance.Forbiddenf("the batch is of %s, and the caller of %s", batch.Organisation, tx.organisation)
	}
	lane, err := tx.lane(batch.Organisation, batch.Lane)
	if err != nil {
		return "", err
	}
	digest := provenance.Hash(sha256.Sum256(argument))
	if standing, err := tx.standing(lane, batch.Number, digest); err != nil || standing != "" {
		return standing, err
	}
	switch {
	case batch.Fence != lane.Fence || lane.Fence == 0:
		return "", staleFence(lane, batch.Fence)
	case batch.Number != lane.Number+1:
		return "", provenance.Conflictf("%s: expected batch %d of lane %d of %s, got %d", provenance.WrongNumber, lane.Number+1, lane.Lane, lane.Organisation, batch.Number)
	}
	frames, err := c.judge(tx, batch)
	if err != nil {
		return "", err
	}
	manifest, err := tx.record(frames)
	if err != nil {
		return "", err
	}
	manifest.Organisation, manifest.Lane, manifest.Number, manifest.Fence = batch.Organisation, batch.Lane, batch.Number, batch.Fence
	manifest.Argument, manifest.Committed = digest, tx.now
	lane.Number, lane.Digest, lane.Changed = batch.Number, digest, tx.now
	key := provenance.ManifestKey(batch.Organisation, batch.Lane, batch.Number)
	if err := errors.Join(tx.put(key, manifest), tx.put(provenance.LaneKey(lane.Organisation, lane.Lane), lane)); err != nil {
		return "", err
	}
	return string(tx.written[key]), nil
}

// standing returns the manifest of a batch that was committed before with these very bytes, and nothing where it was not.
func (tx *transaction) standing(lane *provenance.Lane, number uint64, digest provenance.Hash) (string, error) {
	if number == 0 || number > lane.Number {
		return "", nil
	}
	key := provenance.ManifestKey(lane.Organisation, lane.Lane, number)
	manifest, err := load[provenance.Manifest](tx, key)
	if err != nil || manifest == nil || manifest.Argument != digest {
		return "", err
	}
	return string(tx.read[key]), nil
}

// judged is a frame of a batch on its way to its verdict.
type judged struct {
	*evidence.Frame
	device     *cachedDevice
	leaf       provenance.Hash
	verdict    provenance.Verdict
	backfilled bool
}

// judge gives each frame the verdict that does not depend on other frames. Signatures are verified in parallel.
func (c *readings) judge(tx *transaction, batch *evidence.Batch) ([]judged, error) {
	frames := make([]judged, len(batch.Frames))
	parallel(len(frames), func(i int) {
		f := &frames[i]
		f.leaf = evidence.LeafHash(batch.Frames[i].Raw)
		var err error
		if f.Frame, err = evidence.ParseFrame(batch.Frames[i].Raw); err != nil {
			f.verdict, f.Frame = verdictOf(err), nil
		}
	})
	if err := c.findDevices(tx, frames); err != nil {
		return nil, err
	}
	origin := evidence.Origin{Organisation: batch.Organisation, Lane: batch.Lane, Now: tx.now}
	parallel(len(frames), func(i int) {
		f := &frames[i]
		if f.Frame == nil {
			return
		}
		device, key := f.device.in(f.ID.Epoch)
		if err := evidence.Judge(f.Frame, batch.Frames[i].Payload, device, key, origin); err != nil {
			f.verdict = verdictOf(err)
			return
		}
		f.backfilled = batch.Frames[i].Received > f.Last+provenance.BackfillAfter
	})
	return frames, nil
}

func verdictOf(err error) provenance.Verdict {
	if refusal := new(evidence.FrameError); errors.As(err, &refusal) && refusal.Verdict != provenance.Accepted {
		return refusal.Verdict
	}
	return provenance.Malformed
}

// findDevices looks up the device of every frame that could be read.
func (c *readings) findDevices(tx *transaction, frames []judged) error {
	names := make(map[string]*cachedDevice, len(frames))
	keys := make([]string, 0, len(frames))
	for i := range frames {
		if frames[i].Frame == nil {
			continue
		}
		if _, ok := names[frames[i].ID.Device]; !ok {
			names[frames[i].ID.Device] = nil
			keys = append(keys, provenance.DeviceKeyState(frames[i].ID.Device))
		}
	}
	if err := tx.prefetch(keys); err != nil {
		return err
	}
	for _, key := range keys {
		device, err := c.devices.decode(key, tx.read[key])
		if err != nil {
			return err
		}
		if device != nil {
			names[device.ID] = device
		}
	}
	for i := range frames {
		if frames[i].Frame != nil {
			frames[i].device = names[frames[i].ID.Device]
		}
	}
	return nil
}

// record takes the frames into their devices' heads, in the batch's order, and sums them up in a manifest. It reads only the heads
// of frames that are good so far: a foreign device's head would tie this batch to another lane.
func (tx *transaction) record(frames []judged) (*provenance.Manifest, error) {
	heads, err := tx.heads(frames)
	if err != nil {
		return nil, err
	}
	manifest := new(provenance.Manifest)
	leaves := make([]provenance.Hash, 0, len(frames))
	for i := range frames {
		f := &frames[i]
		if f.verdict == provenance.Accepted {
			head := heads[headName{f.ID.Device, f.ID.Epoch}]
			var filled bool
			if f.verdict, filled = head.Accept(f.ID.Sequence); f.verdict == provenance.Accepted {
				head.moved = true
				f.backfilled = f.backfilled || filled
			}
		}
		if f.verdict != provenance.Accepted {
			manifest.Refused = append(manifest.Refused, provenance.Refusal{Position: uint32(i), Leaf: f.leaf, Verdict: f.verdict})
			continue
		}
		if f.backfilled {
			manifest.Backfilled = append(manifest.Backfilled, uint32(len(leaves)))
		}
		if len(leaves) == 0 {
			manifest.First, manifest.Last = f.First, f.Last
		}
		manifest.First, manifest.Last = min(manifest.First, f.First), max(manifest.Last, f.Last)
		manifest.Readings += uint32(f.Count)
		leaves = append(leaves, f.leaf)
	}
	manifest.Frames, manifest.Root = uint32(len(leaves)), evidence.Root(leaves)
	for i := range frames {
		if f := &frames[i]; f.verdict == provenance.Accepted {
			head := heads[headName{f.ID.Device, f.ID.Epoch}]
			if !head.moved {
				continue
			}
			head.moved = false
			if err := tx.put(head.key, &head.Head); err != nil {
				return nil, err
			}
		}
	}
	return manifest, nil
}

type headName struct {
	device string
	epoch  uint32
}

type movingHead struct {
	provenance.Head
	key   string
	moved bool
}

// heads loads the heads that the frames which are good so far belong to.
func (tx *transaction) heads(frames []judged) (map[headName]*movingHead, error) {
	heads := make(map[headName]*movingHead, len(frames))
	inOrder := make([]*movingHead, 0, len(frames))
	keys := make([]string, 0, len(frames))
	for i := range frames {
		if frames[i].verdict != provenance.Accepted {
			continue
		}
		name := headName{frames[i].ID.Device, frames[i].ID.Epoch}
		if heads[name] == nil {
			head := &movingHead{key: provenance.HeadKey(name.device, name.epoch)}
			heads[name], inOrder, keys = head, append(inOrder, head), append(keys, head.key)
		}
	}
	if err := tx.prefetch(keys); err != nil {
		return nil, err
	}
	for _, head := range inOrder {
		if value := tx.read[head.key]; len(value) != 0 {
			if err := evidence.Unmarshal(value, &head.Head); err != nil {
				return nil, fmt.Errorf("decoding %s: %w", head.key, err)
			}
		}
		if head.Gaps == nil {
			head.Gaps = []provenance.Gap{} // an empty list has one encoding
		}
	}
	return heads, nil
}

// Head answers with how far a device has come in an epoch.
func (*readings) Head(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.HeadName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("device", request.Device); err != nil {
		return "", err
	}
	head, err := load[provenance.Head](tx, provenance.HeadKey(request.Device, request.Epoch))
	return found(head, err, fmt.Sprintf("device %s has no frame recorded in epoch %d", request.Device, request.Epoch))
}

// Manifest answers with the manifest of a batch.
func (*readings) Manifest(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ManifestName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.Organisation); err != nil {
		return "", err
	}
	manifest, err := load[provenance.Manifest](tx, provenance.ManifestKey(request.Organisation, request.Lane, request.Number))
	return found(manifest, err, fmt.Sprintf("batch %d of lane %d of %s is not on the ledger", request.Number, request.Lane, request.Organisation))
}
