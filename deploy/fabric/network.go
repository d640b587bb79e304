package fabric

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
	"golang.org/x/sync/errgroup"
)

// readyTimeout bounds each wait of Up and of DeployChaincode.
const readyTimeout = 90 * time.Second

// Network is a running network.
type Network struct {
	dir     string
	cache   string
	log     *slog.Logger
	report  func(string)
	group   *supervise.Group
	stop    func()
	owned   bool
	profile Profile

	mu      sync.Mutex // guards what follows
	state   state      // grows by chaincode ports
	ensured []string   // processes that this value needs to run
}

// Up creates the network of cfg, or brings it back: it builds, makes, starts and
// joins what is missing and leaves alone what is there, a running network
// included. It returns when the orderers have a leader and every peer is on the
// channel, knows the others, and has caught up.
func Up(ctx context.Context, cfg Config, options Options) (*Network, error) {
	options = options.withDefaults()
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("network configuration: %w", err)
	}
	if err := Build(ctx, cfg, options.Progress); err != nil {
		return nil, err
	}
	if err := ensureInterface(ctx, options.Progress); err != nil {
		return nil, err
	}
	release, err := lockDir(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := makeDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := checkDisk(cfg.Dir, minDiskState); err != nil {
		return nil, err
	}
	state, held, err := openState(cfg, options)
	if err != nil {
		return nil, err
	}
	defer held.release()
	if err := makeFiles(ctx, cfg, state, options.Progress); err != nil {
		return nil, err
	}
	profile, err := LoadProfile(cfg.Dir)
	if err != nil {
		return nil, err
	}
	n := &Network{
		dir: cfg.Dir, cache: cfg.Cache, log: options.Log, report: options.Progress, state: state, profile: profile,
		group: supervise.Open(ProcessDir(cfg.Dir)), stop: func() {},
	}
	if err := n.supervise(ctx, options.Supervisor); err != nil {
		return nil, err
	}
	held.release()
	if err := n.start(ctx, cfg.LogSpec); err != nil {
		n.stop() // ends only what this process owns
		return nil, err
	}
	return n, nil
}

// openState loads the network's state, or decides it and picks its ports.
func openState(cfg Config, options Options) (state, reservation, error) {
	present, err := loadState(cfg.Dir)
	if err == nil {
		warnAboutDifferences(cfg, present, options)
		return present, nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return state{}, nil, err
	}
	orgs, err := loadOrganisations(cfg.Organisations)
	if err != nil {
		return state{}, nil, err
	}
	fresh, err := newState(cfg, orgs, time.Now())
	if err != nil {
		return state{}, nil, err
	}
	held, err := reserve(fresh.Ports, fresh.portNames(), cfg.BasePort)
	if err != nil {
		return state{}, nil, err
	}
	if err := fresh.save(cfg.Dir); err != nil {
		held.release()
		return state{}, nil, err
	}
	return fresh, held, nil
}

func warnAboutDifferences(cfg Config, present state, options Options) {
	orgs, err := loadOrganisations(cfg.Organisations)
	if err != nil {
		options.Log.Warn("the organisations file cannot be read; the network keeps those it was made with", "error", err)
		return
	}
	wanted, err := newState(cfg, orgs, present.Created)
	if err != nil {
		options.Log.Warn("the configuration does not fit; the network stays as it was made", "error", err)
		return
	}
	wanted.Ports = present.Ports
	if !reflect.DeepEqual(wanted, present) {
		options.Log.Warn("this network was made with other settings and keeps them; `net reset` makes a new one", "dir", cfg.Dir)
	}
}

// makeFiles writes keys, first block, builder and profile, where missing.
func makeFiles(ctx context.Context, cfg Config, s state, progress func(string)) error {
	if _, err := os.Stat(genesisPath(cfg.Dir)); err != nil {
		progress(fmt.Sprintf("making keys and the first block for %d organisations", len(s.Organisations)))
	}
	if err := makeCrypto(ctx, cfg.Dir, cfg.Cache, s); err != nil {
		return err
	}
	if err := makeGenesis(ctx, cfg.Dir, cfg.Cache, s); err != nil {
		return err
	}
	if err := makeBuilder(cfg.Dir); err != nil {
		return fmt.Errorf("writing chaincode builder: %w", err)
	}
	if err := writeJSON(filepath.Join(cfg.Dir, profileFile), s.profile()); err != nil {
		return fmt.Errorf("writing network profile: %w", err)
	}
	return nil
}

func (n *Network) supervise(ctx context.Context, argv []string) error {
	if len(argv) > 0 {
		return n.group.Detach(ctx, argv)
	}
	stop, owned, err := n.group.Attach(n.log)
	if err != nil {
		return fmt.Errorf("supervising the network: %w", err)
	}
	n.stop, n.owned = stop, owned
	return nil
}

