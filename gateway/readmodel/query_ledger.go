package readmodel

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Alerts lists alerts, those raised last first.
func (s *Store) Alerts(ctx context.Context, f AlertFilter) (result Page[Alert], err error) {
	limit, err := f.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	var where filter
	if f.Shipment != "" {
		where.and(`r.shipment = ?`, f.Shipment)
	}
	if f.Kind != "" {
		where.and(`r.kind = ?`, f.Kind)
	}
	if f.Acknowledged != nil {
		where.and(`r.acknowledged = ?`, map[bool]int{false: 0, true: 1}[*f.Acknowledged])
	}
	if f.From != 0 {
		where.and(`r.raised >= ?`, int64(f.From))
	}
	if f.To != 0 {
		where.and(`r.raised < ?`, int64(f.To))
	}
	var raised int64
	var shipment, id string
	if resumed, err := f.resume(&raised, &shipment, &id); err != nil {
		return result, err
	} else if resumed {
		where.and(`(r.raised < ? OR r.raised = ? AND (r.shipment > ? OR r.shipment = ? AND r.id > ?))`, raised, raised, shipment, shipment, id)
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.alerts(where, limit+1)
		result = page(items, limit, func(a Alert) string { return token(a.Raised, a.Shipment, a.ID) })
		return err
	})
	return result, err
}

func (v view) alerts(where filter, limit int) (items []Alert, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.value FROM alerts r`+stampJoin+where.where()+` ORDER BY r.raised DESC, r.shipment, r.id LIMIT ?`,
		append(where.args, limit), func(r *sql.Rows) error {
			var item Alert
			state, err := scanned[provenance.Alert](r, &item.Stamp)
			if err == nil {
				item.Alert = *state
				items = append(items, item)
			}
			return err
		})
	return items, err
}

// Alert gives one alert.
func (s *Store) Alert(ctx context.Context, shipment, id string) (alert Alert, err error) {
	var where filter
	where.and(`r.shipment = ?`, shipment)
	where.and(`r.id = ?`, id)
	err = s.read(ctx, func(v view) error {
		items, err := v.alerts(where, 1)
		if err == nil && len(items) == 0 {
			err = provenance.NotFoundf("the ledger holds no alert %q of shipment %q", id, shipment)
		}
		if err == nil {
			alert = items[0]
		}
		return err
	})
	return alert, err
}

// FindAlert gives the alert of an identifier, where only one shipment has it.
func (s *Store) FindAlert(ctx context.Context, id string) (alert Alert, err error) {
	var where filter
	where.and(`r.id = ?`, id)
	err = s.read(ctx, func(v view) error {
		items, err := v.alerts(where, 2)
		switch {
		case err != nil:
			return err
		case len(items) == 0:
			return provenance.NotFoundf("the ledger holds no alert %q", id)
		case len(items) > 1:
			return provenance.Conflictf("several shipments have an alert %q; name the shipment", id)
		}
		alert = items[0]
		return nil
	})
	return alert, err
}

// Organisations lists the members by MSP identifier.
func (s *Store) Organisations(ctx context.Context) (items []Organisation, err error) {
	err = s.read(ctx, func(v view) error {
		return v.rows(`SELECT `+stampColumns+`, r.value FROM organisations r`+stampJoin+` ORDER BY r.id`, nil, func(r *sql.Rows) error {
			var item Organisation
			state, err := scanned[provenance.Organisation](r, &item.Stamp)
			if err == nil {
				item.Organisation = *state
				items = append(items, item)
			}
			return err
		})
	})
	return items, err
}

// Models lists the registered models by name and then the order of registration.
func (s *Store) Models(ctx context.Context) (items []Model, err error) {
	err = s.read(ctx, func(v view) error {
		items, err = v.models(filter{})
		return err
	})
	return items, err
}

// Model gives one registered model.
func (s *Store) Model(ctx context.Context, name, version string) (model Model, err error) {
	var where filter
	where.and(`r.name = ?`, name)
	where.and(`r.version = ?`, version)
	err = s.read(ctx, func(v view) error {
		items, err := v.models(where)
		if err == nil && len(items) == 0 {
			err = provenance.NotFoundf("the ledger holds no model %q in version %q", name, version)
		}
		if err == nil {
			model = items[0]
		}
		return err
	})
	return model, err
}

func (v view) models(where filter) (items []Model, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.value FROM models r`+stampJoin+where.where()+` ORDER BY r.name, r.leaf`, where.args, func(r *sql.Rows) error {
		var item Model
		state, err := scanned[provenance.Model](r, &item.Stamp)
		if err == nil {
			item.Model = *state
			items = append(items, item)
		}
		return err
	})
	return items, err
}

