package supervise

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary plays three more parts: a supervisor of its own, and children
// that ignore SIGTERM or write a lot.
func TestMain(m *testing.M) {
	switch os.Getenv("SUPERVISE_TEST_ROLE") {
	case "supervisor":
		ctx := context.Background()
		if err := Open(os.Getenv("SUPERVISE_TEST_DIR")).Run(ctx, quiet()); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	case "attached": // attaches, starts one sleeper, then waits to be killed
		g := Open(os.Getenv("SUPERVISE_TEST_DIR"))
		if _, _, err := g.Attach(quiet()); err != nil {
			panic(err)
		}
		if err := g.Ensure(sleeper("victim", 0)); err != nil {
			panic(err)
		}
		select {}
	}
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func sleeper(name string, stage int) Spec {
	return Spec{Name: name, Stage: stage, Argv: []string{"sleep", "1000"}, Grace: time.Second}
}

func attach(t *testing.T) (*Group, context.Context) {
	t.Helper()
	g := Open(t.TempDir())
	stop, owned, err := g.Attach(quiet())
	require.NoError(t, err)
	require.True(t, owned)
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return g, ctx
}

func start(t *testing.T, ctx context.Context, g *Group, spec Spec) int {
	t.Helper()
	require.NoError(t, g.Ensure(spec))
	require.NoError(t, g.Await(ctx, spec.Name))
	pid, ok := g.PID(spec.Name)
	require.True(t, ok)
	return pid
}

func TestKilledProcessIsBackWithinASecond(t *testing.T) {
	g, _ := attach(t)
	pid := start(t, t.Context(), g, sleeper("victim", 0))
	require.NoError(t, g.Signal("victim", syscall.SIGKILL))
	require.Eventually(t, func() bool {
		next, ok := g.PID("victim")
		return ok && next != pid
	}, time.Second, 10*time.Millisecond)
	all, err := g.Status()
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, 1, all[0].Restarts)
	require.Contains(t, all[0].LastExit, "killed")
}

func TestEnsureLeavesTheSameAndReplacesTheDifferent(t *testing.T) {
	g, ctx := attach(t)
	spec := sleeper("p", 0)
	first := start(t, ctx, g, spec)
	require.Equal(t, first, start(t, ctx, g, spec))
	spec.Generation = "2"
	require.NotEqual(t, first, start(t, ctx, g, spec))
}

func TestPauseResumeRestartRemove(t *testing.T) {
	g, ctx := attach(t)
	first := start(t, ctx, g, sleeper("p", 0))

	require.NoError(t, g.Pause(ctx, "p"))
	_, running := g.PID("p")
	require.False(t, running)
	require.Error(t, syscall.Kill(first, 0), "the process is gone")

	require.NoError(t, g.Resume(ctx, "p"))
	second, running := g.PID("p")
	require.True(t, running)

	require.NoError(t, g.Restart(ctx, "p"))
	third, running := g.PID("p")
	require.True(t, running)
	require.NotEqual(t, second, third)

	require.NoError(t, g.Remove(ctx, "p"))
	all, err := g.Status()
	require.NoError(t, err)
	require.Empty(t, all)
	require.ErrorContains(t, g.Remove(ctx, "p"), "no process named p")
}

func TestStopsInReverseOrderAndKillsTheStubborn(t *testing.T) {
	g := Open(t.TempDir())
	stop, _, err := g.Attach(quiet())
	require.NoError(t, err)
	order := filepath.Join(t.TempDir(), "order")
	for i, name := range []string{"first", "second", "third"} {
		script := "trap 'echo " + name + " >> " + order + "; exit 0' TERM; while :; do sleep 0.05; done"
		start(t, t.Context(), g, Spec{Name: name, Stage: i, Argv: []string{"sh", "-c", script}})
	}
	stubborn := start(t, t.Context(), g, Spec{
		Name: "stubborn", Stage: 9, Argv: []string{"sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"}, Grace: 300 * time.Millisecond,
	})
	time.Sleep(200 * time.Millisecond) // the shells must have set their traps
	stop()
	raw, err := os.ReadFile(order)
	require.NoError(t, err)
	require.Equal(t, "third second first", strings.Join(strings.Fields(string(raw)), " "))
	require.Error(t, syscall.Kill(stubborn, 0))
	require.Zero(t, g.Supervisor())
	require.ErrorIs(t, g.Ensure(sleeper("late", 0)), ErrUnsupervised)
}

func TestBackoffWhileAProcessKeepsDying(t *testing.T) {
	g, _ := attach(t)
	require.NoError(t, g.Ensure(Spec{Name: "broken", Argv: []string{"sh", "-c", "echo no luck; exit 3"}}))
	time.Sleep(1200 * time.Millisecond)
	all, err := g.Status()
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.GreaterOrEqual(t, all[0].Restarts, 2)
	require.LessOrEqual(t, all[0].Restarts, 4, "100, 200, 400 ms … apart")
	require.Equal(t, "exit status 3", all[0].LastExit)
	require.Contains(t, g.Tail("broken"), "no luck")
}