func (n *Network) start(ctx context.Context, logSpec string) error {
	short, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	n.report(fmt.Sprintf("starting %d orderers and %d peers", n.state.Orderers, len(n.state.peers())))
	var specs []supervise.Spec
	for _, o := range n.state.orderers() {
		specs = append(specs, ordererSpec(n.dir, n.cache, n.state, o, logSpec))
	}
	for _, p := range n.state.peers() {
		specs = append(specs, peerSpec(n.dir, n.cache, n.state, p, logSpec))
	}
	for _, spec := range specs {
		if err := n.ensure(spec); err != nil {
			return err
		}
	}
	if err := n.join(short); err != nil {
		return err
	}
	n.report("waiting for a leader and for the peers to know each other")
	if err := n.retry(short, "a leader among the orderers", n.checkLeader); err != nil {
		return err
	}
	if err := n.retry(short, "the peers to know each other", n.checkGossip); err != nil {
		return err
	}
	return n.catchUp(ctx)
}

// ensure starts a process; unless the supervisor has it already, its ports must
// be free.
func (n *Network) ensure(spec supervise.Spec) error {
	present, err := n.group.Status()
	if err != nil {
		return fmt.Errorf("reading processes: %w", err)
	}
	if !slices.ContainsFunc(present, func(s supervise.Status) bool { return s.Name == spec.Name }) {
		if err := checkFree(spec.Name, n.state.Ports); err != nil {
			return err
		}
	}
	if err := n.group.Ensure(spec); err != nil {
		return fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ensured = append(n.ensured, spec.Name)
	return nil
}

// join brings orderers and peers onto the channel, all at the same time.
func (n *Network) join(ctx context.Context) error {
	raw, block, err := readGenesis(n.dir)
	if err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	for _, o := range n.profile.Orderers {
		tasks.Go(func() error {
			p, err := newParticipation(n.dir, o)
			if err != nil {
				return err
			}
			defer p.close()
			return n.retry(ctx, o.Name, func(ctx context.Context) error { return p.join(ctx, o, n.profile.Channel, raw) })
		})
	}
	for _, o := range n.profile.Organisations {
		tasks.Go(func() error {
			a, err := newAdmin(o)
			if err != nil {
				return err
			}
			defer a.close()
			return n.retry(ctx, "the peers of "+o.Name, func(ctx context.Context) error { return a.join(ctx, n.profile.Channel, block) })
		})
	}
	return tasks.Wait()
}

// retry repeats a check until it passes, the context ends, or a process of the
// network turns out to be unable to start.
func (n *Network) retry(ctx context.Context, what string, check func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := check(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if broken := n.broken(); broken != nil {
			return fmt.Errorf("waiting for %s: %w", what, broken)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w; last answer: %w", what, ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// broken names a process that we need and that keeps dying, with the end of its
// output.
func (n *Network) broken() error {
	all, err := n.group.Status()
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range all {
		if p.State == supervise.Waiting && p.Restarts >= 3 && slices.Contains(n.ensured, p.Name) {
			return fmt.Errorf("process %s keeps ending (%s); the end of %s:\n%s", p.Name, p.LastExit, n.group.LogPath(p.Name), n.group.Tail(p.Name))
		}
	}
	return nil
}

// Profile tells clients how to reach the network.
func (n *Network) Profile() Profile { return n.profile }

// Processes is the group of the network's processes, by the names in the
// profile; chaincode runs as chaincode-NAME-ORGANISATION. Fault tests signal,
// pause and restart them there.
func (n *Network) Processes() *supervise.Group { return n.group }

// Owned tells whether the network's processes end with this one.
func (n *Network) Owned() bool { return n.owned }

// Close stops the network if this process owns it, in reverse order of start;
// a network that runs in the background goes on.
func (n *Network) Close() { n.stop() }

// Down stops the network in dir, whoever started it. Its state stays.
func Down(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	release, err := lockDir(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	return supervise.Open(ProcessDir(dir)).Stop(ctx)
}

// Reset stops the network in dir and removes everything it was: keys, ledgers,
// logs. It refuses a folder that holds something else.
func Reset(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading network folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err != nil {
		return fmt.Errorf("%s is not the folder of a network (no %s in it); nothing was removed", dir, stateFile)
	}
	release, err := lockDir(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	if err := supervise.Open(ProcessDir(dir)).Stop(ctx); err != nil {
		return err
	}
	// The state goes last: a reset that is interrupted can be repeated.
	for _, e := range entries {
		if e.Name() == stateFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("removing network: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing network: %w", err)
	}
	return nil
}
