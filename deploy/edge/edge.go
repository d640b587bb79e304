package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/deploy/devices"
)

// Options that no flag can hold; all may be left out.
type Options struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Edge is a signing edge.
type Edge struct {
	config     Config
	log        *slog.Logger
	now        func() time.Time
	sourceTLS  *tls.Config
	brokerTLS  *tls.Config
	mapping    *mapping
	kits       map[string]*devices.Kit
	outbox     *outbox
	quarantine *quarantine
	reader     *interpreter
	metrics    *metrics
	arrivals   chan arrival
	wake       chan struct{} // capacity 1: something is there to sign

	mu         sync.Mutex
	queues     map[string]*queue        // devices with readings that are not signed
	held       int                      // readings that Trailmark's broker has not acknowledged
	publishers map[string]chan struct{} // by device; capacity 1: something is there to publish
	troubles   map[string]string        // what is wrong now, by part
}

// drain is how long a stop waits for what is signed to be acknowledged; what is left goes out after the next start.
const drain = 10 * time.Second

// New reads mapping and kits, and opens outbox and quarantine. [Edge.Run] does the work and closes them.
func New(ctx context.Context, config Config, o Options) (*Edge, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	e := &Edge{
		config: config, log: o.Log, now: o.Now, arrivals: make(chan arrival, maxArrivals), wake: make(chan struct{}, 1), kits: map[string]*devices.Kit{},
		queues: map[string]*queue{}, publishers: map[string]chan struct{}{}, troubles: map[string]string{},
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.now == nil {
		e.now = time.Now
	}
	if err := e.open(ctx, o.Registerer); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *Edge) open(ctx context.Context, registerer prometheus.Registerer) (err error) {
	if e.mapping, err = loadMapping(e.config.Mapping); err != nil {
		return err
	}
	if e.sourceTLS, err = tlsConfig(e.config.SourceCA, e.config.SourceCert, e.config.SourceKey); err != nil {
		return err
	}
	if e.brokerTLS, err = tlsConfig(e.config.CA, "", ""); err != nil {
		return err
	}
	if err := os.MkdirAll(e.config.Dir, 0o700); err != nil {
		return err
	}
	if e.outbox, err = openOutbox(ctx, e.config.Dir); err != nil {
		return err
	}
	if e.quarantine, err = openQuarantine(e.config.Dir, e.config.QuarantineBytes); err != nil {
		return err
	}
	if err := e.openKits(ctx); err != nil {
		return err
	}
	nodes, err := e.outbox.nodes(ctx)
	if err != nil {
		return fmt.Errorf("opening outbox: %w", err)
	}
	e.reader = &interpreter{mapping: e.mapping, nodes: nodes, seen: e.outbox.sawRelative, unknown: map[string]bool{}}
	e.metrics, err = newMetrics(registerer, e)
	return err
}

// openKits loads the key of every device that a rule names, and of those with something left in the outbox.
func (e *Edge) openKits(ctx context.Context) error {
	pending, err := e.outbox.pending(ctx)
	if err != nil {
		return fmt.Errorf("opening outbox: %w", err)
	}
	waiting, err := e.outbox.waiting(ctx)
	if err != nil {
		return fmt.Errorf("opening outbox: %w", err)
	}
	names := slices.Clone(e.mapping.devices)
	for device, readings := range pending {
		names = append(names, device)
		e.held += readings
	}
	for i := range waiting {
		names = append(names, waiting[i].device)
		e.held += waiting[i].count
		e.queues[waiting[i].device] = &waiting[i]
	}
	slices.Sort(names)
	for _, id := range slices.Compact(names) {
		kit, err := devices.Load(filepath.Join(e.config.Devices, id))
		if err != nil {
			return fmt.Errorf("the mapping names device %s, whose kit cannot be read (trailmark device enrol %s --attestation edge makes it): %w", id, id, err)
		}
		position, err := kit.Position()
		if err != nil {
			return fmt.Errorf("reading the position of %s: %w", id, err)
		}
		if err := e.outbox.adopt(ctx, id, position); err != nil {
			return fmt.Errorf("opening outbox: %w", err)
		}
		e.kits[id] = kit
		if pending[id] > 0 {
			e.publishers[id] = nil // started by Run
		}
	}
	return e.mapping.checkUnits(e.kits)
}

func (m *mapping) checkUnits(kits map[string]*devices.Kit) error {
	check := func(r *rule) error {
		if kit := kits[r.Device]; kit.Unit != r.Unit {
			return fmt.Errorf("rule %d: device %s is enrolled with unit %q, not %q", r.line, r.Device, kit.Unit, r.Unit)
		}
		return nil
	}
	for _, rules := range m.senml {
		for _, r := range rules {
			if err := check(r); err != nil {
				return err
			}
		}
	}
	for _, r := range m.sparkplug {
		if err := check(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *Edge) close() error {
	var err error
	if e.outbox != nil {
		err = e.outbox.close()
	}
	if e.quarantine != nil {
		err = errors.Join(err, e.quarantine.close())
	}
	return err
}

// Run works until ctx ends. Then it takes no more, signs what waits, gives the broker a moment to acknowledge, and closes.
func (e *Edge) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var publishing sync.WaitGroup
	e.mu.Lock()
	for id := range e.publishers {
		e.startPublisher(working, &publishing, id)
	}
	e.mu.Unlock()
	var listening, taking, signing sync.WaitGroup
	listening.Go(func() { e.listen(ctx) })
	taking.Go(func() { e.take(working) })
	ending := make(chan struct{})
	signing.Go(func() { e.sign(working, &publishing, ending) })

	listening.Wait()
	close(e.arrivals)
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		taking.Wait()
	}()
	select {
	case <-taken:
	case <-time.After(drain): // the disk takes nothing
		stop()
		<-taken
	}
	close(ending)
	signing.Wait()
	for deadline := time.Now().Add(drain); e.unpublished() > 0 && time.Now().Before(deadline) && working.Err() == nil; {
		time.Sleep(20 * time.Millisecond)
	}
	if left := e.unpublished(); left > 0 {
		e.log.Warn("stopping with readings in the outbox; they go out after the next start", slog.Int("readings", left))
	}
	stop()
	publishing.Wait()
	return e.close()
}

func (e *Edge) unpublished() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

// trouble notes what is wrong with a part, or that nothing is; it logs changes.
func (e *Edge) trouble(part string, err error) {
	e.mu.Lock()
	before := e.troubles[part]
	if err == nil {
		delete(e.troubles, part)
	} else {
		e.troubles[part] = err.Error()
	}
	e.mu.Unlock()
	switch {
	case err != nil && before == "":
		e.log.Warn("edge has trouble", slog.String("part", part), slog.Any("error", err))
	case err == nil && before != "":
		e.log.Info("edge has recovered", slog.String("part", part))
	}
}

// Ready tells whether all is well, and if not, why.
func (e *Edge) Ready() (bool, []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	reasons := make([]string, 0, len(e.troubles))
	for part, what := range e.troubles {
		reasons = append(reasons, part+": "+what)
	}
	slices.Sort(reasons)
	return len(reasons) == 0, reasons
}

// pause waits a while, or until ctx ends, and returns the next, longer while.
func pause(ctx context.Context, wait time.Duration) time.Duration {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return min(2*wait, 5*time.Second)
}
