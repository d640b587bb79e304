package readmodel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// PutState keeps a record in its newest version; state is what evidence.DecodeState made of it. Manifests come with AddBatch.
func (w *Writer) PutState(leaf uint64, key string, value []byte, state any) error {
	switch s := state.(type) {
	case *provenance.Head:
		_, rest, _ := strings.Cut(key, "/")
		device, number, _ := strings.Cut(rest, "/")
		epoch, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return &ContentError{fmt.Sprintf("the key %q names no epoch", key)}
		}
		return w.putHead(leaf, device, uint32(epoch), s, value)
	case *provenance.Lane:
		return w.exec(`INSERT INTO lanes (organisation, lane, leaf, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (organisation, lane) DO UPDATE SET leaf = excluded.leaf, value = excluded.value`, s.Organisation, int64(s.Lane), int64(leaf), value)
	case *provenance.Manifest:
		return nil
	}
	if err := w.exec(`INSERT INTO records (key, leaf, value) VALUES (?, ?, ?)`, key, int64(leaf), value); err != nil {
		return err
	}
	switch s := state.(type) {
	case *provenance.Organisation:
		return w.exec(`INSERT INTO organisations (id, leaf, value) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET leaf = excluded.leaf, value = excluded.value`, s.ID, int64(leaf), value)
	case *provenance.Device:
		return w.putDevice(leaf, s, value)
	case *provenance.Shipment:
		return w.putShipment(leaf, s, value)
	case *provenance.Model:
		return w.exec(`INSERT INTO models (name, version, leaf, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (name, version) DO UPDATE SET leaf = excluded.leaf, value = excluded.value`, s.Name, s.Version, int64(leaf), value)
	case *provenance.Alert:
		acknowledged := 0
		if s.Acknowledgement != nil {
			acknowledged = 1
		}
		return w.exec(`INSERT INTO alerts (shipment, id, kind, raised, acknowledged, leaf, value) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (shipment, id) DO UPDATE SET kind = excluded.kind, raised = excluded.raised, acknowledged = excluded.acknowledged,
			leaf = excluded.leaf, value = excluded.value`, s.Shipment, s.ID, s.Kind, int64(s.Raised), acknowledged, int64(leaf), value)
	case *provenance.Checkpoint:
		return w.putCheckpoint(leaf, s, value)
	case *provenance.Contradiction:
		return w.exec(`INSERT INTO contradictions (size, leaf, value) VALUES (?, ?, ?)
			ON CONFLICT (size) DO UPDATE SET leaf = excluded.leaf, value = excluded.value`, int64(s.Size), int64(leaf), value)
	case *provenance.Dataset, *provenance.DatasetUse, *provenance.TrainingRun, *provenance.Policy:
		return nil // found by key among the records; no listing asks for them yet
	case *provenance.Licence, *provenance.Roles, *provenance.Capture, *provenance.Event, *provenance.Item, *provenance.Link,
		*provenance.Handover, *provenance.ShipmentCustody, *provenance.Recall, *provenance.Recalled:
		return nil // likewise
	}
	return &ContentError{fmt.Sprintf("state %q of type %T has no table", key, state)}
}

// DeleteState forgets a record; only its history stays.
func (w *Writer) DeleteState(leaf uint64, key string) error {
	if err := w.exec(`INSERT INTO records (key, leaf, value) VALUES (?, ?, ?)`, key, int64(leaf), []byte{}); err != nil {
		return err
	}
	kind, rest, _ := strings.Cut(key, "/")
	first, second, _ := strings.Cut(rest, "/")
	switch kind {
	case "o":
		return w.exec(`DELETE FROM organisations WHERE id = ?`, rest)
	case "m":
		return w.exec(`DELETE FROM models WHERE name = ? AND version = ?`, first, second)
	case "a":
		return w.exec(`DELETE FROM alerts WHERE shipment = ? AND id = ?`, first, second)
	}
	return &ContentError{fmt.Sprintf("the contract never deletes %q", key)}
}

func (w *Writer) putDevice(leaf uint64, d *provenance.Device, value []byte) error {
	id, err := w.device(d.ID)
	if err != nil {
		return err
	}
	if id == 0 {
		if _, err := w.row(`SELECT COALESCE(MAX(id), 0) + 1 FROM devices`, nil, &id); err != nil {
			return err
		}
		if id >= maxDevices {
			return &ContentError{fmt.Sprintf("device %s would be number %d, the read model holds fewer than %d", d.ID, id, maxDevices)}
		}
		w.devices[d.ID] = id
	}
	return w.exec(`INSERT INTO devices (id, name, organisation, status, due, leaf, value) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET organisation = excluded.organisation, status = excluded.status, due = excluded.due, leaf = excluded.leaf, value = excluded.value`,
		id, d.ID, d.Organisation, int64(d.Status), int64(d.CalibrationDue), int64(leaf), value)
}

func (w *Writer) putShipment(leaf uint64, s *provenance.Shipment, value []byte) error {
	words := []string{s.ID, s.Origin, s.Destination, s.Profile}
	for _, g := range s.Goods {
		words = append(words, g.GTIN, g.Lot, g.Description)
	}
	err := w.exec(`INSERT INTO shipments (id, organisation, opened, closed, search, leaf, value) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET opened = excluded.opened, closed = excluded.closed, search = excluded.search, leaf = excluded.leaf, value = excluded.value`,
		s.ID, s.Organisation, int64(s.Opened), int64(s.Closed), strings.ToLower(strings.Join(words, "\n")), int64(leaf), value)
	if err != nil {
		return err
	}
	for _, party := range s.Parties {
		if err := w.exec(`INSERT INTO parties (organisation, shipment) VALUES (?, ?) ON CONFLICT (organisation, shipment) DO NOTHING`, party, s.ID); err != nil {
			return err
		}
	}
	if err := w.exec(`DELETE FROM attachments WHERE shipment = ?`, s.ID); err != nil {
		return err
	}
	for i, a := range s.Attachments {
		err := w.exec(`INSERT INTO attachments (shipment, position, device, from_time, to_time) VALUES (?, ?, ?, ?, ?)`,
			s.ID, i, a.Device, int64(a.From), int64(a.To))
		if err != nil {
			return err
		}
	}
	return nil
}

// ShipmentAttachment is an attachment with the shipment that it belongs to.
type ShipmentAttachment struct {
	Shipment string
	provenance.Attachment
}
