// Package bench measures the road on a real network, everything on this machine: a straightforward Fabric application for comparison,
// our road with one reading a frame and with sixty, and what the road's unavoidable parts cost alone, which bounds any implementation.
// It promises that what was published, committed and projected is counted and compared, and that a mismatch is an error; a target that
// is missed is no error, it is reported as missed. Of ours it may import anything but deploy/demo and deploy/command.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Config of the benchmark.
type Config struct {
	Dir     string   `help:"Empty folder for the network, the broker and the nodes, kept afterwards; by default a temporary one, deleted." type:"path" placeholder:"FOLDER"`
	Seconds int      `help:"Length of each steady state." default:"30"`
	Short   bool     `help:"A few seconds of everything (--seconds below 30 are obeyed), for CI: shows that it works and that nothing is lost, not how fast it is."`
	Devices int      `help:"Sensors that publish." default:"20000"`
	Lanes   uint32   `help:"Lanes that they are spread over." default:"6"`
	History int      `help:"Readings on the ledger when packed throughput is measured once more." default:"10000000"`
	Charts  int      `help:"Times that the chart is asked for." default:"300"`
	Skip    []string `help:"Parts to leave out: naive, single, packed, limit, history, chart." enum:"naive,single,packed,limit,history,chart"`
	JSON    bool     `help:"Print one JSON object as the last line." name:"json"`
	Profile string   `help:"Folder for CPU profiles of our processes during the steady states." hidden:"" type:"path"`
}

// leastSeconds is how long a steady state of a full run lasts at least.
const leastSeconds = 30

func (c *Config) check() error {
	if c.Short && c.Seconds >= leastSeconds {
		c.Seconds = 4
	}
	if c.Short {
		c.Devices, c.Lanes, c.History, c.Charts = min(c.Devices, 5000), min(c.Lanes, 4), min(c.History, 1_000_000), min(c.Charts, 20)
	}
	switch {
	case c.Seconds < leastSeconds && !c.Short:
		return fmt.Errorf("a steady state of %d s: a full run takes at least %d, --short is for less", c.Seconds, leastSeconds)
	case c.Seconds < 1 || c.Seconds > 3600:
		return fmt.Errorf("a steady state of %d s: want 1 to 3600", c.Seconds)
	case c.Devices < 1 || c.Devices > 1_000_000:
		return fmt.Errorf("%d sensors: want 1 to 1,000,000", c.Devices)
	case c.Lanes < 1 || c.Lanes > 256:
		return fmt.Errorf("%d lanes: want 1 to 256", c.Lanes)
	case c.History < 0 || c.Charts < 1:
		return fmt.Errorf("%d readings of history, %d charts: want at least 0 and 1", c.History, c.Charts)
	}
	return nil
}

func (c *Config) skips(part string) bool {
	for _, s := range c.Skip {
		if s == part {
			return true
		}
	}
	return false
}

func (c *Config) steady() time.Duration { return time.Duration(c.Seconds) * time.Second }

// Warm-up before a steady state, and what a trial of a number in flight takes.
func (c *Config) warmup() time.Duration { return c.scaled(6*time.Second, time.Second) }
func (c *Config) settle() time.Duration { return c.scaled(2*time.Second, time.Second) }
func (c *Config) trial() time.Duration  { return c.scaled(5*time.Second, 2*time.Second) }

func (c *Config) scaled(full, short time.Duration) time.Duration {
	if c.Short {
		return short
	}
	return full
}

// run is a benchmark under way.
type run struct {
	config  Config
	program string
	log     *slog.Logger
	say     func(format string, args ...any)
	began   time.Time
	*stage
	result *Result
}

// Run runs the benchmark. program is the trailmark binary that processes are started from. Where counts do not agree there is both a
// result, as far as it came, and an error.
func Run(ctx context.Context, config Config, program string, log *slog.Logger, say func(format string, args ...any)) (*Result, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.Dir == "" {
		temporary, err := os.MkdirTemp("", "trailmark-bench-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(temporary)
		config.Dir = temporary
	} else if entries, err := os.ReadDir(config.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: a benchmark begins with an empty ledger", config.Dir)
	}
	if config.Profile != "" { // every process of ours inherits it
		if err := os.Setenv("TRAILMARK_PPROF", config.Profile); err != nil {
			return nil, err
		}
	}
	r := &run{config: config, program: program, log: slog.New(warnings{log.Handler()}), say: say, began: time.Now()}
	r.result = newResult(config)
	err := r.all(ctx)
	r.result.finish(time.Since(r.began))
	return r.result, err
}

func (r *run) all(ctx context.Context) (err error) {
	if r.stage, err = r.setUp(ctx); err != nil {
		return err
	}
	defer func() {
		r.step("stopping")
		err = errors.Join(err, r.stage.close())
	}()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"naive", r.naive}, {"single", r.single}, {"packed", r.packed}, {"limit", r.limit}, {"history", r.history}, {"chart", r.chart},
	} {
		if r.config.skips(part.name) {
			r.result.Skipped = append(r.result.Skipped, part.name)
			continue
		}
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// warnings leaves out what is only told: the supervisor's every start and stop would hide the figures.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// step says what is done now, and since when we are at work.
func (r *run) step(format string, args ...any) {
	r.say("%5.0fs  %s", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func (r *run) path(names ...string) string {
	return filepath.Join(append([]string{r.config.Dir}, names...)...)
}

// sleep waits, or less if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func cores() int { return runtime.GOMAXPROCS(0) }
