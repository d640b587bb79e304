package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Result is what a run found.
type Result struct {
	Verdict string `json:"verdict"`
	Passed  bool   `json:"passed"`
	Seed    uint64 `json:"seed"`
	Cut     string `json:"cutOffBy"` // how peers were cut off
	Faults  []Harm `json:"faults"`

	Capacity     float64          `json:"framesPerSecondTaken"` // measured before the faults
	Offered      int              `json:"framesOffered"`
	Acknowledged int              `json:"framesAcknowledged"`
	GivenUp      int64            `json:"framesGivenUp"` // by devices, without PUBACK, after an overload
	Replayed     int              `json:"framesReplayed"`
	Stalls       int64            `json:"publishersStalled"`
	Memory       map[string]int64 `json:"memoryBytes"` // at most, by kind of process
	Seconds      float64          `json:"seconds"`
	Audit        *audit           `json:"audit"`
	Failures     []string         `json:"failures"` // besides the verdict
}

// Harm is one fault and what came of it.
type Harm struct {
	At        float64  `json:"at"` // seconds since the load began
	Kind      string   `json:"kind"`
	Victim    string   `json:"victim"`
	Detail    string   `json:"detail"`
	Committed float64  `json:"committedAfter"` // seconds until every lane had recorded a frame signed after the fault
	Queryable float64  `json:"queryableAfter"` // seconds until such frames could be read from the gateway node
	Unready   []string `json:"unready"`        // what readiness said meanwhile
}

// run is one run.
type run struct {
	config    Config
	rng       *rand.Rand
	road      *road
	book      *book
	publisher *publisher
	watch     *watch
	sensors   []*sensor
	floods    []*sensor
	jumped    map[string]bool // ingests that have read a clock other than the machine's
	capacity  float64
	result    *Result

	mu sync.Mutex
}

// patience bounds each wait for a recovery.
const patience = 2 * time.Minute

// Run makes a run. An error means that it could not be made to its end; what was found is in the result.
func Run(ctx context.Context, config Config, program string, log *slog.Logger, say func(format string, args ...any)) (result *Result, err error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	began := time.Now()
	dir, err := makeDir(config.Dir)
	if err != nil {
		return nil, err
	}
	x := &run{
		config: config, rng: rand.New(rand.NewPCG(config.Seed, 0)), book: newBook(), watch: newWatch(), jumped: map[string]bool{}, //nolint:gosec // reproducible by its seed
		result: &Result{Seed: config.Seed},
	}
	defer func() {
		if config.Keep || err != nil || !x.result.Passed {
			say("the logs of every process are in %s", filepath.Join(dir, "net", "processes", "logs"))
		} else {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	x.road = &road{dir: dir, program: program, log: log, say: say}
	if x.road.room, err = openRoom(ctx); err != nil {
		return nil, err
	}
	defer x.road.close()
	x.result.Cut = "SIGSTOP of the peer (no namespaces here)"
	if x.road.room.own {
		x.result.Cut = "network namespace: the link of the peer's own is taken down"
	}
	if err := x.road.build(ctx); err != nil {
		return nil, err
	}
	if err := x.work(ctx); err != nil {
		return nil, err
	}
	x.result.Seconds = time.Since(began).Seconds()
	x.result.Verdict = x.result.Audit.verdict()
	x.result.Passed = x.result.Audit.clean() && len(x.result.Failures) == 0
	return x.result, nil
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "trailmark-faults-")
	}
	return dir, os.Mkdir(dir, 0o700)
}

// fail notes that something was not as promised.
func (x *run) fail(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Failures = append(x.result.Failures, fmt.Sprintf(format, args...))
}

// work loads, harms, settles and audits.
func (x *run) work(ctx context.Context) error {
	var err error
	if x.sensors, err = newSensors(x.road.owner.MSPID, "sensor", sensors); err != nil {
		return err
	}
	if x.floods, err = newSensors(x.road.owner.MSPID, "flood", floodSensors); err != nil {
		return err
	}
	for _, fleet := range [][]*sensor{x.sensors, x.floods} {
		if err := x.road.enrol(ctx, fleet); err != nil {
			return err
		}
	}
	if x.publisher, err = x.road.publisher(x.book, lanes); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel(nil)
	background.Go(func() {
		if err := x.road.follow(ctx, x.book); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("following blocks: %w", err))
		}
	})
	background.Go(func() { x.publisher.run(ctx) })
	background.Go(func() { x.watch.run(ctx, x.road) })
	loading, endLoad := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() {
		if err := x.load(loading); err != nil {
			cancel(err)
		}
	})
	err = x.harm(ctx)
	endLoad()
	load.Wait()
	if err == nil {
		err = x.settle(ctx)
	}
	if err == nil {
		err = x.audit(ctx)
	}
	return errors.Join(err, context.Cause(ctx))
}

