package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
	"github.com/trailmark/trailmark/ingest/spool"
)

// Deps are what ingest is given.
type Deps struct {
	Ledger     Ledger
	Devices    Devices
	Heads      Heads                 // optional
	Clock      Clock                 // optional: the system's
	Log        *slog.Logger          // optional: the default
	Registerer prometheus.Registerer // optional: none
	Tracer     trace.Tracer          // optional: none
}

// App is an ingest instance.
type App struct {
	cfg        Config
	deps       Deps
	tls        *tls.Config
	lock       *os.File
	budget     *spool.Budget
	quarantine *quarantine.Store
	registry   *registry
	metrics    *metrics
	state      conditions
	slots      chan struct{}
	members    *members
	lanes      []*lane
	background sync.WaitGroup
}

// evaluateEvery is how often it is looked whether the sharing of lanes has changed; patience is how long a lane must belong to
// another before it is let go.
const (
	evaluateEvery = 200 * time.Millisecond
	patience      = 3 * time.Second
)

// New opens spool and quarantine. [App.Run] does the work; without it, [App.Close] gives the files back.
func New(cfg Config, deps Deps) (*App, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if deps.Ledger == nil || deps.Devices == nil {
		return nil, errors.New("ingest: ledger and devices must be given")
	}
	if deps.Clock == nil {
		deps.Clock = systemClock{}
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	a := &App{cfg: cfg, deps: deps, budget: spool.NewBudget(cfg.SpoolBytes), slots: make(chan struct{}, cfg.MaxInFlight)}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open() (err error) {
	if a.tls, err = a.cfg.tls(); err != nil {
		return err
	}
	if a.lock, err = spool.Lock(filepath.Join(a.cfg.Dir, "spool")); err != nil {
		return err
	}
	limits := quarantine.Limits{Entries: a.cfg.QuarantineEntries, Bytes: a.cfg.QuarantineBytes, ArchiveBytes: a.cfg.ArchiveBytes}
	if a.quarantine, err = quarantine.Open(filepath.Join(a.cfg.Dir, "quarantine"), limits, a.deps.Log); err != nil {
		return err
	}
	if a.metrics, err = newMetrics(a.deps.Registerer, a.budget, a.quarantine, a.oldest, a.pending); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	a.registry = newRegistry(a.deps.Devices, a.deps.Ledger)
	a.members = newMembers(&a.cfg, a.tls, &a.state, a.deps.Log, a.Lanes)
	for number := range a.cfg.Lanes {
		l := &lane{app: a, number: number, name: fmt.Sprintf("lane %d", number), logger: a.deps.Log.With(slog.Uint64("lane", uint64(number))), tracing: &tracing{tracer: a.deps.Tracer, lane: number}}
		options := spool.Options{Budget: a.budget, SegmentSize: a.cfg.SegmentBytes, Memory: a.cfg.LaneMemory, MaxArgument: slotArgument}
		if l.log, err = spool.Open(filepath.Join(a.cfg.Dir, "spool", fmt.Sprintf("lane-%04d", number)), options); err != nil {
			return fmt.Errorf("opening spool of lane %d: %w", number, err)
		}
		a.lanes = append(a.lanes, l)
	}
	return a.noneBeyond()
}

// noneBeyond refuses a configuration that would forget spooled frames.
func (a *App) noneBeyond() error {
	entries, err := os.ReadDir(filepath.Join(a.cfg.Dir, "spool"))
	if err != nil {
		return fmt.Errorf("listing spool: %w", err)
	}
	for _, entry := range entries {
		var number uint32
		if _, err := fmt.Sscanf(entry.Name(), "lane-%04d", &number); err == nil && number >= a.cfg.Lanes {
			return fmt.Errorf("ingest: the spool in %s has lane %d, but %d lanes are configured; configure as many as before", a.cfg.Dir, number, a.cfg.Lanes)
		}
	}
	return nil
}

// Close closes the files; for an App that was not run.
func (a *App) Close() error {
	var err error
	for _, l := range a.lanes {
		err = errors.Join(err, l.log.Close())
	}
	if a.quarantine != nil {
		err = errors.Join(err, a.quarantine.Close())
	}
	if a.lock != nil {
		err = errors.Join(err, a.lock.Close())
	}
	return err
}

// Run works until ctx ends. It then receives no more, commits what is spooled as far as [Config.Drain] allows, says good-bye
// and closes. What is left stays in the spool for the next start.
func (a *App) Run(ctx context.Context) error {
	// Lanes and members outlive ctx by the drain: members keep the lanes ours while they commit.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	present, leave := context.WithCancel(working)
	var membership sync.WaitGroup
	membership.Go(func() { a.members.run(present) })
	ticker := time.NewTicker(evaluateEvery)
	defer ticker.Stop()
	strangers := make([]time.Time, len(a.lanes)) // since when a lane of ours is another's by the sharing
	for ctx.Err() == nil {
		a.evaluate(working, strangers)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	for _, l := range a.lanes {
		l.letGo()
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		a.background.Wait()
	}()
	select {
	case <-drained:
	case <-time.After(a.cfg.Drain):
		a.deps.Log.Warn("stopping with frames in the spool", slog.Float64("frames", a.pending()))
	}
	stop()
	<-drained
	leave()
	membership.Wait()
	return a.Close()
}

// evaluate starts and releases lanes as the sharing says.
func (a *App) evaluate(ctx context.Context, strangers []time.Time) {
	mine, ok := a.members.view()
	if !ok {
		return
	}
	wanted := make([]bool, len(a.lanes))
	for _, number := range mine {
		wanted[number] = true
	}
	for i, l := range a.lanes {
		switch working, holding := l.status(); {
		case wanted[i]:
			strangers[i] = time.Time{}
			if !working {
				l.start(ctx, &a.background, l.own)
			}
		case holding:
			if strangers[i].IsZero() {
				strangers[i] = time.Now()
			} else if time.Since(strangers[i]) > patience {
				l.letGo()
			}
		default:
			strangers[i] = time.Time{}
			if frames, _ := l.log.Pending(); frames > 0 && !working {
				l.start(ctx, &a.background, func(ctx context.Context, _ <-chan struct{}) error { return l.giveBack(ctx) })
			}
		}
	}
}

func (l *lane) status() (working, holding bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.working, l.holding
}

// start runs a piece of work on the lane, one at a time.
func (l *lane) start(ctx context.Context, background *sync.WaitGroup, work func(context.Context, <-chan struct{}) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	release := make(chan struct{})
	l.working, l.release = true, release
	background.Go(func() {
		err := work(ctx, release)
		l.mu.Lock()
		l.release = nil
		l.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, errHeld) || errors.Is(err, errLaneLost) {
				l.app.state.clear(l.name)
				l.logger.InfoContext(ctx, "lane is another's", slog.Any("reason", err))
			} else if l.app.state.set(l.name, err.Error()) {
				l.logger.WarnContext(ctx, "lane stopped", slog.Any("error", err))
			}
			select { // so that a lane that cannot be had is not asked for without pause
			case <-time.After(time.Second):
			case <-release:
			case <-ctx.Done():
			}
		} else {
			l.app.state.clear(l.name)
		}
		l.mu.Lock()
		l.working = false
		l.mu.Unlock()
	})
}

// letGo asks the work on the lane to come to its end.
func (l *lane) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.release != nil {
		close(l.release)
		l.release = nil
	}
}

