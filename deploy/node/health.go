package node

import (
	"context"
	"time"

	"github.com/trailmark/trailmark/analytics/health"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// lookAtDevices is how often devices are looked at.
const lookAtDevices = time.Minute

// recentReadings is how far back a device's clock is judged by, and how many readings of that are looked at.
const (
	recentReadings = provenance.Time(6 * time.Hour / time.Millisecond)
	mostReadings   = 600
	mostArrivals   = 16
)

// openHealth adds the watch over the devices of open shipments.
func (n *node) openHealth(view *scored) {
	watch := &health.Watch{
		Source: healthSource{view}, Ledger: n.contracts, Now: func() provenance.Time { return provenance.TimeOf(n.clock.Now()) },
		Limits: func() health.Limits { return healthLimits(n.clock.Clock()) }, Every: lookAtDevices, Log: n.log,
	}
	n.parts = append(n.parts, watch.Run)
}

// healthLimits allows for a demonstration's clock: the seconds that readings take to be recorded are many minutes of it.
func healthLimits(c clock.Clock) health.Limits {
	limits := health.Defaults
	if c.Running(time.Now()) {
		onTheWay := time.Duration(20 * c.Speed * float64(time.Second))
		limits.Silent, limits.Clock = max(limits.Silent, onTheWay), max(limits.Clock, onTheWay)
	}
	return limits
}

// healthSource is the read model as the watch over devices wants it.
type healthSource struct{ view *scored }

// Facts implements health.Source.
func (s healthSource) Facts(ctx context.Context) (all []health.Attached, asOfBlock uint64, err error) {
	if asOfBlock, err = s.view.Height(ctx); err != nil {
		return nil, 0, err
	}
	open, err := s.view.OpenShipments(ctx)
	if err != nil {
		return nil, 0, err
	}
	for i := range open {
		for _, attachment := range open[i].Attachments {
			if attachment.To != 0 {
				continue // what it did while attached is over
			}
			facts, err := s.device(ctx, attachment)
			if err != nil {
				return nil, 0, err
			}
			all = append(all, health.Attached{Shipment: open[i].ID, Facts: facts})
		}
		pairBatteries(all)
	}
	return all, asOfBlock, nil
}

func (s healthSource) device(ctx context.Context, attachment provenance.Attachment) (health.Facts, error) {
	device, err := s.view.store.Device(ctx, attachment.Device)
	if err != nil {
		return health.Facts{}, err
	}
	facts := health.Facts{Device: &device.Device, Attached: provenance.Interval{From: attachment.From}}
	if device.LastAt < attachment.From {
		return facts, nil
	}
	facts.Last = &provenance.Reading{Time: device.LastAt, Value: device.LastValue}
	recent, err := s.view.store.RawReadings(ctx, readmodel.RawQuery{
		Paging: readmodel.Paging{Limit: mostReadings}, Device: device.ID, From: max(attachment.From, device.LastAt-recentReadings),
	})
	if err != nil {
		return health.Facts{}, err
	}
	seen := map[provenance.FrameID]bool{}
	for k := len(recent.Items) - 1; k >= 0 && len(facts.Arrivals) < mostArrivals; k-- {
		if r := &recent.Items[k]; !r.Backfilled && !seen[r.FrameID] {
			seen[r.FrameID] = true
			facts.Arrivals = append(facts.Arrivals, health.Arrival{Published: r.Published, Received: r.Received})
		}
	}
	return facts, nil
}

// pairBatteries gives devices what their companions measured of their batteries.
func pairBatteries(all []health.Attached) {
	for i := range all {
		of, battery := health.IsBattery(all[i].Facts.Device)
		if !battery {
			continue
		}
		for k := range all {
			if all[k].Shipment == all[i].Shipment && all[k].Facts.Device.ID == of {
				all[k].Facts.Battery, all[k].Facts.Companion = all[i].Facts.Last, all[i].Facts.Device.ID
			}
		}
	}
}
