// Package checkpoint signs an organisation's view of the log and anchors it on the ledger, and answers checkpoints of others that
// disagree by anchoring its own, so that the contract records the contradiction for all to see. Whether they agree is decided
// by the projection. It may import gateway/ledger's result type, gateway/readmodel, chaincode/provenance and chaincode/evidence.
package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// Config says how checkpoints are signed.
type Config struct {
	KeyFile  string        `help:"File of the organisation's log key; made at the first start." type:"path" default:"log.key"`
	Name     string        `help:"The organisation's name, for people."`
	Interval time.Duration `help:"At most one checkpoint in this time." default:"2s"`
}

// Submitter records transactions; *ledger.Client is one.
type Submitter interface {
	Submit(ctx context.Context, contract, fn string, args ...[]byte) (ledger.Result, error)
}

// Changes tells of what was projected; *projector.Projector does.
type Changes interface {
	Subscribe(ctx context.Context) <-chan readmodel.Change
}

// Service signs and anchors.
type Service struct {
	config       Config
	organisation string
	key          *logKey
	store        *readmodel.Store
	submitter    Submitter
	changes      Changes
	log          *slog.Logger
	last         uint64 // size of the last checkpoint that was anchored; the read model may not show it yet

	anchored      prometheus.Counter
	failures      prometheus.Counter
	size          prometheus.Gauge
	disagreements prometheus.Gauge
}

// New prepares the service of an organisation, and makes its key where there is none.
func New(config Config, organisation string, store *readmodel.Store, submitter Submitter, changes Changes, log *slog.Logger, registerer prometheus.Registerer) (*Service, error) {
	if config.Interval <= 0 {
		config.Interval = 2 * time.Second
	}
	if config.Name == "" {
		config.Name = organisation
	}
	key, err := loadKey(config.KeyFile, organisation)
	if err != nil {
		return nil, err
	}
	s := &Service{
		config: config, organisation: organisation, key: key, store: store, submitter: submitter, changes: changes, log: log,
		anchored:      prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_checkpoint_anchored_total", Help: "Checkpoints anchored."}),
		failures:      prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_checkpoint_failures_total", Help: "Checkpoints that could not be anchored at once."}),
		size:          prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_checkpoint_size", Help: "Size of the newest own checkpoint."}),
		disagreements: prometheus.NewGauge(prometheus.GaugeOpts{Name: "trailmark_checkpoint_disagreements", Help: "Checkpoints on the ledger that disagree with our log. Anything but 0 is an alarm."}),
	}
	for _, c := range []prometheus.Collector{s.anchored, s.failures, s.size, s.disagreements} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return s, nil
}

// VerifierKey is the public half of the log key.
func (s *Service) VerifierKey() string { return s.key.verifier }

// Run registers the organisation and then anchors checkpoints until ctx ends. It returns an error where going on would do harm: the
// ledger has another key of this organisation.
func (s *Service) Run(ctx context.Context) error {
	if err := s.register(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	changes := s.changes.Subscribe(ctx)
	next := time.NewTimer(0)
	defer next.Stop()
	due, resting := true, true
	for {
		select {
		case <-ctx.Done():
			return nil
		case change, open := <-changes:
			if !open {
				return nil
			}
			due = due || change.Kind == readmodel.ChangedBlock || change.Kind == readmodel.Resync
		case <-next.C:
			resting = false
		}
		if !due || resting {
			continue
		}
		err := s.step(ctx)
		due, resting = false, true
		wait := s.config.Interval
		if conflict := new(ledger.ConflictError); errors.As(err, &conflict) {
			// Another organisation anchored the same size at the same moment. Not again at the same moment, then.
			due, wait = true, wait/20+rand.N(wait/4+1)
		} else if err != nil && ctx.Err() == nil {
			s.failures.Inc()
			s.log.Warn("anchoring a checkpoint failed; trying again", slog.String("error", err.Error()))
			due = true
		}
		next.Reset(wait)
	}
}

// register enters the organisation on the ledger; a second time changes nothing.
func (s *Service) register(ctx context.Context) error {
	argument, err := json.Marshal(provenance.Registration{Name: s.config.Name, LogKey: s.key.verifier})
	if err != nil {
		return err
	}
	for wait := 500 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
		_, err := s.submitter.Submit(ctx, "organisations", "Register", argument)
		refused := new(provenance.Error)
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused):
			return fmt.Errorf("registering %s: %w", s.organisation, err)
		}
		s.log.Warn("registering the organisation failed; trying again", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// step answers checkpoints that disagree, and anchors a new one where the log has grown by more than checkpoints.
func (s *Service) step(ctx context.Context) error {
	return errors.Join(s.answer(ctx), s.extend(ctx))
}

// extend anchors a checkpoint of the log as it is now, where there is something new in it.
func (s *Service) extend(ctx context.Context) error {
	own, err := s.store.Checkpoints(ctx, readmodel.CheckpointFilter{Organisation: s.organisation, Paging: readmodel.Paging{Limit: 1}})
	if err != nil {
		return err
	}
	since := s.last
	if len(own.Items) > 0 {
		newest := own.Items[0]
		if newest.Agreement != readmodel.Agrees {
			return fmt.Errorf("our own checkpoint of size %d %s with our log; no other is signed on top of it", newest.Size, newest.Agreement)
		}
		since = max(since, newest.Size)
	}
	grown, err := s.store.UnanchoredLeaves(ctx, since)
	if err != nil || !grown {
		return err
	}
	position, err := s.store.Position(ctx)
	if err != nil {
		return err
	}
	if err := s.anchor(ctx, position.LogSize, position.LogRoot); err != nil {
		return err
	}
	s.last = position.LogSize
	return nil
}

// answer signs and anchors our own root at each size where somebody's checkpoint disagrees.
func (s *Service) answer(ctx context.Context) error {
	const most = 16 // in one step; the rest is for the next one
	disputed, err := s.store.Disputed(ctx, s.organisation, most)
	if err != nil {
		return err
	}
	for _, c := range disputed {
		root, err := s.store.LogRoot(ctx, c.Size)
		if err != nil {
			return err
		}
		s.log.Error("a checkpoint disagrees with our log; anchoring ours", slog.String("organisation", c.Organisation), slog.Uint64("size", c.Size),
			slog.String("theirs", c.Root.String()), slog.String("ours", root.String()))
		if err := s.anchor(ctx, c.Size, root); err != nil {
			return err
		}
	}
	count, err := s.store.Disagreements(ctx)
	s.disagreements.Set(float64(count))
	return err
}

func (s *Service) anchor(ctx context.Context, size uint64, root provenance.Hash) error {
	signed, err := evidence.SignCheckpoint(s.key.signer, s.store.Channel(), size, root)
	if err != nil {
		return fmt.Errorf("signing checkpoint: %w", err)
	}
	argument, err := json.Marshal(provenance.AnchorRequest{Note: signed})
	if err != nil {
		return err
	}
	if _, err := s.submitter.Submit(ctx, "checkpoints", "Anchor", argument); err != nil {
		return fmt.Errorf("anchoring checkpoint of size %d: %w", size, err)
	}
	s.anchored.Inc()
	s.size.Set(float64(size))
	return nil
}
