// Package service watches the open shipments of a node's projection: it feeds every newly recorded reading to the shipment's
// scorer and puts what is found on the ledger, one alert for each incident.
//
// It promises: a score's input is the readings recorded up to a block that the alert names, so what arrives later does not change
// it; a restart goes on from a snapshot, or recomputes, and neither loses an alert nor raises one twice (an alert's identity is its
// incident). It may import analytics/…, chaincode/provenance and chaincode/evidence.
package service

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Projection is what the service reads of the node's read model.
type Projection interface {
	// Height is the number of the last block that was projected.
	Height(ctx context.Context) (uint64, error)
	// OpenShipments lists the shipments that are not closed.
	OpenShipments(ctx context.Context) ([]provenance.Shipment, error)
	// Recorded gives the temperature readings that were acquired while their device was attached to the shipment and that stand in
	// blocks after < block ≤ through, in any order.
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
}

// Config of the service.
type Config struct {
	Dir   string        `name:"dir" help:"Folder for snapshots of the scorers, so that a restart need not read all again." type:"path"`
	Model string        `name:"model" help:"Anomaly model written by trailmark train (default: the one that comes with the program)." type:"path" env:"TRAILMARK_MODEL"`
	Pause time.Duration `name:"pause" help:"Least time between two looks at the ledger." default:"100ms" env:"TRAILMARK_ANALYTICS_PAUSE"`
}

// ModelName is how our model is registered; its version begins its hash.
const ModelName = "cold-chain"

// Service scores; Run drives it.
type Service struct {
	config     Config
	projection Projection
	ledger     Ledger
	log        *slog.Logger
	model      *autoencoder.Model
	request    provenance.ModelRequest
	shipments  map[string]*watched
	metrics    metrics
}

type metrics struct {
	readings prometheus.Counter
	alerts   *prometheus.CounterVec
	rebuilds prometheus.Counter
	height   prometheus.Gauge
}

// New loads the model. The registerer may be nil.
func New(config Config, projection Projection, ledger Ledger, log *slog.Logger, registerer prometheus.Registerer) (*Service, error) {
	model, err := loadModel(config.Model)
	if err != nil {
		return nil, err
	}
	if config.Dir != "" {
		if err := os.MkdirAll(config.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	hash := provenance.Hash(model.Hash())
	s := &Service{
		config: config, projection: projection, ledger: ledger, log: log, model: model, shipments: map[string]*watched{},
		request: provenance.ModelRequest{Name: ModelName, Version: hash.String()[:16], Hash: hash, Kernel: strings.ReplaceAll(kernel.Version, "/", "-"), TrainingRoot: model.TrainingData()},
		metrics: metrics{
			readings: prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_analytics_readings_total", Help: "Readings fed to scorers."}),
			alerts:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trailmark_analytics_alerts_total", Help: "Alerts put on the ledger, by kind."}, []string{"kind"}),
			rebuilds: prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_analytics_recomputed_total", Help: "Times a shipment was scored again from its first reading, for back-filled ones."}),
			height:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_analytics_block", Help: "Last block that was scored."}),
		},
	}
	if registerer != nil {
		registerer.MustRegister(s.metrics.readings, s.metrics.alerts, s.metrics.rebuilds, s.metrics.height)
	}
	return s, nil
}

func loadModel(path string) (*autoencoder.Model, error) {
	if path == "" {
		return autoencoder.Default()
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading model: %w", err)
	}
	model, err := autoencoder.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading model %s: %w", path, err)
	}
	return model, nil
}

// Run registers the model and scores until ctx ends. Failures of the ledger or the projection are logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	if err := s.retry(ctx, "registering the model", func() error { return s.ledger.RegisterModel(ctx, s.request) }); err != nil {
		return err
	}
	scored := uint64(0)
	for first := true; ; first = false {
		changed := s.projection.Changed()
		height, err := s.projection.Height(ctx)
		if err == nil && (first || height > scored) {
			if err = s.look(ctx, height); err == nil {
				scored = height
				s.metrics.height.Set(float64(height))
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("scoring failed and is tried again", slog.Any("error", err))
		}
		if err == nil && scored >= height {
			select {
			case <-changed:
			case <-ctx.Done():
			case <-time.After(time.Second): // a change that came between Height and look
			}
		}
		select {
		case <-ctx.Done():
			return s.saveAll(ctx)
		case <-time.After(max(s.config.Pause, time.Millisecond)):
		}
	}
}

func (s *Service) retry(ctx context.Context, what string, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		s.log.Warn(what+" failed and is tried again", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// look brings every open shipment up to a block.
func (s *Service) look(ctx context.Context, height uint64) error {
	open, err := s.projection.OpenShipments(ctx)
	if err != nil {
		return fmt.Errorf("listing shipments: %w", err)
	}
	slices.SortFunc(open, func(a, b provenance.Shipment) int { return cmp.Compare(a.ID, b.ID) })
	still := make(map[string]bool, len(open))
	for i := range open {
		still[open[i].ID] = true
		if err := s.follow(ctx, &open[i], height); err != nil {
			return fmt.Errorf("shipment %s: %w", open[i].ID, err)
		}
	}
	for id := range s.shipments {
		if !still[id] {
			delete(s.shipments, id)
			_ = os.Remove(s.snapshotPath(id)) // a leftover costs nothing: it is recognised as old
		}
	}
	return nil
}

func (s *Service) snapshotPath(shipment string) string {
	return filepath.Join(s.config.Dir, strings.ReplaceAll(shipment, ":", "~")+".snapshot")
}
