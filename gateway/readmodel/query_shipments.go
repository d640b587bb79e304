package readmodel

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// stampColumns and stampJoin add a record's place on the ledger to a query over a table "r" that has a column leaf.
const (
	stampColumns = `t.leaf, t.block, t.tx, t.txid, t.time`
	stampJoin    = ` JOIN transactions t ON t.leaf = r.leaf`
)

func (s *Stamp) into() []any {
	return []any{&s.Leaf, &s.Block, &s.Transaction, (*hexadecimal)(&s.TransactionID), &s.Time}
}

// hexadecimal scans bytes as their digits.
type hexadecimal string

func (h *hexadecimal) Scan(src any) error {
	raw, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("a transaction identifier is a %T in the read model", src)
	}
	*h = hexadecimal(hex.EncodeToString(raw))
	return nil
}

// scanned reads a row of (stamp…, value, more…) and decodes the value.
func scanned[T any](r *sql.Rows, stamp *Stamp, more ...any) (*T, error) {
	var value []byte
	if err := r.Scan(append(append(stamp.into(), &value), more...)...); err != nil {
		return nil, err
	}
	return decodeState[T](value)
}

// Shipments lists shipments, those opened last first.
func (s *Store) Shipments(ctx context.Context, f ShipmentFilter) (result Page[Shipment], err error) {
	limit, err := f.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	var where filter
	if f.Party != "" {
		where.and(`r.id IN (SELECT shipment FROM parties WHERE organisation = ?)`, f.Party)
	}
	if f.Open != nil && *f.Open {
		where.and(`r.closed = 0`)
	} else if f.Open != nil {
		where.and(`r.closed <> 0`)
	}
	if f.Text != "" {
		where.and(`r.search LIKE ? ESCAPE '\'`, contains(strings.ToLower(f.Text)))
	}
	var opened int64
	var id string
	if resumed, err := f.resume(&opened, &id); err != nil {
		return result, err
	} else if resumed {
		where.and(`(r.opened < ? OR r.opened = ? AND r.id > ?)`, opened, opened, id)
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.shipments(where, limit+1)
		result = page(items, limit, func(i Shipment) string { return token(i.Opened, i.ID) })
		if err != nil {
			return err
		}
		return v.completeShipments(result.Items)
	})
	return result, err
}

// Shipment gives one shipment.
func (s *Store) Shipment(ctx context.Context, id string) (shipment Shipment, err error) {
	err = s.read(ctx, func(v view) error {
		shipment, err = v.shipment(id)
		return err
	})
	return shipment, err
}

func (v view) shipment(id string) (Shipment, error) {
	var where filter
	where.and(`r.id = ?`, id)
	items, err := v.shipments(where, 1)
	if err != nil {
		return Shipment{}, err
	}
	if len(items) == 0 {
		return Shipment{}, provenance.NotFoundf("the ledger holds no shipment %q", id)
	}
	return items[0], v.completeShipments(items)
}

func (v view) shipments(where filter, limit int) (items []Shipment, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.value,
			(SELECT COUNT(*) FROM alerts a WHERE a.shipment = r.id), (SELECT COUNT(*) FROM alerts a WHERE a.shipment = r.id AND a.acknowledged = 0)
		FROM shipments r`+stampJoin+where.where()+` ORDER BY r.opened DESC, r.id LIMIT ?`, append(where.args, limit), func(r *sql.Rows) error {
		var item Shipment
		state, err := scanned[provenance.Shipment](r, &item.Stamp, &item.Alerts, &item.OpenAlerts)
		if err == nil {
			item.Shipment = *state
			items = append(items, item)
		}
		return err
	})
	return items, err
}

// completeShipments finds the newest reading of each shipment.
func (v view) completeShipments(items []Shipment) error {
	for i := range items {
		for _, a := range items[i].Attachments {
			device, found, err := v.deviceRow(a.Device)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			at, err := v.lastReading(device, a.From, a.To)
			if err != nil {
				return err
			}
			items[i].LastAt = max(items[i].LastAt, at)
		}
	}
	return nil
}

// lastReading gives the acquisition time of a device's newest reading within an attachment, 0 where there is none.
func (v view) lastReading(device int64, from, to provenance.Time) (last provenance.Time, err error) {
	until := int64(segmentDays)
	if to != 0 {
		until = min(until, int64(to)/dayMs+1)
	}
	rows, err := v.tx.QueryContext(v.ctx, `SELECT id, first_time, last_time, data FROM segments WHERE id >= ? AND id < ? ORDER BY id DESC`,
		segmentID(device, max(int64(from), 0)/dayMs, 0), segmentID(device, 0, 0)+until<<13)
	if err != nil {
		return 0, err
	}
	day := int64(-1)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var first, newest provenance.Time
		var data sql.RawBytes
		if err := rows.Scan(&id, &first, &newest, &data); err != nil {
			return 0, err
		}
		if last != 0 && segmentDay(id) != day {
			break // earlier days hold nothing newer
		}
		day = segmentDay(id)
		switch {
		case newest <= last || newest < from || to != 0 && first >= to:
		case to == 0 || newest < to:
			last = newest
		default:
			s := segmentReader{data: data, day: day}
			for s.next() {
				for _, r := range s.run.readings {
					if r.Time >= from && r.Time < to {
						last = max(last, r.Time)
					}
				}
			}
			if s.err != nil {
				return 0, s.err
			}
		}
	}
	return last, rows.Err()
}

func (v view) deviceRow(name string) (id int64, found bool, err error) {
	found, err = v.row(`SELECT id FROM devices WHERE name = ?`, []any{name}, &id)
	return id, found, err
}
