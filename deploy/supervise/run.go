package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Run supervises the group until ctx ends or [Group.Stop] is called; it returns
// when every process has ended. A group starts empty: what an earlier supervisor
// was asked to run is forgotten, and what it left running is ended.
func (g *Group) Run(ctx context.Context, log *slog.Logger) error {
	return g.run(ctx, log, func() {})
}

func (g *Group) run(ctx context.Context, log *slog.Logger, ready func()) error {
	// The kernel ties a child's death signal to the thread that started it, so
	// every child is started from this one, and it lives as long as they do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	for _, sub := range []string{"specs", "run", "logs"} {
		if err := os.MkdirAll(filepath.Join(g.dir, sub), 0o750); err != nil {
			return fmt.Errorf("making process folder: %w", err)
		}
	}
	lock, err := g.lock()
	if err != nil {
		return err
	}
	defer lock.Close() // gives the lock back; the text in it then means nothing
	if err := g.clear(log); err != nil {
		return err
	}
	if _, err := lock.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return fmt.Errorf("writing supervisor's process id: %w", err)
	}
	ready()

	s := &supervisor{group: g, log: log, children: map[string]*child{}, exits: make(chan exit)}
	defer s.stopAll()
	for {
		if err := s.reconcile(time.Now()); err != nil {
			log.Error("reading what should run", "error", err)
		}
		if _, err := os.Stat(g.stopPath()); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.exits:
			s.ended(e, time.Now())
		case <-time.After(pollInterval):
		}
	}
}

func (g *Group) lock() (*os.File, error) {
	file, err := os.OpenFile(g.lockPath(), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	// A reader that only looks holds the lock for an instant, so try for a while.
	for range 20 {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return file, file.Truncate(0)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errSupervised
	}
	return nil, errors.Join(err, file.Close())
}

// clear ends what a killed supervisor left behind, and only that: a process id
// in an old file may long belong to something else.
func (g *Group) clear(log *slog.Logger) error {
	names, err := listNames(filepath.Join(g.dir, "run"))
	if err != nil {
		return err
	}
	for _, name := range names {
		var s Status
		if readJSON(g.statusPath(name), &s) != nil {
			continue
		}
		for attempt := 0; s.alive(); attempt++ {
			signal := syscall.SIGTERM
			if attempt > 0 {
				signal = syscall.SIGKILL
			}
			log.Warn("ending a process that an earlier supervisor left", "process", name, "pid", s.PID)
			_ = syscall.Kill(s.PID, signal) // gone is what we want
			for range 40 {
				if !s.alive() {
					break
				}
				time.Sleep(pollInterval)
			}
		}
	}
	for _, sub := range []string{"specs", "run"} {
		entries, err := os.ReadDir(filepath.Join(g.dir, sub))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.Remove(filepath.Join(g.dir, sub, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(g.stopPath()); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

type supervisor struct {
	group    *Group
	log      *slog.Logger
	children map[string]*child
	exits    chan exit
	seen     time.Time // modification time of the specs folder when last read
}

// reconcile reads the specs when they changed, then moves each child one step
// towards its own.
func (s *supervisor) reconcile(now time.Time) error {
	dir := filepath.Join(s.group.dir, "specs")
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	// File times are coarse: a change in the same tick as the last one shows no
	// new time, so a folder changed within the last second is read again.
	if changed := info.ModTime(); !changed.Equal(s.seen) || now.Sub(changed) < time.Second {
		if err := s.readSpecs(dir); err != nil {
			return err
		}
		s.seen = changed
	}
	for _, c := range s.ordered() {
		if c.step(now, s) {
			delete(s.children, c.spec.Name)
			_ = os.Remove(s.group.statusPath(c.spec.Name)) // readers treat a missing file as gone
		}
	}
	return nil
}

func (s *supervisor) readSpecs(dir string) error {
	names, err := listNames(dir)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, name := range names {
		var spec Spec
		if err := readJSON(filepath.Join(dir, name+".json"), &spec); os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := spec.validate(); err != nil {
			return err
		}
		wanted[name] = true
		c := s.children[name]
		if c == nil {
			c = &child{spec: spec}
			s.children[name] = c
		}
		c.want(spec)
	}
	for name, c := range s.children {
		c.withdrawn = !wanted[name]
	}
	return nil
}

// ordered lists the children as they start.
func (s *supervisor) ordered() []*child {
	all := make([]*child, 0, len(s.children))
	for _, c := range s.children {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *child) int {
		if a.wanted.Stage != b.wanted.Stage {
			return a.wanted.Stage - b.wanted.Stage
		}
		if a.wanted.Name < b.wanted.Name {
			return -1
		}
		return 1
	})
	return all
}

func (s *supervisor) ended(e exit, now time.Time) {
	if c := s.children[e.name]; c != nil && c.cmd == e.cmd {
		c.ended(e, now, s)
	}
}

// stopAll ends the stages one after the other, the highest first.
func (s *supervisor) stopAll() {
	all := s.ordered()
	slices.Reverse(all)
	for len(all) > 0 {
		stage := all[0].wanted.Stage
		n := 0
		for n < len(all) && all[n].wanted.Stage == stage {
			all[n].stop(time.Now(), s)
			n++
		}
		for slices.ContainsFunc(all[:n], func(c *child) bool { return c.cmd != nil }) {
			select {
			case e := <-s.exits:
				s.ended(e, time.Now())
			case <-time.After(pollInterval):
				for _, c := range all[:n] {
					c.killWhenOverdue(time.Now(), s)
				}
			}
		}
		all = all[n:]
	}
	for name := range s.children {
		_ = os.Remove(s.group.statusPath(name)) // nothing of it runs any more
	}
}
