package node

import (
	"context"
	"sync"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// scored is the read model as analytics wants it. It follows the projection's changes, so that new readings are found without going
// over the old ones.
type scored struct {
	store *readmodel.Store

	mu      sync.Mutex
	height  uint64 // last block whose changes were heard of
	changed chan struct{}
	touched map[string]touch // by shipment
	primed  map[string]bool  // shipments whose every touch since the first reading was heard of
	kinds   map[string]bool  // device → measures temperature
}

// touch is where readings were added since they were last asked for.
type touch struct {
	from  provenance.Time // the earliest
	block uint64          // the last
}

// newScored starts where the projection stands; changes must have been subscribed to before.
func newScored(ctx context.Context, store *readmodel.Store) (*scored, error) {
	position, err := store.Position(ctx)
	return &scored{
		store: store, height: max(position.Blocks, 1) - 1, changed: make(chan struct{}), touched: map[string]touch{}, primed: map[string]bool{}, kinds: map[string]bool{},
	}, err
}

// watch takes note of changes until they end.
func (s *scored) watch(ctx context.Context, changes <-chan readmodel.Change) {
	for change := range changes {
		s.note(ctx, change)
	}
}

func (s *scored) note(ctx context.Context, change readmodel.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch change.Kind {
	case readmodel.ChangedReadings:
		t, known := s.touched[change.ID]
		if !known || change.From < t.from {
			t.from = change.From
		}
		t.block = max(t.block, change.Block)
		s.touched[change.ID] = t
		return
	case readmodel.Resync: // some were missed
		clear(s.primed)
		clear(s.touched)
		position, err := s.store.Position(ctx)
		if err != nil {
			return // the next block's change says how far we are
		}
		s.height = max(position.Blocks, 1) - 1
	case readmodel.ChangedBlock: // comes last of its block
		s.height = max(s.height, change.Block)
	default:
		return
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed implements service.Projection.
func (s *scored) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Height implements service.Projection: a block counts when its changes were heard of, not when it was written.
func (s *scored) Height(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.height, nil
}

// OpenShipments implements service.Projection.
func (s *scored) OpenShipments(ctx context.Context) ([]provenance.Shipment, error) {
	open := true
	var all []provenance.Shipment
	for filter := (readmodel.ShipmentFilter{Paging: readmodel.Paging{Limit: readmodel.MaxLimit}, Open: &open}); ; {
		page, err := s.store.Shipments(ctx, filter)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			all = append(all, page.Items[i].Shipment)
		}
		if page.Next == "" {
			return all, nil
		}
		filter.After = page.Next
	}
}

// Recorded implements service.Projection.
func (s *scored) Recorded(ctx context.Context, shipment string, after, through uint64) ([]service.Reading, error) {
	s.mu.Lock()
	t, touched := s.touched[shipment]
	primed := s.primed[shipment] && after > 0
	s.primed[shipment] = true
	s.mu.Unlock()
	if primed && !touched {
		return nil, nil
	}
	query := readmodel.RawQuery{Shipment: shipment, AfterBlock: after, AsOfBlock: through}
	if primed {
		query.From = t.from
	}
	readings, err := s.read(ctx, query)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.primed[shipment] = false
		return nil, err
	}
	if s.touched[shipment].block <= through { // otherwise more has come, of which a part was perhaps not read
		delete(s.touched, shipment)
	}
	return readings, nil
}

func (s *scored) read(ctx context.Context, query readmodel.RawQuery) ([]service.Reading, error) {
	var all []service.Reading
	for query.Limit = readmodel.MaxRawLimit; ; {
		page, err := s.store.RawReadings(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			temperature, err := s.measuresTemperature(ctx, r.Device)
			if err != nil {
				return nil, err
			}
			if temperature {
				all = append(all, service.Reading{Device: r.Device, Time: r.Time, Value: r.Value, Block: r.Block})
			}
		}
		if page.Next == "" {
			return all, nil
		}
		query.After = page.Next
	}
}

// measuresTemperature tells a thermometer in degrees Celsius from other devices; what a device measures is fixed at its enrolment.
func (s *scored) measuresTemperature(ctx context.Context, id string) (bool, error) {
	s.mu.Lock()
	answer, known := s.kinds[id]
	s.mu.Unlock()
	if known {
		return answer, nil
	}
	device, err := s.store.Device(ctx, id)
	if err != nil {
		return false, err
	}
	answer = device.Quantity == "temperature" && device.Unit == "Cel"
	s.mu.Lock()
	s.kinds[id] = answer
	s.mu.Unlock()
	return answer, nil
}

// Alerts implements service.Projection.
func (s *scored) Alerts(ctx context.Context, shipment string) ([]provenance.Alert, error) {
	page, err := s.store.Alerts(ctx, readmodel.AlertFilter{Paging: readmodel.Paging{Limit: readmodel.MaxLimit}, Shipment: shipment})
	if err != nil {
		return nil, err
	}
	alerts := make([]provenance.Alert, len(page.Items))
	for i := range page.Items {
		alerts[i] = page.Items[i].Alert
	}
	return alerts, nil
}