// load has every sensor sign and publish at its pace.
func (x *run) load(ctx context.Context) error {
	ticker := time.NewTicker(frameEvery / time.Duration(len(x.sensors)))
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		m, err := x.sensors[i%len(x.sensors)].sign(time.Now(), readingsAFrame)
		if err != nil {
			return err
		}
		x.publisher.send(m)
	}
}

func (x *run) signFlood(n int) ([]*message, error) {
	frames := make([]*message, n)
	for i := range frames {
		var err error
		if frames[i], err = x.floods[i%len(x.floods)].sign(time.Now(), readingsInFlood); err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// measure finds the rate of frames that broker and ingests take.
func (x *run) measure(ctx context.Context) error {
	frames, err := x.signFlood(burst)
	if err != nil {
		return err
	}
	began := time.Now()
	for _, m := range frames {
		x.publisher.send(m)
	}
	if left := x.drained(ctx, patience); left > 0 {
		return fmt.Errorf("measuring the rate that is taken: %d of %d frames were not recorded after %s", left, burst, patience)
	}
	x.capacity = burst / time.Since(began).Seconds()
	x.result.Capacity = x.capacity
	x.road.say("it takes %.0f frames of %d readings a second", x.capacity, readingsInFlood)
	return nil
}

// drained waits until everything published is acknowledged and recorded, and returns what is left after a time.
func (x *run) drained(ctx context.Context, patience time.Duration) (left int) {
	for deadline := time.Now().Add(patience); ; pause(ctx, 100*time.Millisecond) {
		left = x.publisher.waiting() + len(x.book.missing())
		if left <= len(x.sensors) || time.Now().After(deadline) || ctx.Err() != nil { // the load goes on
			return max(left-len(x.sensors), 0)
		}
	}
}

// harm does one fault after the other, at random moments.
func (x *run) harm(ctx context.Context) error {
	began := time.Now()
	if _, err := x.flow(ctx, began); err != nil {
		return fmt.Errorf("before any fault: %w", err)
	}
	if err := x.measure(ctx); err != nil {
		return err
	}
	faults := plan(x.rng, &x.config)
	for i, k := range faults {
		pause(ctx, x.between(300*time.Millisecond, 3*time.Second))
		victims := k.victims(x, ctx)
		if len(victims) == 0 {
			return fmt.Errorf("%s: there is nobody to do it to", k.name)
		}
		h := Harm{At: time.Since(began).Seconds(), Kind: k.name, Victim: victims[x.rng.IntN(len(victims))]}
		if err := x.inflict(ctx, k, &h); err != nil {
			return err
		}
		x.result.Faults = append(x.result.Faults, h)
		x.road.say("%2d/%d  %6.1f s  %-27s %-32s recorded again after %5.1f s, queryable after %5.1f s  (%s)", i+1, len(faults), h.At, h.Kind, h.Victim, h.Committed, h.Queryable, h.Detail)
	}
	return ctx.Err()
}

// inflict does one fault and waits for the recovery.
func (x *run) inflict(ctx context.Context, k kind, h *Harm) error {
	x.watch.heard()
	since, done := time.Now(), make(chan error, 1)
	go func() {
		var err error
		h.Detail, err = k.strike(x, ctx, h.Victim)
		done <- err
	}()
	var strike error
	if k.afterwards {
		strike = <-done
		since = time.Now()
	}
	took, err := x.flow(ctx, since)
	if !k.afterwards {
		strike = <-done
	}
	if strike != nil {
		return fmt.Errorf("%s (%s): %w", k.name, h.Victim, strike)
	}
	if errors.Is(err, errStuck) {
		x.fail("%s (%s): %v", k.name, h.Victim, err)
	} else if err != nil {
		return err
	}
	h.Committed, h.Queryable = took.committed.Seconds(), took.queryable.Seconds()
	h.Unready = x.watch.heard()
	if k.says != "" && !strings.HasPrefix(h.Detail, "left out") && !strings.Contains(strings.Join(h.Unready, "\n"), k.says) {
		x.fail("%s (%s): readiness did not say %q; it said %q", k.name, h.Victim, k.says, h.Unready)
	}
	return nil
}

// recovery is how long it took until frames went the whole road again.
type recovery struct{ committed, queryable time.Duration }

var errStuck = errors.New("not recovered")

// flow waits until every lane has recorded a frame that was signed after a moment, and until the gateway node shows it.
func (x *run) flow(ctx context.Context, since time.Time) (r recovery, err error) {
	deadline := time.After(patience)
	var height uint64
	for {
		yes, at, changed := x.book.flowing(since)
		if yes {
			height = at
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-deadline:
			return r, fmt.Errorf("%w: after %s there are lanes without a new frame", errStuck, patience)
		}
	}
	r.committed = time.Since(since)
	for {
		if projected, err := x.road.projected(ctx, gatewayNode); err == nil && projected >= height {
			r.queryable = time.Since(since)
			return r, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-deadline:
			return r, fmt.Errorf("%w: after %s the gateway node does not show block %d", errStuck, patience, height)
		}
	}
}

// settle waits until all that publishers have is acknowledged and recorded. What ingest refused because of a clock that was wrong it
// replays from the quarantine, as an operator would.
func (x *run) settle(ctx context.Context) error {
	x.road.say("the load has ended; working off what is left")
	for deadline := time.Now().Add(patience); x.publisher.waiting() > 0 && time.Now().Before(deadline); {
		pause(ctx, 100*time.Millisecond)
	}
	if left := x.publisher.waiting(); left > 0 {
		x.fail("%d frames had no PUBACK %s after the load had ended", left, patience)
	}
	quarantined, before, progress := 0, -1, time.Now()
	for ctx.Err() == nil {
		left := len(x.book.missing())
		if left == 0 {
			break
		}
		if left != before {
			before, progress = left, time.Now()
		}
		if time.Since(progress) > 45*time.Second {
			break // the audit says what is lost
		}
		if time.Since(progress) > 3*time.Second {
			for _, name := range ingestProcesses {
				n, err := x.replay(ctx, name)
				if err != nil {
					x.fail("replaying the quarantine of %s: %v", name, err)
				}
				quarantined += n
			}
			pause(ctx, 5*time.Second)
		}
		pause(ctx, time.Second)
	}
	x.result.Replayed = quarantined
	for _, name := range ingestProcesses {
		if err := x.road.awaitReady(ctx, name, time.Minute); err != nil {
			x.fail("at the end: %v", err)
		}
	}
	return ctx.Err()
}

// replay sends what an ingest's quarantine holds of frames from the future round again.
func (x *run) replay(ctx context.Context, name string) (n int, err error) {
	due := map[string]bool{}
	for after := ""; ; {
		var page struct {
			Items []struct {
				ID       string `json:"id"`
				Attempts int    `json:"attempts"`
			} `json:"items"`
			Next string `json:"next"`
		}
		if err := x.road.ask(ctx, name, http.MethodGet, "/quarantine?limit=500&verdict="+provenance.FutureTime.String()+"&after="+url.QueryEscape(after), &page); err != nil {
			return n, err
		}
		for _, item := range page.Items {
			due[item.ID] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	var group errgroup.Group // an answer waits until it is seen what becomes of the message
	group.SetLimit(64)
	for id := range due {
		group.Go(func() error {
			return x.road.ask(ctx, name, http.MethodPost, "/quarantine/"+url.PathEscape(id)+"/replay", nil)
		})
	}
	return len(due), group.Wait()
}

// audit stops the nodes and compares.
func (x *run) audit(ctx context.Context) error {
	x.road.say("auditing")
	nodes := []string{}
	for name := range x.road.services {
		if strings.HasPrefix(name, "node-") {
			nodes = append(nodes, name)
		}
	}
	for _, name := range ingestProcesses {
		if err := x.road.group.Pause(ctx, name); err != nil {
			return err
		}
	}
	height, err := x.road.observer.Client.Height(ctx)
	if err != nil {
		return err
	}
	for _, name := range nodes { // checkpoints go on being anchored; what counts is up to this height
		for deadline := time.Now().Add(time.Minute); ; pause(ctx, 100*time.Millisecond) {
			if projected, err := x.road.projected(ctx, name); err == nil && projected >= height {
				break
			}
			if time.Now().After(deadline) || ctx.Err() != nil {
				x.fail("%s does not reach block %d within a minute", name, height)
				break
			}
		}
	}
	for _, name := range nodes {
		if err := x.road.group.Pause(ctx, name); err != nil {
			return err
		}
	}
	a := newAudit(x.book)
	x.result.Audit = a
	if err := a.ledger(ctx, x.road.observer.Client, height); err != nil {
		return err
	}
	a.log()
	for _, name := range nodes {
		if err := a.node(ctx, filepath.Join(x.road.dir, name), x.road.observer.Client.Channel()); err != nil {
			return fmt.Errorf("auditing %s: %w", name, err)
		}
	}
	x.result.Offered, x.result.Acknowledged, _ = x.book.numbers()
	x.result.GivenUp, x.result.Stalls = x.publisher.discarded.Load(), x.publisher.stalls.Load()
	var excess []string
	if x.result.Memory, excess = x.watch.peaks(); len(excess) > 0 {
		x.fail("memory: %s", strings.Join(excess, "; "))
	}
	return nil
}
