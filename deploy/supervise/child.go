package supervise

import (
	"os/exec"
	"syscall"
	"time"
)

const (
	firstPause  = 100 * time.Millisecond
	longestWait = 10 * time.Second
	healthyRun  = 10 * time.Second // a run this long forgets earlier failures
)

// child is one process of the group: its life, driven by the supervisor's loop.
type child struct {
	wanted       Spec // what should run
	wantedDigest string
	spec         Spec // what runs, or ran last
	specDigest   string
	withdrawn    bool

	cmd      *exec.Cmd // nil while nothing runs
	log      *logFile
	stopping time.Time // when SIGTERM was sent; zero while it may live
	started  time.Time
	failures int
	nextTry  time.Time
	status   Status
}

func (c *child) want(spec Spec) {
	c.wanted, c.wantedDigest, c.withdrawn = spec, spec.digest(), false
}

func (c *child) adopt() { c.spec, c.specDigest = c.wanted, c.wantedDigest }

type exit struct {
	name string
	cmd  *exec.Cmd
	err  error
}

// step does what is due now, and reports whether the child can be forgotten.
func (c *child) step(now time.Time, s *supervisor) (gone bool) {
	if c.cmd != nil {
		if c.withdrawn || c.wanted.Paused || c.wantedDigest != c.specDigest {
			c.stop(now, s)
		}
		c.killWhenOverdue(now, s)
		return false
	}
	if c.withdrawn {
		return true
	}
	if changed := c.wantedDigest != c.status.Digest; changed {
		c.failures, c.nextTry = 0, time.Time{}
	}
	switch {
	case c.wanted.Paused:
		if c.status.State != Stopped || c.status.Digest != c.wantedDigest {
			c.adopt()
			c.report(s, Stopped, now)
		}
	case !now.Before(c.nextTry):
		c.start(now, s)
	}
	return false
}

func (c *child) start(now time.Time, s *supervisor) {
	first := c.started.IsZero()
	c.adopt()
	c.started, c.stopping = now, time.Time{}
	if !first {
		c.status.Restarts++
	}
	err := c.launch(s)
	if err != nil {
		s.log.Error("starting process", "process", c.spec.Name, "error", err)
		c.retryLater(now, err.Error(), s)
		return
	}
	s.log.Info("started process", "process", c.spec.Name, "pid", c.cmd.Process.Pid)
	c.report(s, Running, now)
}

func (c *child) launch(s *supervisor) error {
	log, err := openLog(s.group.LogPath(c.spec.Name), maxLogBytes)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.spec.Argv[0], c.spec.Argv[1:]...) //nolint:noctx // it ends by SIGTERM first, which a context would not send
	cmd.Env, cmd.Dir = c.spec.Env, c.spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	cmd.WaitDelay = time.Second // a grandchild may hold the output open
	if err := cmd.Start(); err != nil {
		_ = log.Close()
		return err
	}
	c.cmd, c.log = cmd, log
	name := c.spec.Name
	go func() { s.exits <- exit{name: name, cmd: cmd, err: cmd.Wait()} }()
	return nil
}

func (c *child) ended(e exit, now time.Time, s *supervisor) {
	how := "ended by itself"
	if e.err != nil {
		how = e.err.Error()
	}
	_ = c.log.Close()
	expected := !c.stopping.IsZero()
	c.cmd, c.log, c.stopping = nil, nil, time.Time{}
	if expected {
		s.log.Info("stopped process", "process", c.spec.Name, "how", how)
		c.status.LastExit = how
		c.report(s, Stopped, now)
		return
	}
	s.log.Warn("process died", "process", c.spec.Name, "how", how)
	if now.Sub(c.started) >= healthyRun {
		c.failures = 0
	}
	c.retryLater(now, how, s)
}

func (c *child) retryLater(now time.Time, how string, s *supervisor) {
	pause := min(firstPause<<min(c.failures, 10), longestWait)
	c.failures++
	c.nextTry = now.Add(pause)
	c.status.LastExit = how
	c.report(s, Waiting, now)
}

func (c *child) stop(now time.Time, s *supervisor) {
	if c.cmd == nil || !c.stopping.IsZero() {
		return
	}
	c.stopping = now
	c.signal(syscall.SIGTERM, s)
}

// killWhenOverdue ends the whole process group: what ignored SIGTERM may have
// children that would keep its ports.
func (c *child) killWhenOverdue(now time.Time, s *supervisor) {
	if c.cmd == nil || c.stopping.IsZero() || now.Sub(c.stopping) < c.spec.grace() {
		return
	}
	s.log.Warn("process ignored SIGTERM, killing it", "process", c.spec.Name, "grace", c.spec.grace())
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // already gone is as good
	c.stopping = now
}

func (c *child) signal(signal syscall.Signal, s *supervisor) {
	if err := c.cmd.Process.Signal(signal); err != nil {
		s.log.Debug("signalling process", "process", c.spec.Name, "error", err)
	}
}

func (c *child) report(s *supervisor, state State, now time.Time) {
	c.status.Name, c.status.Stage, c.status.Digest = c.spec.Name, c.spec.Stage, c.specDigest
	c.status.State, c.status.Since = state, now.UTC()
	c.status.PID, c.status.Birth = 0, 0
	if c.cmd != nil {
		c.status.PID = c.cmd.Process.Pid
		c.status.Birth = processBirth(c.status.PID)
	}
	if err := writeJSON(s.group.statusPath(c.spec.Name), c.status); err != nil {
		s.log.Error("writing process status", "process", c.spec.Name, "error", err)
	}
}