// giveBack hands the lane's leftovers over if the ledger says that another owns it.
func (l *lane) giveBack(ctx context.Context) error {
	state, err := l.app.deps.Ledger.Lane(ctx, l.app.cfg.Organisation, l.number)
	if err != nil {
		return fmt.Errorf("reading the lane's state: %w", err)
	}
	if state.Owner == l.app.cfg.Instance || state.Owner == "" {
		return nil // nobody took it yet
	}
	return l.handOver(ctx)
}

// Lanes lists the lanes that this instance owns.
func (a *App) Lanes() []uint32 {
	owned := []uint32{}
	for _, l := range a.lanes {
		if _, holding := l.status(); holding {
			owned = append(owned, l.number)
		}
	}
	return owned
}

// Ready tells whether all is well, and if not, why, in sentences.
func (a *App) Ready() (bool, []string) {
	reasons := a.state.list()
	if _, ok := a.members.view(); !ok {
		reasons = append(reasons, "starting: the other instances are not known yet")
	}
	return len(reasons) == 0, reasons
}

func (a *App) pending() float64 {
	var total uint64
	for _, l := range a.lanes {
		frames, _ := l.log.Pending()
		total += frames
	}
	return float64(total)
}

func (a *App) oldest() float64 {
	var oldest provenance.Time
	for _, l := range a.lanes {
		if _, t := l.log.Pending(); t != 0 && (oldest == 0 || t < oldest) {
			oldest = t
		}
	}
	if oldest == 0 {
		return 0
	}
	return a.deps.Clock.Now().Sub(oldest.Time()).Seconds()
}
