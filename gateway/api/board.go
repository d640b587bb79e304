package api

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// board keeps in memory what shipments are judged by, so that a list of hundreds does not go over their readings each time. Changes
// tell it what to read again; only new readings are, but where some came late for the day they belong to.
type board struct {
	store *readmodel.Store

	mu       sync.Mutex // guards what follows, and the flags of entries
	loaded   bool
	entries  map[string]*entry
	devices  map[string]readmodel.Device
	stale    map[string]bool // devices that changed
	names    names
	oldNames bool
}

// entry is a shipment on the board.
type entry struct {
	changed bool            // the record or its alerts are to be read again; under board.mu, as the next two
	touched bool            // readings were added
	from    provenance.Time // the earliest of them

	mu      sync.Mutex // guards what follows, while it is read anew too
	record  readmodel.Shipment
	alerts  []readmodel.Alert // newest first
	courses map[string]*deviceCourse
	asOf    uint64 // block up to which readings were taken in
}

// facts are what a shipment is judged by, at one moment.
type facts struct {
	shipment readmodel.Shipment
	alerts   []readmodel.Alert // newest first
	devices  []deviceFacts     // ever attached, by identifier
}

type deviceFacts struct {
	readmodel.Device
	attached []provenance.Attachment // to this shipment
	course   course
	usual    float64 // ms between its readings
}

func newBoard(store *readmodel.Store) *board {
	return &board{store: store, entries: map[string]*entry{}, devices: map[string]readmodel.Device{}, stale: map[string]bool{}, oldNames: true}
}

// note takes account of a change.
func (b *board) note(c readmodel.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch c.Kind {
	case readmodel.ChangedShipment:
		b.entry(c.ID).changed = true
	case readmodel.ChangedAlert:
		b.entry(c.Shipment).changed = true
	case readmodel.ChangedDevice:
		b.stale[c.ID] = true
	case readmodel.ChangedOrganisation:
		b.oldNames = true
	case readmodel.ChangedReadings:
		if c.ID == "" {
			return
		}
		e := b.entry(c.ID)
		if !e.touched || c.From < e.from {
			e.touched, e.from = true, c.From
		}
	case readmodel.Resync:
		b.forget()
	}
}

// forget has everything read again; readings only where some were added, of which the block tells.
func (b *board) forget() {
	b.loaded, b.oldNames = false, true
	for _, e := range b.entries {
		e.changed, e.touched, e.from = true, true, 0
	}
}

func (b *board) invalidate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
}

func (b *board) entry(id string) *entry {
	e := b.entries[id]
	if e == nil {
		e = &entry{changed: true, touched: true}
		b.entries[id] = e
	}
	return e
}

// load finds all shipments and devices, once.
func (b *board) load(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loaded {
		return nil
	}
	shipments, err := everything(func(p readmodel.Paging) (readmodel.Page[readmodel.Shipment], error) {
		return b.store.Shipments(ctx, readmodel.ShipmentFilter{Paging: p})
	})
	if err != nil {
		return err
	}
	devices, err := everything(func(p readmodel.Paging) (readmodel.Page[readmodel.Device], error) {
		return b.store.Devices(ctx, readmodel.DeviceFilter{Paging: p})
	})
	if err != nil {
		return err
	}
	for _, s := range shipments {
		b.entry(s.ID)
	}
	for _, d := range devices {
		b.devices[d.ID] = d
	}
	clear(b.stale)
	b.loaded = true
	return nil
}

// everything walks the pages of a list.
func everything[T any](list func(readmodel.Paging) (readmodel.Page[T], error)) (all []T, err error) {
	for p := (readmodel.Paging{Limit: readmodel.MaxLimit}); ; {
		page, err := list(p)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		p.After = page.Next
	}
}

// organisations gives the members' names by MSP identifier.
func (b *board) organisations(ctx context.Context) (names, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.oldNames {
		return b.names, nil
	}
	members, err := b.store.Organisations(ctx)
	if err != nil {
		return nil, err
	}
	b.names = make(names, len(members)) // never changed once it was given out
	for _, o := range members {
		b.names[o.ID] = o.Name
	}
	b.oldNames = false
	return b.names, nil
}

// device gives a device's record; its newest reading may be older than the read model's.
func (b *board) device(ctx context.Context, id string) (readmodel.Device, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, known := b.devices[id]
	if known && !b.stale[id] {
		return d, nil
	}
	d, err := b.store.Device(ctx, id)
	if err != nil {
		return d, err
	}
	b.devices[id] = d
	delete(b.stale, id)
	return d, nil
}

