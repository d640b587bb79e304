// Package service watches the open shipments of a node's projection: it feeds every newly recorded reading to the shipment's
// scorer and puts what is found on the ledger, one alert for each incident.
//
// It promises: a score's input is the readings recorded up to a block that the alert names, so what arrives later does not change
// it; the ledger is looked at block by block, so nodes that see it in other portions find the same; a restart goes on from a
// snapshot, or recomputes, and neither loses an alert nor raises one twice (an alert's identity is its incident); a shipment that
// cannot be scored does not keep the others waiting. It may import analytics/…, chaincode/provenance and chaincode/evidence.
package service

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Projection is what the service reads of the node's read model.
type Projection interface {
	// Height is the number of the last block that was projected.
	Height(ctx context.Context) (uint64, error)
	// OpenShipments lists the shipments that are not closed.
	OpenShipments(ctx context.Context) ([]provenance.Shipment, error)
	// Recorded gives the temperature readings that were acquired while their device was attached to the shipment and that stand in
	// blocks after < block ≤ through, in any order. What was given once for some blocks need not be given again, unless after is 0.
	Recorded(ctx context.Context, shipment string, after, through uint64) ([]Reading, error)
	// Alerts lists the alerts of a shipment.
	Alerts(ctx context.Context, shipment string) ([]provenance.Alert, error)
	// Changed is closed, and replaced, whenever a block was projected.
	Changed() <-chan struct{}
}

// Ledger is what the service writes.
type Ledger interface {
	RegisterModel(ctx context.Context, model provenance.ModelRequest) error
	// RaiseAlert returns nil where the alert stands already. A refusal is a *provenance.Error.
	RaiseAlert(ctx context.Context, alert provenance.AlertRequest) error
}

// Reading is a recorded temperature.
type Reading struct {
	Device string
	Time   provenance.Time
	Value  provenance.Micro
	Block  uint64 // that recorded it; 0 where that is not told, and then the last one asked for is taken
}

// Config of the service.
type Config struct {
	Dir   string        `name:"dir" help:"Folder for snapshots of the scorers, so that a restart need not read all again." type:"path"`
	Model string        `name:"model" help:"Anomaly model written by trailmark train (default: the one that comes with the program)." type:"path" env:"TRAILMARK_MODEL"`
	Pause time.Duration `name:"pause" help:"Least time between two looks at the ledger." default:"100ms" env:"TRAILMARK_ANALYTICS_PAUSE"`
}

// Service scores; Run drives it.
type Service struct {
	config     Config
	projection Projection
	ledger     Ledger
	log        *slog.Logger
	model      *autoencoder.Model
	request    provenance.ModelRequest
	shipments  map[string]*watched
	troubles   map[string]*trouble
	metrics    metrics
}

type metrics struct {
	readings, rebuilds, errors prometheus.Counter
	alerts, refused            *prometheus.CounterVec
	height, unscored           prometheus.Gauge
}

func newMetrics() metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_analytics_" + name, Help: help})
	}
	byKind := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trailmark_analytics_" + name, Help: help}, []string{"kind"})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_analytics_" + name, Help: help})
	}
	return metrics{
		readings: counter("readings_total", "Readings fed to scorers."),
		rebuilds: counter("recomputed_total", "Times a shipment was scored again from its first reading, for back-filled ones."),
		errors:   counter("errors_total", "Times that a shipment could not be scored or an alert not raised; it is tried again."),
		alerts:   byKind("alerts_total", "Alerts put on the ledger or attested, by kind."),
		refused:  byKind("alerts_refused_total", "Alerts that the ledger refused for good, by kind."),
		height:   gauge("block", "Last block that every shipment that can be scored was scored up to."),
		unscored: gauge("unscored_shipments", "Open shipments that cannot be scored at the moment; the log says why."),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.readings, m.rebuilds, m.errors, m.alerts, m.refused, m.height, m.unscored}
}

