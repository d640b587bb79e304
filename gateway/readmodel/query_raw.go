package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// RawReadings lists single readings by (time, device, epoch, sequence, index).
func (s *Store) RawReadings(ctx context.Context, q RawQuery) (result Page[Reading], err error) {
	limit, err := q.limit(MaxRawLimit)
	if err != nil {
		return result, err
	}
	if q.Shipment == "" && q.Device == "" {
		return result, provenance.Invalidf("readings are listed for a shipment or a device; name one")
	}
	var after Reading
	resumed, err := q.resume(&after.Time, &after.Device, &after.Epoch, &after.Sequence, &after.Index)
	if err != nil {
		return result, err
	}
	within := span{q.From, endOf(q.To)}
	if resumed {
		within.from = max(within.from, after.Time)
	}
	asOf := q.AsOfBlock
	if asOf == 0 {
		asOf = 1<<64 - 1
	}
	err = s.read(ctx, func(v view) error {
		devices, err := v.sources(q, within)
		if err != nil {
			return err
		}
		var items []Reading
		for day, more := int64(-1), true; more && len(items) <= limit; {
			if day, more, err = v.nextDay(devices, day+1, q.AfterBlock); err != nil || !more {
				return err
			}
			fresh, err := v.readingsOfDay(devices, day, blocks{q.AfterBlock, asOf})
			if err != nil {
				return err
			}
			if resumed {
				fresh = slices.DeleteFunc(fresh, func(r Reading) bool { return r.compare(&after) <= 0 })
			}
			slices.SortFunc(fresh, func(a, b Reading) int { return a.compare(&b) })
			items = append(items, fresh[:min(len(fresh), limit+1-len(items))]...)
			result = page(items, limit, func(r Reading) string { return token(r.Time, r.Device, r.Epoch, r.Sequence, r.Index) })
		}
		return nil
	})
	return result, err
}

func (r *Reading) compare(o *Reading) int {
	return cmp.Or(cmp.Compare(r.Time, o.Time), cmp.Compare(r.Device, o.Device), cmp.Compare(r.Epoch, o.Epoch),
		cmp.Compare(r.Sequence, o.Sequence), cmp.Compare(r.Index, o.Index))
}

// sources says which devices' readings are asked for, and when they count.
func (v view) sources(q RawQuery, within span) ([]attached, error) {
	if q.Shipment != "" {
		return v.attachedTo(q.Shipment, q.Device, within)
	}
	row, found, err := v.deviceRow(q.Device)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, provenance.NotFoundf("the ledger holds no device %q", q.Device)
	}
	source := attached{row: row, spans: union([]span{within})}
	source.device.ID = q.Device
	return []attached{source}, nil
}

// blocks is what was recorded after one block and up to another; after 0 means from the beginning.
type blocks struct{ after, through uint64 }

func (b blocks) hold(block uint64) bool {
	return (b.after == 0 || block > b.after) && block <= b.through
}

// nextDay finds the first day, not before the given one, for which there are segments.
func (v view) nextDay(devices []attached, day int64, after uint64) (next int64, found bool, err error) {
	for i := range devices {
		for _, s := range devices[i].spans {
			from, to := segmentsOf(devices[i].row, s)
			var id sql.NullInt64
			if _, err := v.row(`SELECT id FROM segments WHERE id BETWEEN ? AND ? AND block >= ? ORDER BY id LIMIT 1`,
				[]any{max(from, segmentID(devices[i].row, min(day, segmentDays-1), 0)), to, int64(min(after, 1<<63-1))}, &id); err != nil {
				return 0, false, err
			}
			if id.Valid && (!found || segmentDay(id.Int64) < next) {
				next, found = segmentDay(id.Int64), true
			}
		}
	}
	return next, found, nil
}

func (v view) readingsOfDay(devices []attached, day int64, within blocks) (items []Reading, err error) {
	for i := range devices {
		d := &devices[i]
		err := v.rows(`SELECT data FROM segments WHERE id BETWEEN ? AND ? AND block >= ? ORDER BY id`,
			[]any{segmentID(d.row, day, 0), segmentID(d.row, day, segmentParts-1), int64(min(within.after, 1<<63-1))}, func(r *sql.Rows) error {
				var data sql.RawBytes
				if err := r.Scan(&data); err != nil {
					return err
				}
				reader := segmentReader{data: data, day: day}
				for reader.next() {
					if within.hold(reader.run.block) {
						items = d.appendReadings(items, &reader.run)
					}
				}
				return reader.err
			})
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

// appendReadings takes what counts of a run.
func (a *attached) appendReadings(items []Reading, r *run) []Reading {
	for i, reading := range r.readings {
		for _, s := range a.spans {
			if s.holds(reading.Time) {
				items = append(items, Reading{
					FrameID: provenance.FrameID{Device: a.device.ID, Epoch: r.epoch, Sequence: r.sequence},
					Index:   r.offset + uint32(i), Time: reading.Time, Value: reading.Value,
					Published: r.published, Received: r.received, Block: r.block, Backfilled: r.backfilled,
				})
			}
		}
	}
	return items
}