func TestMissingProgramIsReportedNotFatal(t *testing.T) {
	g, ctx := attach(t)
	require.NoError(t, g.Ensure(Spec{Name: "ghost", Argv: []string{"/no/such/program"}}))
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.Await(short, "ghost"), context.DeadlineExceeded)
	all, err := g.Status()
	require.NoError(t, err)
	require.Contains(t, all[0].LastExit, "no such file")
	start(t, ctx, g, sleeper("other", 0))
}

func TestStalePidFileIsNotKilled(t *testing.T) {
	bystander := exec.Command("sleep", "1000")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "run"), 0o750))
	stale := Status{Name: "old", State: Running, PID: bystander.Process.Pid, Birth: processBirth(bystander.Process.Pid) - 1}
	g := Open(dir)
	require.NoError(t, writeJSON(g.statusPath("old"), stale))

	_, running := g.PID("old")
	require.False(t, running)
	require.Error(t, g.Signal("old", syscall.SIGKILL))
	stop, _, err := g.Attach(quiet())
	require.NoError(t, err)
	stop()
	require.NotZero(t, processBirth(bystander.Process.Pid), "the bystander still lives")
}

func TestOrphanOfAnEarlierSupervisorIsEnded(t *testing.T) {
	orphan := exec.Command("sleep", "1000")
	require.NoError(t, orphan.Start())
	go func() { _ = orphan.Wait() }()
	g := Open(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(g.statusPath("x")), 0o750))
	require.NoError(t, writeJSON(g.statusPath("x"), Status{Name: "x", State: Running, PID: orphan.Process.Pid, Birth: processBirth(orphan.Process.Pid)}))
	stop, _, err := g.Attach(quiet())
	require.NoError(t, err)
	defer stop()
	require.Zero(t, processBirth(orphan.Process.Pid))
}

func TestChildrenDieWithTheirSupervisor(t *testing.T) {
	dir := t.TempDir()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), "SUPERVISE_TEST_ROLE=attached", "SUPERVISE_TEST_DIR="+dir)
	require.NoError(t, host.Start())
	g := Open(dir)
	var pid int
	require.Eventually(t, func() bool {
		var ok bool
		pid, ok = g.PID("victim")
		return ok
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, host.Process.Kill())
	_ = host.Wait() // killed, as wanted
	require.Eventually(t, func() bool { return processBirth(pid) == 0 }, 2*time.Second, 10*time.Millisecond)
	all, err := g.Status()
	require.NoError(t, err)
	require.Equal(t, Stopped, all[0].State)
}

func TestDetachedGroupOutlivesTheCallerAndStops(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SUPERVISE_TEST_ROLE", "supervisor")
	t.Setenv("SUPERVISE_TEST_DIR", dir)
	g := Open(dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, g.Detach(ctx, []string{os.Args[0]}))
	require.NoError(t, g.Detach(ctx, []string{os.Args[0]}), "a second time is a no-op")
	require.NotEqual(t, os.Getpid(), g.Supervisor())
	pid := start(t, ctx, g, sleeper("p", 0))

	_, owned, err := g.Attach(quiet())
	require.NoError(t, err)
	require.False(t, owned, "attaching to a running group joins it")

	require.NoError(t, g.Stop(ctx))
	require.Zero(t, processBirth(pid))
	require.NoError(t, g.Stop(ctx), "stopping a stopped group is a no-op")
}

func TestDetachSaysWhyASupervisorWouldNotStart(t *testing.T) {
	err := Open(t.TempDir()).Detach(t.Context(), []string{"sh", "-c", "echo the reason; exit 1"})
	require.ErrorContains(t, err, "the reason")
}

func TestSpecIsChecked(t *testing.T) {
	for name, spec := range map[string]Spec{
		"path in name": {Name: "../x", Argv: []string{"true"}},
		"no name":      {Argv: []string{"true"}},
		"no program":   {Name: "x"},
		"grace":        {Name: "x", Argv: []string{"true"}, Grace: -1},
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, Open(t.TempDir()).Ensure(spec)) })
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	l, err := openLog(path, 1000)
	require.NoError(t, err)
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 55 {
		n, err := l.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	require.NoError(t, l.Close())
	now, err := os.Stat(path)
	require.NoError(t, err)
	before, err := os.Stat(path + ".1")
	require.NoError(t, err)
	require.EqualValues(t, 500, now.Size())
	require.EqualValues(t, 1000, before.Size())
	require.Equal(t, 2, strings.Count(tail(path, 250), "\n"), "a tail starts at a line")
}