// New loads the model. The registerer may be nil.
func New(config Config, projection Projection, ledger Ledger, log *slog.Logger, registerer prometheus.Registerer) (*Service, error) {
	model, err := LoadModel(config.Model)
	if err != nil {
		return nil, err
	}
	if config.Dir != "" {
		if err := os.MkdirAll(config.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("making folder for snapshots: %w", err)
		}
	}
	s := &Service{
		config: config, projection: projection, ledger: ledger, log: log, model: model, request: Registration(model),
		shipments: map[string]*watched{}, troubles: map[string]*trouble{}, metrics: newMetrics(),
	}
	if registerer != nil {
		for _, collector := range s.metrics.all() {
			if err := registerer.Register(collector); err != nil {
				return nil, fmt.Errorf("registering metrics: %w", err)
			}
		}
	}
	return s, nil
}

// lookAgain is how soon unfinished work is looked at again though no block came.
const lookAgain = time.Second

// Run registers the model and scores until ctx ends. Failures of the ledger or the projection are logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	if err := s.register(ctx); err != nil {
		return err
	}
	scored := uint64(0)
	for unfinished := true; ; {
		changed := s.projection.Changed()
		height, err := s.projection.Height(ctx)
		if err == nil && (unfinished || height > scored) {
			if unfinished, err = s.look(ctx, height); err == nil {
				scored = height
			}
		}
		wait := changed
		if err != nil {
			unfinished, wait = true, nil
			if ctx.Err() == nil {
				s.log.Error("the projection cannot be read; trying again", slog.Any("error", err))
			}
		}
		select {
		case <-wait:
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
		select {
		case <-ctx.Done():
			s.saveAll()
			return ctx.Err()
		case <-time.After(max(s.config.Pause, time.Millisecond)):
		}
	}
}

// register puts the model on the ledger. Without it no alert is accepted, so it is tried until it works.
func (s *Service) register(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		err := s.ledger.RegisterModel(ctx, s.request)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			s.log.Warn("registering the model failed and is tried again", slog.String("model", s.request.Name+" "+s.request.Version), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// look brings every open shipment up to a block; unfinished tells that some are not there yet.
func (s *Service) look(ctx context.Context, height uint64) (unfinished bool, err error) {
	open, err := s.projection.OpenShipments(ctx)
	if err != nil {
		return true, fmt.Errorf("listing shipments: %w", err)
	}
	slices.SortFunc(open, func(a, b provenance.Shipment) int { return cmp.Compare(a.ID, b.ID) })
	still := make(map[string]bool, len(open))
	for i := range open {
		id := open[i].ID
		still[id] = true
		if t := s.troubles[id]; t != nil && time.Now().Before(t.until) {
			unfinished = true
			continue
		}
		done, err := s.follow(ctx, &open[i], height)
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		s.note(id, err)
		unfinished = unfinished || err != nil || !done
	}
	for id := range s.shipments {
		if !still[id] {
			delete(s.shipments, id)
			s.forget(id)
		}
	}
	for id := range s.troubles {
		if !still[id] {
			delete(s.troubles, id)
		}
	}
	s.metrics.unscored.Set(float64(len(s.troubles)))
	if !unfinished {
		s.metrics.height.Set(float64(height))
	}
	return unfinished, nil
}

// trouble is why a shipment is not scored at the moment.
type trouble struct {
	said  string
	wait  time.Duration
	until time.Time
}

const longestWait = time.Minute

// note puts a shipment that failed aside for a while, longer each time, and says why once.
func (s *Service) note(id string, err error) {
	t := s.troubles[id]
	if err == nil {
		if t != nil {
			s.log.Info("the shipment is scored again", slog.String("shipment", id))
			delete(s.troubles, id)
		}
		return
	}
	s.metrics.errors.Inc()
	if t == nil {
		t = &trouble{wait: lookAgain / 2}
		s.troubles[id] = t
	}
	t.wait = min(2*t.wait, longestWait)
	t.until = time.Now().Add(t.wait)
	if t.said != err.Error() {
		t.said = err.Error()
		s.log.Error("a shipment cannot be scored; the others go on, and it is tried again", slog.String("shipment", id), slog.Any("error", err))
	}
}