// all gives the facts of every shipment.
func (b *board) all(ctx context.Context) ([]*facts, error) {
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	ids := slices.Sorted(maps.Keys(b.entries))
	b.mu.Unlock()
	list := make([]*facts, 0, len(ids))
	for _, id := range ids {
		f, err := b.facts(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// facts gives those of one shipment.
func (b *board) facts(ctx context.Context, id string) (*facts, error) {
	b.mu.Lock()
	e, known := b.entries[id]
	b.mu.Unlock()
	if !known {
		if _, err := b.store.Shipment(ctx, id); err != nil { // names are not kept before they exist
			return nil, err
		}
		b.mu.Lock()
		e = b.entry(id)
		b.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := b.refresh(ctx, id, e); err != nil {
		return nil, err
	}
	f := &facts{shipment: e.record, alerts: e.alerts}
	for _, device := range attachedDevices(&e.record.Shipment) {
		record, err := b.device(ctx, device)
		if err != nil {
			return nil, err
		}
		d := deviceFacts{Device: record, attached: attachmentsOf(&e.record.Shipment, device)}
		if c := e.courses[device]; c != nil {
			d.course, d.usual = c.now, c.usual.median()
		}
		f.devices = append(f.devices, d)
	}
	return f, nil
}

func attachedDevices(s *provenance.Shipment) []string {
	var ids []string
	for _, a := range s.Attachments {
		ids = append(ids, a.Device)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func attachmentsOf(s *provenance.Shipment, device string) (list []provenance.Attachment) {
	for _, a := range s.Attachments {
		if a.Device == device {
			list = append(list, a)
		}
	}
	return list
}

// refresh reads again what changed. Flags are taken before reading, so a change meanwhile sets them anew; when reading fails they are
// set again.
func (b *board) refresh(ctx context.Context, id string, e *entry) (err error) {
	b.mu.Lock()
	changed, touched, from := e.changed, e.touched, e.from
	e.changed, e.touched, e.from = false, false, 0
	b.mu.Unlock()
	defer func() {
		if err != nil {
			b.mu.Lock()
			e.changed, e.touched, e.from = true, true, 0
			b.mu.Unlock()
		}
	}()
	if changed {
		reset, err := b.readRecord(ctx, id, e)
		if err != nil {
			return err
		}
		if reset {
			touched, from = true, 0
		}
	}
	if !touched {
		return nil
	}
	position, err := b.store.Position(ctx)
	if err != nil {
		return err
	}
	return b.follow(ctx, e, from, max(position.Blocks, 1)-1)
}

// readRecord reads shipment and alerts. It tells whether the readings count otherwise than before and have to be gone over again.
func (b *board) readRecord(ctx context.Context, id string, e *entry) (reset bool, err error) {
	record, err := b.store.Shipment(ctx, id)
	if err != nil {
		return false, err
	}
	alerts, err := everything(func(p readmodel.Paging) (readmodel.Page[readmodel.Alert], error) {
		return b.store.Alerts(ctx, readmodel.AlertFilter{Paging: p, Shipment: id})
	})
	if err != nil {
		return false, err
	}
	if e.courses == nil || record.Limits != e.record.Limits || !slices.Equal(record.Attachments, e.record.Attachments) {
		e.courses, e.asOf, reset = map[string]*deviceCourse{}, 0, true
	}
	e.record, e.alerts = record, alerts
	return reset, nil
}

// follow takes in the readings recorded up to a block.
func (b *board) follow(ctx context.Context, e *entry, from provenance.Time, through uint64) error {
	late := map[string]provenance.Time{}
	query := readmodel.RawQuery{Shipment: e.record.ID, From: from, AfterBlock: e.asOf, AsOfBlock: through}
	fresh := e.asOf == 0
	err := b.readings(ctx, query, func(r *readmodel.Reading) error {
		d := e.courses[r.Device]
		if d == nil {
			d = &deviceCourse{}
			e.courses[r.Device] = d
		}
		if _, already := late[r.Device]; already {
			return nil
		}
		if !fresh && d.now.readings > 0 && r.Time <= d.now.last.Time {
			late[r.Device] = r.Time
			return nil
		}
		return b.take(ctx, e, d, r)
	})
	if err != nil {
		e.courses = nil // they may hold a part of it
		return err
	}
	for device, moment := range late {
		d := e.courses[device]
		again := readmodel.RawQuery{Shipment: e.record.ID, Device: device, From: d.rewind(moment), AsOfBlock: through}
		if err := b.readings(ctx, again, func(r *readmodel.Reading) error { return b.take(ctx, e, d, r) }); err != nil {
			e.courses = nil
			return err
		}
	}
	e.asOf = through
	return nil
}

func (b *board) take(ctx context.Context, e *entry, d *deviceCourse, r *readmodel.Reading) error {
	var band *provenance.Limits
	device, err := b.device(ctx, r.Device)
	if err != nil {
		return err
	}
	if isThermometer(&device.Device) {
		band = &e.record.Limits
	}
	d.add(provenance.Reading{Time: r.Time, Value: r.Value}, band, e.record.Attachments)
	return nil
}

// isThermometer: limits are in degrees Celsius.
func isThermometer(d *provenance.Device) bool { return d.Quantity == "temperature" && d.Unit == "Cel" }

func (b *board) readings(ctx context.Context, query readmodel.RawQuery, do func(*readmodel.Reading) error) error {
	for query.Limit = readmodel.MaxRawLimit; ; {
		page, err := b.store.RawReadings(ctx, query)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := do(&page.Items[i]); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		query.After = page.Next
	}
}