// Batches lists batches, newest first.
func (s *Store) Batches(ctx context.Context, f BatchFilter) (result Page[Batch], err error) {
	limit, err := f.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	var where filter
	if f.Organisation != "" {
		where.and(`r.organisation = ?`, f.Organisation)
	}
	if f.Lane != nil {
		where.and(`r.lane = ?`, int64(*f.Lane))
	}
	var leaf int64
	if resumed, err := f.resume(&leaf); err != nil {
		return result, err
	} else if resumed {
		where.and(`r.leaf < ?`, leaf)
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.batches(where, limit+1)
		result = page(items, limit, func(b Batch) string { return token(b.Stamp.Leaf) })
		return err
	})
	return result, err
}

// Batch gives one batch.
func (s *Store) Batch(ctx context.Context, id BatchID) (batch Batch, err error) {
	var where filter
	where.and(`r.organisation = ? AND r.lane = ? AND r.number = ?`, id.Organisation, int64(id.Lane), int64(id.Number))
	err = s.read(ctx, func(v view) error {
		items, err := v.batches(where, 1)
		if err == nil && len(items) == 0 {
			err = provenance.NotFoundf("the ledger holds no batch %d of %s, lane %d", id.Number, id.Organisation, id.Lane)
		}
		if err == nil {
			batch = items[0]
		}
		return err
	})
	return batch, err
}

