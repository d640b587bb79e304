package readmodel

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Devices lists devices by identifier.
func (s *Store) Devices(ctx context.Context, f DeviceFilter) (result Page[Device], err error) {
	limit, err := f.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	var where filter
	if f.Organisation != "" {
		where.and(`r.organisation = ?`, f.Organisation)
	}
	if f.Shipment != "" {
		where.and(`r.name IN (SELECT device FROM attachments WHERE shipment = ?)`, f.Shipment)
	}
	if f.Status != nil {
		where.and(`r.status = ?`, int64(*f.Status))
	}
	if f.DueBefore != 0 {
		where.and(`r.due < ?`, int64(f.DueBefore))
	}
	if f.Text != "" {
		where.and(`r.name LIKE ? ESCAPE '\'`, prefix(f.Text))
	}
	var after string
	if resumed, err := f.resume(&after); err != nil {
		return result, err
	} else if resumed {
		where.and(`r.name > ?`, after)
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.devices(where, limit+1)
		result = page(items, limit, func(d Device) string { return token(d.ID) })
		return err
	})
	return result, err
}

// Device gives one device.
func (s *Store) Device(ctx context.Context, id string) (device Device, err error) {
	err = s.read(ctx, func(v view) error {
		device, err = v.device(id)
		return err
	})
	return device, err
}

func (v view) device(id string) (Device, error) {
	var where filter
	where.and(`r.name = ?`, id)
	items, err := v.devices(where, 1)
	if err != nil {
		return Device{}, err
	}
	if len(items) == 0 {
		return Device{}, provenance.NotFoundf("the ledger holds no device %q", id)
	}
	return items[0], nil
}

