package readmodel

import (
	"fmt"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

type headID struct {
	device int64
	epoch  uint32
}

// headRow gathers what one Update adds to a head.
type headRow struct {
	leaf             uint64
	value            []byte // nil: the state did not change
	gaps             int
	frames, readings uint64
	lastTime         provenance.Time
	lastValue        provenance.Micro
}

func (w *Writer) head(id headID) *headRow {
	h := w.heads[id]
	if h == nil {
		h = &headRow{}
		w.heads[id] = h
		w.order = append(w.order, id)
	}
	return h
}

// device gives the row id of a device, 0 where it is not enrolled.
func (w *Writer) device(name string) (int64, error) {
	if id, known := w.devices[name]; known {
		return id, nil
	}
	var id int64
	found, err := w.row(`SELECT id FROM devices WHERE name = ?`, []any{name}, &id)
	if err != nil || !found {
		return 0, err
	}
	w.devices[name] = id
	return id, nil
}

// putHead keeps the newest state of a head.
func (w *Writer) putHead(leaf uint64, device string, epoch uint32, state *provenance.Head, value []byte) error {
	id, err := w.device(device)
	if err != nil {
		return err
	}
	if id == 0 {
		return &ContentError{fmt.Sprintf("device %s is not enrolled", device)}
	}
	h := w.head(headID{id, epoch})
	h.leaf, h.value, h.gaps = leaf, value, len(state.Gaps)
	return nil
}

func (w *Writer) flushHeads() error {
	for _, id := range w.order {
		h := w.heads[id]
		value := h.value
		if value == nil {
			value = []byte{}
		}
		err := w.exec(`INSERT INTO heads (device, epoch, leaf, gaps, value, frames, readings, last_time, last_value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (device, epoch) DO UPDATE SET
				leaf = CASE WHEN length(excluded.value) > 0 THEN excluded.leaf ELSE heads.leaf END,
				gaps = CASE WHEN length(excluded.value) > 0 THEN excluded.gaps ELSE heads.gaps END,
				value = CASE WHEN length(excluded.value) > 0 THEN excluded.value ELSE heads.value END,
				frames = heads.frames + excluded.frames,
				readings = heads.readings + excluded.readings,
				last_value = CASE WHEN excluded.last_time > heads.last_time THEN excluded.last_value ELSE heads.last_value END,
				last_time = CASE WHEN excluded.last_time > heads.last_time THEN excluded.last_time ELSE heads.last_time END`,
			id.device, int64(id.epoch), int64(h.leaf), int64(h.gaps), value, int64(h.frames), int64(h.readings), int64(h.lastTime), int64(h.lastValue))
		if err != nil {
			return err
		}
	}
	w.order = nil
	clear(w.heads)
	return nil
}

// BatchRow is a batch with the frames that were accepted, in the order of the manifest's tree.
type BatchRow struct {
	Leaf     uint64 // of its transaction
	Block    uint64
	Manifest *provenance.Manifest
	Value    []byte // the manifest as it stands on the ledger
	Argument []byte
	Frames   []FrameReadings
}

// AddBatch keeps a batch, its frames and their readings.
func (w *Writer) AddBatch(b *BatchRow) error {
	m := b.Manifest
	err := w.exec(`INSERT INTO batches (leaf, organisation, lane, number, bytes, manifest, argument) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		int64(b.Leaf), m.Organisation, int64(m.Lane), int64(m.Number), len(b.Argument), b.Value, b.Argument)
	if err != nil {
		return err
	}
	w.position.refused += uint64(len(m.Refused))
	for i := range b.Frames {
		f := &b.Frames[i]
		id, err := w.device(f.ID.Device)
		if err != nil {
			return err
		}
		if id == 0 {
			return &ContentError{fmt.Sprintf("device %s is not enrolled", f.ID.Device)}
		}
		err = w.exec(`INSERT INTO frames (device, epoch, sequence, batch, leaf, first_time, last_time) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			id, int64(f.ID.Epoch), int64(f.ID.Sequence), int64(b.Leaf), int64(f.Leaf), int64(f.First), int64(f.Last))
		if err != nil {
			return err
		}
		if err := w.addReadings(id, b.Block, f); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) addReadings(device int64, block uint64, f *FrameReadings) error {
	h := w.head(headID{device, f.ID.Epoch})
	h.frames++
	w.position.frames++
	h.readings += uint64(f.Count)
	w.position.readings += uint64(f.Count)
	if f.Backfilled {
		w.position.late += uint64(f.Count)
	}
	if n := len(f.Readings); n > 0 && (f.Last > h.lastTime || h.lastTime == 0) {
		h.lastTime, h.lastValue = f.Last, f.Readings[n-1].Value
	}
	return splitDays(f.Readings, func(day int64, offset int, part []provenance.Reading) error {
		s, err := w.openSegment(device, day)
		if err != nil {
			return err
		}
		if !s.dirty {
			w.dirty = append(w.dirty, s)
		}
		s.add(day, &run{
			epoch: f.ID.Epoch, sequence: f.ID.Sequence, block: block, offset: uint32(offset), backfilled: f.Backfilled,
			published: f.Published, received: f.Received, readings: part,
		}, f.Last)
		return nil
	})
}

// openSegment gives the segment of a device's day that is to be added to.
func (w *Writer) openSegment(device, day int64) (*segment, error) {
	slot := segmentID(device, day, 0)
	s := w.segments[slot]
	if s == nil {
		s = &segment{id: slot}
		var packed []byte
		_, err := w.row(`SELECT id, block, first_time, last_time, last_value, hours, data FROM segments WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1`,
			[]any{slot, slot + segmentParts}, &s.id, &s.block, &s.first, &s.last, &s.lastValue, &packed, &s.data)
		if err != nil {
			return nil, err
		}
		if err := decodeHours(packed, &s.hours); err != nil {
			return nil, err
		}
		w.segments[slot] = s
	}
	if len(s.data) >= segmentBytes && s.id < slot+segmentParts-1 {
		s = &segment{id: s.id + 1}
		w.segments[slot] = s
	}
	return s, nil
}

// acceptedPosition gives the place in the batch of a leaf of the manifest's tree: refused frames have none there.
func acceptedPosition(m *provenance.Manifest, leaf uint32) uint32 {
	position := leaf
	for _, refused := range m.Refused { // by rising position
		if refused.Position > position {
			break
		}
		position++
	}
	return position
}

func decodeState[T any](value []byte) (*T, error) {
	state := new(T)
	if err := evidence.Unmarshal(value, state); err != nil {
		return nil, fmt.Errorf("reading a record from the read model: %w", err)
	}
	return state, nil
}
