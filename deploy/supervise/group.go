package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrUnsupervised means that nobody runs this group, so nothing would happen.
var ErrUnsupervised = errors.New("no supervisor runs this group of processes")

// errSupervised: somebody else runs this group already.
var errSupervised = errors.New("another supervisor runs this group of processes")

const pollInterval = 50 * time.Millisecond

// Group is a folder of processes. Its methods may be used from any process and
// any goroutine.
type Group struct{ dir string }

// Open names a group by its folder. It touches nothing.
func Open(dir string) *Group { return &Group{dir: dir} }

func (g *Group) specPath(name string) string   { return filepath.Join(g.dir, "specs", name+".json") }
func (g *Group) statusPath(name string) string { return filepath.Join(g.dir, "run", name+".json") }
func (g *Group) lockPath() string              { return filepath.Join(g.dir, "supervisor.lock") }
func (g *Group) stopPath() string              { return filepath.Join(g.dir, "stop") }

// LogPath is the file that holds a process's output.
func (g *Group) LogPath(name string) string { return filepath.Join(g.dir, "logs", name+".log") }

// Tail returns the end of a process's output, at most about 4 kB.
func (g *Group) Tail(name string) string { return tail(g.LogPath(name), 4096) }

// Supervisor returns the process id of the group's supervisor, or 0.
func (g *Group) Supervisor() int {
	file, err := os.Open(g.lockPath())
	if err != nil {
		return 0
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0 // nobody holds it; closing the file gives it back
	}
	raw, err := os.ReadFile(g.lockPath())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0 // it holds the lock but is not ready yet
	}
	return pid
}

// Attach supervises the group inside this program, unless somebody does already.
// The returned function stops every process and the supervision, or does nothing
// when the group is somebody else's; owned tells which.
func (g *Group) Attach(log *slog.Logger) (stop func(), owned bool, err error) {
	if g.Supervisor() != 0 {
		return func() {}, false, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- g.run(ctx, log, func() { close(ready) }) }()
	select {
	case <-ready:
		return sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				log.Error("supervising", "error", err)
			}
		}), true, nil
	case err := <-done:
		cancel()
		if errors.Is(err, errSupervised) { // lost a race: theirs, once it is ready
			err = g.awaitSupervisor()
			return func() {}, false, err
		}
		return nil, false, err
	}
}

func (g *Group) awaitSupervisor() error {
	for deadline := time.Now().Add(5 * time.Second); g.Supervisor() == 0; {
		if time.Now().After(deadline) {
			return errSupervised
		}
		time.Sleep(pollInterval)
	}
	return nil
}

// Detach has the group supervised by a process that outlives this one, unless
// somebody does already: argv must end up in [Group.Run] on the same folder.
func (g *Group) Detach(ctx context.Context, argv []string) error {
	if g.Supervisor() != 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(g.dir, "logs"), 0o750); err != nil {
		return fmt.Errorf("making log folder: %w", err)
	}
	output, err := openLog(g.LogPath("supervisor"), maxLogBytes)
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.Command(argv[0], argv[1:]...)         //nolint:noctx // it must outlive every context of ours
	cmd.Stdout, cmd.Stderr = output.file, output.file // the file itself: no pipe to us
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting supervisor: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for supervisor: %w", ctx.Err())
		case err := <-exited:
			if g.Supervisor() != 0 { // it lost a race against another one
				return nil
			}
			if err == nil {
				err = errors.New("no error")
			}
			return fmt.Errorf("supervisor ended at once (%w): %s", err, g.Tail("supervisor"))
		case <-time.After(pollInterval):
			if g.Supervisor() != 0 {
				return nil
			}
		}
	}
}

// Ensure makes the process part of the group: started when new, replaced when
// its spec differs, left alone when it is the same. It does not wait; see Await.
func (g *Group) Ensure(spec Spec) error {
	if err := spec.validate(); err != nil {
		return err
	}
	if g.Supervisor() == 0 {
		return ErrUnsupervised
	}
	var present Spec
	if err := readJSON(g.specPath(spec.Name), &present); err == nil && present.digest() == spec.digest() {
		return nil
	}
	if err := writeJSON(g.specPath(spec.Name), spec); err != nil {
		return fmt.Errorf("writing spec of %s: %w", spec.Name, err)
	}
	return nil
}