func (v view) devices(where filter, limit int) (items []Device, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.value,
			COALESCE((SELECT MAX(h.last_time) FROM heads h WHERE h.device = r.id), 0),
			COALESCE((SELECT h.last_value FROM heads h WHERE h.device = r.id ORDER BY h.last_time DESC, h.epoch DESC LIMIT 1), 0),
			COALESCE((SELECT SUM(h.readings) FROM heads h WHERE h.device = r.id), 0),
			COALESCE((SELECT a.shipment FROM attachments a WHERE a.device = r.name AND a.to_time = 0 ORDER BY a.from_time DESC, a.shipment LIMIT 1), '')
		FROM devices r`+stampJoin+where.where()+` ORDER BY r.name LIMIT ?`, append(where.args, limit), func(r *sql.Rows) error {
		var item Device
		state, err := scanned[provenance.Device](r, &item.Stamp, &item.LastAt, &item.LastValue, &item.Readings, &item.Shipment)
		if err == nil {
			item.Device = *state
			items = append(items, item)
		}
		return err
	})
	return items, err
}

// Attachments lists the shipments that a device was attached to, by the beginning of the attachment.
func (s *Store) Attachments(ctx context.Context, device string) (items []ShipmentAttachment, err error) {
	err = s.read(ctx, func(v view) error {
		return v.rows(`SELECT shipment, device, from_time, to_time FROM attachments WHERE device = ? ORDER BY from_time, shipment, position`, []any{device}, func(r *sql.Rows) error {
			var a ShipmentAttachment
			err := r.Scan(&a.Shipment, &a.Device, &a.From, &a.To)
			items = append(items, a)
			return err
		})
	})
	return items, err
}

// AllAttachments lists the attachments of every shipment, for those who follow all of them.
func (s *Store) AllAttachments(ctx context.Context) (items []ShipmentAttachment, err error) {
	err = s.read(ctx, func(v view) error {
		return v.rows(`SELECT shipment, device, from_time, to_time FROM attachments ORDER BY shipment, position`, nil, func(r *sql.Rows) error {
			var a ShipmentAttachment
			err := r.Scan(&a.Shipment, &a.Device, &a.From, &a.To)
			items = append(items, a)
			return err
		})
	})
	return items, err
}

// Gaps lists the sequence numbers of a device that have not arrived, by epoch.
func (s *Store) Gaps(ctx context.Context, device string) (gaps []Gap, err error) {
	err = s.read(ctx, func(v view) error {
		id, found, err := v.deviceRow(device)
		if err != nil {
			return err
		}
		if !found {
			return provenance.NotFoundf("the ledger holds no device %q", device)
		}
		gaps, err = v.gaps(device, id)
		return err
	})
	return gaps, err
}

func (v view) gaps(device string, id int64) (gaps []Gap, err error) {
	err = v.rows(`SELECT epoch, value FROM heads WHERE device = ? AND gaps > 0 ORDER BY epoch`, []any{id}, func(r *sql.Rows) error {
		var epoch uint32
		var value []byte
		if err := r.Scan(&epoch, &value); err != nil {
			return err
		}
		head, err := decodeState[provenance.Head](value)
		if err != nil {
			return err
		}
		for _, g := range head.Gaps {
			gaps = append(gaps, Gap{Device: device, Epoch: epoch, From: g.From, To: g.To})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range gaps {
		g := &gaps[i]
		if _, err := v.row(`SELECT last_time FROM frames WHERE device = ? AND epoch = ? AND sequence = ?`, []any{id, int64(g.Epoch), int64(g.From - 1)}, &g.After); err != nil {
			return nil, err
		}
		if _, err := v.row(`SELECT first_time FROM frames WHERE device = ? AND epoch = ? AND sequence = ?`, []any{id, int64(g.Epoch), int64(g.To + 1)}, &g.Before); err != nil {
			return nil, err
		}
	}
	return gaps, nil
}

// Frame gives a frame with its bytes, taken from the batch that brought it.
func (s *Store) Frame(ctx context.Context, id provenance.FrameID) (frame Frame, err error) {
	err = s.read(ctx, func(v view) error {
		frame, err = v.frame(id)
		return err
	})
	return frame, err
}

func (v view) frame(id provenance.FrameID) (f Frame, err error) {
	var batch int64
	found, err := v.row(`SELECT f.batch, f.leaf FROM frames f JOIN devices d ON d.id = f.device WHERE d.name = ? AND f.epoch = ? AND f.sequence = ?`,
		[]any{id.Device, int64(id.Epoch), int64(id.Sequence)}, &batch, &f.Leaf)
	if err != nil {
		return f, err
	}
	if !found {
		return f, provenance.NotFoundf("the ledger holds no frame %d of epoch %d of device %q", id.Sequence, id.Epoch, id.Device)
	}
	var manifestBytes, argument []byte
	if _, err = v.row(`SELECT `+stampColumns+`, r.manifest, r.argument FROM batches r`+stampJoin+` WHERE r.leaf = ?`, []any{batch},
		append(f.Stamp.into(), &manifestBytes, &argument)...); err != nil {
		return f, err
	}
	manifest, err := decodeState[provenance.Manifest](manifestBytes)
	if err != nil {
		return f, err
	}
	decoded, err := evidence.DecodeBatch(argument)
	if err != nil {
		return f, fmt.Errorf("reading a batch from the read model: %w", err)
	}
	position := acceptedPosition(manifest, f.Leaf)
	if int(position) >= len(decoded.Frames) {
		return f, fmt.Errorf("batch %d of %s, lane %d, has no frame %d", manifest.Number, manifest.Organisation, manifest.Lane, position)
	}
	carried := decoded.Frames[position]
	parsed, err := evidence.ParseFrame(carried.Raw)
	if err != nil {
		return f, fmt.Errorf("reading a frame from the read model: %w", err)
	}
	f.FrameID, f.Batch = parsed.ID, BatchID{manifest.Organisation, manifest.Lane, manifest.Number}
	f.First, f.Last, f.Published, f.Received = parsed.First, parsed.Last, parsed.Published, carried.Received
	f.Readings, f.Raw, f.Payload = uint32(parsed.Count), carried.Raw, carried.Payload
	for _, late := range manifest.Backfilled {
		f.Backfilled = f.Backfilled || late == f.Leaf
	}
	if f.FrameID != id {
		return f, fmt.Errorf("the read model leads from frame %v to %v; rebuild it", id, f.FrameID)
	}
	return f, nil
}

// FrameLeaves gives the leaf hashes of a manifest's tree.
func (s *Store) FrameLeaves(ctx context.Context, id BatchID) (leaves []provenance.Hash, err error) {
	var manifestBytes, argument []byte
	err = s.read(ctx, func(v view) error {
		found, err := v.row(`SELECT manifest, argument FROM batches WHERE organisation = ? AND lane = ? AND number = ?`,
			[]any{id.Organisation, int64(id.Lane), int64(id.Number)}, &manifestBytes, &argument)
		if err == nil && !found {
			err = provenance.NotFoundf("the ledger holds no batch %d of %s, lane %d", id.Number, id.Organisation, id.Lane)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	manifest, err := decodeState[provenance.Manifest](manifestBytes)
	if err != nil {
		return nil, err
	}
	batch, err := evidence.DecodeBatch(argument)
	if err != nil {
		return nil, fmt.Errorf("reading a batch from the read model: %w", err)
	}
	refused := manifest.Refused
	for i := range batch.Frames {
		if len(refused) > 0 && refused[0].Position == uint32(i) {
			refused = refused[1:]
			continue
		}
		leaves = append(leaves, evidence.LeafHash(batch.Frames[i].Raw))
	}
	return leaves, nil
}
