// Package projector turns blocks into the read model: rows, log and position in one database transaction, so that after a
// crash it goes on exactly where it was, and the same blocks always give the same read model. What it cannot read it notes as
// an anomaly and goes on. It may import gateway/ledger's decoder, gateway/readmodel, chaincode/provenance and chaincode/evidence.
package projector

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// Source gives blocks from a number on, each once and in order, until ctx ends.
type Source interface {
	Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block]
}

// Config says what is projected.
type Config struct {
	Channel   string
	Chaincode string
}

// A group of blocks is written together when there is a backlog: at most so many blocks or readings.
const (
	groupBlocks   = 64
	groupReadings = 200_000
	ahead         = 8 // blocks that are decoded before they are written
)

// Projector follows the ledger.
type Projector struct {
	config  Config
	store   *readmodel.Store
	source  Source
	log     *slog.Logger
	metrics *metrics
	subscribers
	attached  map[string][]readmodel.ShipmentAttachment // by device; nil: to be read from the store
	devicesOf map[string][]string                       // by shipment
}

type metrics struct {
	blocks, readings, frames, anomalies prometheus.Counter
	height, lag                         prometheus.Gauge
	seconds                             prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_projector_" + name, Help: help})
	}
	m := &metrics{
		blocks:    counter("blocks_total", "Blocks projected."),
		readings:  counter("readings_total", "Readings projected."),
		frames:    counter("frames_total", "Frames projected."),
		anomalies: counter("anomalies_total", "Things in blocks that did not fit. Each is an alarm."),
		height:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_projector_height", Help: "Number of blocks projected since block 0."}),
		lag:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_projector_lag_seconds", Help: "Age of the newest transaction when it was projected."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trailmark_projector_commit_seconds", Help: "Duration of database transactions.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	for _, c := range []prometheus.Collector{m.blocks, m.readings, m.frames, m.anomalies, m.height, m.lag, m.seconds} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// New prepares a projector; Run sets it going.
func New(config Config, store *readmodel.Store, source Source, log *slog.Logger, registerer prometheus.Registerer) (*Projector, error) {
	if store.Channel() != config.Channel {
		return nil, fmt.Errorf("the read model holds channel %q, not %q", store.Channel(), config.Channel)
	}
	m, err := newMetrics(registerer)
	if err != nil {
		return nil, err
	}
	return &Projector{config: config, store: store, source: source, log: log, metrics: m}, nil
}

// Run projects blocks until ctx ends or the source has no more. It goes on where the read model stands. A database that fails is tried
// again; ctx's end is no error.
func (p *Projector) Run(ctx context.Context) error {
	position, err := p.store.Position(ctx)
	if err != nil {
		return err
	}
	p.log.Info("projecting", slog.Uint64("from", position.Blocks), slog.Uint64("logSize", position.LogSize))
	group, ctx2 := errgroup.WithContext(ctx)
	blocks := make(chan *block, ahead)
	group.Go(func() error {
		defer close(blocks)
		for raw := range p.source.Blocks(ctx2, position.Blocks) {
			b, err := p.prepare(raw)
			if err != nil {
				return err // no block of this ledger; nothing sensible follows
			}
			select {
			case blocks <- b:
			case <-ctx2.Done():
				return nil
			}
		}
		return nil
	})
	group.Go(func() error { return p.write(ctx2, blocks) })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// write puts blocks into the store, several at once where they wait.
func (p *Projector) write(ctx context.Context, blocks <-chan *block) error {
	for first := range blocks {
		group, readings := []*block{first}, first.readings
	gather:
		for len(group) < groupBlocks && readings < groupReadings {
			select {
			case b, open := <-blocks:
				if !open {
					break gather
				}
				group = append(group, b)
				readings += b.readings
			default:
				break gather
			}
		}
		if err := p.writeGroup(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

// writeGroup retries until the database takes the blocks: there is nowhere else for them to go.
func (p *Projector) writeGroup(ctx context.Context, group []*block) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := p.commit(ctx, group)
		misfit := new(misfitError)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &misfit):
			p.log.Error("a transaction's content does not fit; only its place in the log is kept", slog.Uint64("block", misfit.transaction.block),
				slog.Uint64("transaction", misfit.transaction.Index), slog.String("error", misfit.Error()))
			misfit.transaction.misfit = misfit.Error()
			continue
		}
		p.log.Error("writing the read model failed; trying again", slog.Uint64("block", group[0].Number), slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// commit writes blocks in one transaction and then tells subscribers.
func (p *Projector) commit(ctx context.Context, group []*block) (err error) {
	begun := time.Now()
	defer func() {
		if err != nil {
			p.attached = nil // it may be ahead of the store
		}
	}()
	if p.attached == nil {
		if err := p.loadAttachments(ctx); err != nil {
			return err
		}
	}
	a := &application{projector: p, changes: newChanges()}
	if err := p.store.Update(ctx, func(w *readmodel.Writer) error {
		a.writer = w
		for _, b := range group {
			if err := a.block(b); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	last := group[len(group)-1]
	p.metrics.seconds.Observe(time.Since(begun).Seconds())
	p.metrics.blocks.Add(float64(len(group)))
	p.metrics.frames.Add(float64(a.frames))
	p.metrics.readings.Add(float64(a.readings))
	p.metrics.anomalies.Add(float64(a.anomalies))
	p.metrics.height.Set(float64(last.Number + 1))
	if a.newest != 0 {
		p.metrics.lag.Set(time.Since(a.newest.Time()).Seconds())
	}
	p.publish(a.changes.list(last.Number))
	return nil
}

func (p *Projector) loadAttachments(ctx context.Context) error {
	all, err := p.store.AllAttachments(ctx)
	if err != nil {
		return err
	}
	p.attached, p.devicesOf = map[string][]readmodel.ShipmentAttachment{}, map[string][]string{}
	for _, a := range all {
		p.attach(a)
	}
	return nil
}

func (p *Projector) attach(a readmodel.ShipmentAttachment) {
	p.attached[a.Device] = append(p.attached[a.Device], a)
	p.devicesOf[a.Shipment] = append(p.devicesOf[a.Shipment], a.Device)
}

// reattach takes over the attachments of a shipment in its newest version.
func (p *Projector) reattach(s *provenance.Shipment) {
	for _, device := range p.devicesOf[s.ID] {
		p.attached[device] = slices.DeleteFunc(p.attached[device], func(a readmodel.ShipmentAttachment) bool { return a.Shipment == s.ID })
	}
	delete(p.devicesOf, s.ID)
	for _, a := range s.Attachments {
		p.attach(readmodel.ShipmentAttachment{Shipment: s.ID, Attachment: a})
	}
}