// Await waits until the named processes are what their specs say (running, or
// stopped when paused).
func (g *Group) Await(ctx context.Context, names ...string) error {
	for _, name := range names {
		var spec Spec
		if err := readJSON(g.specPath(name), &spec); err != nil {
			return g.unknown(name, err)
		}
		want := Running
		if spec.Paused {
			want = Stopped
		}
		err := g.poll(ctx, "process "+name, func() bool {
			var s Status
			return readJSON(g.statusPath(name), &s) == nil && s.Digest == spec.digest() && s.State == want
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Remove stops a process and takes it out of the group; it waits for its end.
func (g *Group) Remove(ctx context.Context, name string) error {
	if err := os.Remove(g.specPath(name)); err != nil {
		return g.unknown(name, err)
	}
	return g.poll(ctx, "end of "+name, func() bool {
		_, err := os.Stat(g.statusPath(name))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// Pause stops a process until Resume, and waits for its end.
func (g *Group) Pause(ctx context.Context, name string) error { return g.setPaused(ctx, name, true) }

// Resume starts a paused process and waits until it runs.
func (g *Group) Resume(ctx context.Context, name string) error { return g.setPaused(ctx, name, false) }

func (g *Group) setPaused(ctx context.Context, name string, paused bool) error {
	var spec Spec
	if err := readJSON(g.specPath(name), &spec); err != nil {
		return g.unknown(name, err)
	}
	spec.Paused = paused
	if err := g.Ensure(spec); err != nil {
		return err
	}
	return g.Await(ctx, name)
}

// Restart ends a process the polite way and waits until its successor runs.
func (g *Group) Restart(ctx context.Context, name string) error {
	pid, ok := g.PID(name)
	if !ok {
		return fmt.Errorf("process %s does not run", name)
	}
	if err := g.Signal(name, syscall.SIGTERM); err != nil {
		return err
	}
	var spec Spec
	if err := readJSON(g.specPath(name), &spec); err != nil {
		return g.unknown(name, err)
	}
	deadline := time.Now().Add(spec.grace())
	return g.poll(ctx, "restart of "+name, func() bool {
		next, ok := g.PID(name)
		if ok && next == pid && time.Now().After(deadline) {
			_ = g.Signal(name, syscall.SIGKILL) // its end is what the next poll looks for
		}
		return ok && next != pid
	})
}

// Signal sends a signal to the named process; fault tests send SIGKILL.
func (g *Group) Signal(name string, signal syscall.Signal) error {
	pid, ok := g.PID(name)
	if !ok {
		return fmt.Errorf("process %s does not run", name)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("signalling %s (pid %d): %w", name, pid, err)
	}
	return nil
}

// PID returns the id of the named process while it runs.
func (g *Group) PID(name string) (pid int, running bool) {
	var s Status
	if readJSON(g.statusPath(name), &s) != nil || s.State != Running || !s.alive() {
		return 0, false
	}
	return s.PID, true
}

// Status lists the group's processes, in the order in which they start.
func (g *Group) Status() ([]Status, error) {
	names, err := listNames(filepath.Join(g.dir, "run"))
	if err != nil {
		return nil, err
	}
	supervised := g.Supervisor() != 0
	var all []Status
	for _, name := range names {
		var s Status
		if err := readJSON(g.statusPath(name), &s); errors.Is(err, fs.ErrNotExist) {
			continue // it ended between listing and reading
		} else if err != nil {
			return nil, err
		}
		switch {
		case s.State == Running && !s.alive():
			s.State, s.PID = Waiting, 0
			if !supervised {
				s.State = Stopped
			}
		case s.State == Waiting && !supervised:
			s.State = Stopped
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b Status) int { return a.Stage - b.Stage })
	return all, nil
}

// Stop ends every process of the group, then its supervisor. With no supervisor
// there is nothing to stop.
func (g *Group) Stop(ctx context.Context) error {
	if g.Supervisor() == 0 {
		return nil
	}
	if err := os.WriteFile(g.stopPath(), nil, 0o640); err != nil {
		return fmt.Errorf("asking supervisor to stop: %w", err)
	}
	return g.poll(ctx, "end of the supervisor", func() bool { return g.Supervisor() == 0 })
}

func (g *Group) unknown(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no process named %s in this group", name)
	}
	return err
}

func (g *Group) poll(ctx context.Context, what string, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(pollInterval):
			if g.Supervisor() == 0 && !done() {
				return fmt.Errorf("waiting for %s: %w", what, ErrUnsupervised)
			}
		}
	}
	return nil
}

func listNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, nil
}