func (v view) batches(where filter, limit int) (items []Batch, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.manifest, r.bytes FROM batches r`+stampJoin+where.where()+` ORDER BY r.leaf DESC LIMIT ?`,
		append(where.args, limit), func(r *sql.Rows) error {
			var item Batch
			state, err := scanned[provenance.Manifest](r, &item.Stamp, &item.Bytes)
			if err == nil {
				item.Manifest = *state
				items = append(items, item)
			}
			return err
		})
	return items, err
}

// Checkpoints lists anchored checkpoints, the largest first.
func (s *Store) Checkpoints(ctx context.Context, f CheckpointFilter) (result Page[Checkpoint], err error) {
	limit, err := f.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	var where filter
	if f.Organisation != "" {
		where.and(`r.organisation = ?`, f.Organisation)
	}
	var size int64
	var organisation string
	if resumed, err := f.resume(&size, &organisation); err != nil {
		return result, err
	} else if resumed {
		where.and(`(r.size < ? OR r.size = ? AND r.organisation > ?)`, size, size, organisation)
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.checkpoints(where, `r.size DESC, r.organisation`, limit+1)
		result = page(items, limit, func(c Checkpoint) string { return token(c.Size, c.Organisation) })
		return err
	})
	return result, err
}

// Disputed lists the checkpoints of others that disagree with our log, and at whose size an organisation has not anchored its own,
// the smallest first.
func (s *Store) Disputed(ctx context.Context, organisation string, limit int) (items []Checkpoint, err error) {
	var where filter
	where.and(`r.agreement = ? AND r.organisation <> ?`, int64(Disagrees), organisation)
	where.and(`NOT EXISTS (SELECT 1 FROM checkpoints o WHERE o.size = r.size AND o.organisation = ?)`, organisation)
	err = s.read(ctx, func(v view) error {
		items, err = v.checkpoints(where, `r.size, r.organisation`, limit)
		return err
	})
	return items, err
}

// Disagreements counts the anchored checkpoints that disagree with our log.
func (s *Store) Disagreements(ctx context.Context) (count int, err error) {
	err = s.read(ctx, func(v view) error {
		_, err := v.row(`SELECT COUNT(*) FROM checkpoints WHERE agreement = ?`, []any{int64(Disagrees)}, &count)
		return err
	})
	return count, err
}

// UnanchoredLeaves tells whether the log has grown, since a size, by anything but anchored checkpoints.
func (s *Store) UnanchoredLeaves(ctx context.Context, since uint64) (grown bool, err error) {
	err = s.read(ctx, func(v view) error {
		var leaf int64
		grown, err = v.row(`SELECT leaf FROM transactions WHERE leaf >= ? AND function <> ? ORDER BY leaf LIMIT 1`, []any{int64(since), anchorFunction}, &leaf)
		return err
	})
	return grown, err
}

// anchorFunction is the contract function that anchors checkpoints.
const anchorFunction = "checkpoints:Anchor"

// Covering gives for each organisation its smallest agreeing checkpoint of at least a size, by organisation. Checkpoints signed with a
// key that was replaced since do not count: verifiers pin the present one.
func (s *Store) Covering(ctx context.Context, size uint64) (items []Checkpoint, err error) {
	err = s.read(ctx, func(v view) error {
		var organisations []string
		err := v.rows(`SELECT id FROM organisations ORDER BY id`, nil, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			organisations = append(organisations, id)
			return err
		})
		if err != nil {
			return err
		}
		for _, organisation := range organisations {
			var where filter
			where.and(`r.organisation = ? AND r.size >= ? AND r.agreement = ? AND r.leaf > (SELECT leaf FROM organisations WHERE id = ?)`,
				organisation, int64(size), int64(Agrees), organisation)
			found, err := v.checkpoints(where, `r.size`, 1)
			if err != nil {
				return err
			}
			items = append(items, found...)
		}
		return nil
	})
	return items, err
}

func (v view) checkpoints(where filter, order string, limit int) (items []Checkpoint, err error) {
	err = v.rows(`SELECT `+stampColumns+`, r.value, r.agreement FROM checkpoints r`+stampJoin+where.where()+` ORDER BY `+order+` LIMIT ?`,
		append(where.args, limit), func(r *sql.Rows) error {
			var item Checkpoint
			state, err := scanned[provenance.Checkpoint](r, &item.Stamp, &item.Agreement)
			if err == nil {
				item.Checkpoint = *state
				items = append(items, item)
			}
			return err
		})
	return items, err
}

// Contradictions lists the contradictions that the contract recorded, the smallest first.
func (s *Store) Contradictions(ctx context.Context) (items []Contradiction, err error) {
	err = s.read(ctx, func(v view) error {
		return v.rows(`SELECT `+stampColumns+`, r.value FROM contradictions r`+stampJoin+` ORDER BY r.size LIMIT ?`, []any{MaxLimit}, func(r *sql.Rows) error {
			var item Contradiction
			state, err := scanned[provenance.Contradiction](r, &item.Stamp)
			if err == nil {
				item.Contradiction = *state
				items = append(items, item)
			}
			return err
		})
	})
	return items, err
}

// History lists the versions of a record, newest first. Of heads, lanes and manifests only the newest version is kept.
func (s *Store) History(ctx context.Context, key string, p Paging) (result Page[Version], err error) {
	limit, err := p.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	leaf := int64(1<<63 - 1)
	if _, err := p.resume(&leaf); err != nil {
		return result, err
	}
	err = s.read(ctx, func(v view) error {
		items, err := v.versions(key, leaf, limit+1)
		result = page(items, limit, func(i Version) string { return token(i.Stamp.Leaf) })
		return err
	})
	return result, err
}

// VersionBefore gives the version of a record that was in force before a leaf of the log.
func (s *Store) VersionBefore(ctx context.Context, key string, leaf uint64) (version Version, err error) {
	err = s.read(ctx, func(v view) error {
		items, err := v.versions(key, int64(min(leaf, 1<<63-1)), 1)
		if err == nil && len(items) == 0 {
			err = provenance.NotFoundf("the ledger holds no record %q", key)
		}
		if err == nil {
			version = items[0]
		}
		return err
	})
	return version, err
}

func (v view) versions(key string, before int64, limit int) (items []Version, err error) {
	kind, rest, _ := strings.Cut(key, "/")
	parts := strings.Split(rest, "/")
	table, args := `records r WHERE r.key = ?`, []any{key}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil {
			return -1 // no row has it
		}
		return n
	}
	column := "value"
	switch {
	case kind == "h" && len(parts) == 2:
		table, args = `heads r JOIN devices d ON d.id = r.device AND length(r.value) > 0 WHERE d.name = ? AND r.epoch = ?`, []any{parts[0], number(1)}
	case kind == "l" && len(parts) == 2:
		table, args = `lanes r WHERE r.organisation = ? AND r.lane = ?`, []any{parts[0], number(1)}
	case kind == "b" && len(parts) == 3:
		table, args, column = `batches r WHERE r.organisation = ? AND r.lane = ? AND r.number = ?`, []any{parts[0], number(1), number(2)}, "manifest"
	}
	from, condition, _ := strings.Cut(table, " WHERE ")
	err = v.rows(`SELECT `+stampColumns+`, r.`+column+`, t.function, t.creator FROM `+from+stampJoin+` WHERE `+condition+` AND r.leaf < ? ORDER BY r.leaf DESC LIMIT ?`,
		append(args, before, limit), func(r *sql.Rows) error {
			item := Version{Key: key}
			err := r.Scan(append(item.Stamp.into(), &item.Value, &item.Function, &item.Creator)...)
			items = append(items, item)
			return err
		})
	return items, err
}

// Transaction gives a leaf of the log with what stands behind it.
func (s *Store) Transaction(ctx context.Context, leaf uint64) (Transaction, error) {
	t, _, err := s.transaction(ctx, `r.leaf = ?`, int64(min(leaf, 1<<63-1)))
	return t, err
}

// FindTransaction gives the log's leaf of a transaction identifier in hexadecimal.
func (s *Store) FindTransaction(ctx context.Context, id string) (Transaction, error) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 32 {
		return Transaction{}, provenance.Invalidf("a transaction identifier is 64 hexadecimal digits")
	}
	t, _, err := s.transaction(ctx, `r.txid = ?`, raw)
	return t, err
}

// Records gives a transaction and the public writes that it recorded, sorted by key.
func (s *Store) Records(ctx context.Context, leaf uint64) (Transaction, []evidence.Write, error) {
	return s.transaction(ctx, `r.leaf = ?`, int64(min(leaf, 1<<63-1)))
}

func (s *Store) transaction(ctx context.Context, condition string, arg any) (t Transaction, writes []evidence.Write, err error) {
	var digest, packed []byte
	err = s.read(ctx, func(v view) error {
		found, err := v.row(`SELECT `+stampColumns+`, t.function, t.creator, t.digest, t.records FROM transactions r`+stampJoin+` WHERE `+condition, []any{arg},
			append(t.Stamp.into(), &t.Function, &t.Creator, &digest, &packed)...)
		if err == nil && !found {
			err = provenance.NotFoundf("the log holds no such transaction")
		}
		return err
	})
	if err != nil {
		return t, nil, err
	}
	if t.Digest, err = hashOf(digest); err != nil {
		return t, nil, err
	}
	id, err := hex.DecodeString(t.Stamp.TransactionID)
	if err != nil {
		return t, nil, err
	}
	t.LeafData = evidence.LogLeaf{Channel: s.channel, Block: t.Stamp.Block, Transaction: t.Stamp.Transaction, TransactionID: id, Digest: t.Digest}.Encode()
	if writes, err = unpackRecords(packed); err != nil {
		return t, nil, err
	}
	for _, w := range writes {
		t.Keys = append(t.Keys, w.Key)
	}
	return t, writes, nil
}

// packRecords and unpackRecords keep a transaction's public writes.
func packRecords(writes []evidence.Write) ([]byte, error) {
	data, err := evidence.Marshal(writes)
	if err != nil {
		return nil, fmt.Errorf("encoding a transaction's records: %w", err)
	}
	return compressor.EncodeAll(data, nil), nil
}

func unpackRecords(packed []byte) (writes []evidence.Write, err error) {
	data, err := decompressor.DecodeAll(packed, nil)
	if err == nil {
		err = evidence.Unmarshal(data, &writes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a transaction's records: %w", err)
	}
	return writes, nil
}

// Anomalies lists what did not fit, newest first.
func (s *Store) Anomalies(ctx context.Context, p Paging) (result Page[Anomaly], err error) {
	limit, err := p.limit(MaxLimit)
	if err != nil {
		return result, err
	}
	before := int64(1<<63 - 1)
	if _, err := p.resume(&before); err != nil {
		return result, err
	}
	var items []Anomaly
	err = s.read(ctx, func(v view) error {
		return v.rows(`SELECT id, block, tx, kind, detail, time FROM anomalies WHERE id < ? ORDER BY id DESC LIMIT ?`, []any{before, limit + 1}, func(r *sql.Rows) error {
			var a Anomaly
			err := r.Scan(&a.ID, &a.Block, &a.Transaction, &a.Kind, &a.Detail, &a.Found)
			items = append(items, a)
			return err
		})
	})
	return page(items, limit, func(a Anomaly) string { return token(a.ID) }), err
}

// Stats counts what the read model holds.
func (s *Store) Stats(ctx context.Context) (n Stats, err error) {
	err = s.read(ctx, func(v view) error {
		if n.Position, err = v.position(); err != nil {
			return err
		}
		_, err := v.row(`SELECT invalid, frames, readings, refused, late,
			(SELECT COUNT(*) FROM organisations), (SELECT COUNT(*) FROM devices), (SELECT COUNT(*) FROM shipments), (SELECT COUNT(*) FROM shipments WHERE closed = 0),
			(SELECT COUNT(*) FROM alerts), (SELECT COUNT(*) FROM alerts WHERE acknowledged = 0), (SELECT COUNT(*) FROM batches),
			(SELECT COALESCE(SUM(gaps), 0) FROM heads), (SELECT COUNT(*) FROM checkpoints), (SELECT COUNT(*) FROM contradictions), (SELECT COUNT(*) FROM anomalies)
			FROM position WHERE id = 1`, nil,
			&n.Invalid, &n.Frames, &n.Readings, &n.Refused, &n.Backfilled, &n.Organisations, &n.Devices, &n.Shipments, &n.OpenShipments,
			&n.Alerts, &n.OpenAlerts, &n.Batches, &n.Gaps, &n.Checkpoints, &n.Contradictions, &n.Anomalies)
		n.Transactions = n.LogSize
		return err
	})
	return n, err
}
