//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/deploy/demo"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/supervise"
)

// trailmark runs the program and returns what it printed and its exit code.
func trailmark(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err, stderr.String())
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("trailmark %s\n%s%s", strings.Join(args, " "), stderr.String(), out.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func lastLine(t testing.TB, out string) demo.Result {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r demo.Result
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &r), out)
	return r
}

// TestDemoUntilAlert is the promise of the README: one command, an alert on a real ledger, and a receipt that a stranger can check.
func TestDemoUntilAlert(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	out, code := trailmark(t, "demo", "--until-alert", "--json", "--keep", "--dir", dir, "--listen", "127.0.0.1:0")
	require.Equal(t, 0, code)
	require.Less(t, time.Since(began), 2*time.Minute, "the alert must come within two minutes of the start")
	r := lastLine(t, out)
	require.NotNil(t, r.AlertID)
	require.Equal(t, "spoilage-predicted", r.Kind)
	require.Len(t, r.TxID, 64)
	require.Len(t, r.ModelHash, 64)
	require.Len(t, r.InputRoot, 64)
	require.Positive(t, r.Readings)
	require.Positive(t, r.Block)

	// The score can be computed anew from the ledger alone, though the network is down.
	audited, code := trailmark(t, "audit", r.Shipment+"/"+*r.AlertID, "--net", filepath.Join(dir, "net"))
	require.Equal(t, 0, code)
	require.Contains(t, audited, "HOLDS")

	// The state was kept: the keys are read from the ledger that is brought up again.
	_, code = trailmark(t, "net", "up", "--dir", filepath.Join(dir, "net"))
	require.Equal(t, 0, code)
	defer trailmark(t, "net", "down", "--dir", filepath.Join(dir, "net"))
	trust := filepath.Join(dir, "pinned.json")
	_, code = trailmark(t, "trust", "export", "--net", filepath.Join(dir, "net"), "-o", trust)
	require.Equal(t, 0, code)
	listed, code := trailmark(t, "device", "list", "--net", filepath.Join(dir, "net"))
	require.Equal(t, 0, code)
	require.Equal(t, 7, strings.Count(listed, "\n"), "six sensors and a heading")

	verified, code := trailmark(t, "verify", "--trust", trust, r.Receipt)
	require.Equal(t, 0, code)
	require.Contains(t, verified, "VERIFIED")
	require.Contains(t, verified, *r.AlertID)
	beside, code := trailmark(t, "verify", r.Receipt)
	require.Equal(t, 0, code)
	require.Contains(t, beside, "no --trust was given")

	receipt, err := os.ReadFile(r.Receipt)
	require.NoError(t, err)
	altered := filepath.Join(dir, "altered.receipt")
	for range 12 {
		i := rand.IntN(len(receipt))
		changed := bytes.Clone(receipt)
		changed[i] ^= 1 << rand.IntN(8)
		require.NoError(t, os.WriteFile(altered, changed, 0o600))
		out, code := trailmark(t, "verify", "--trust", trust, altered)
		require.Equal(t, 1, code, "byte %d", i)
		require.Contains(t, out, "broken part:", "byte %d", i)
	}
}

// TestTraceOfMilk replays measured milk: the alert must come before its plate counts cross 6.0 log10, near minute 4000.
func TestTraceOfMilk(t *testing.T) {
	trace, err := filepath.Abs("../../../shared/data/milk/winter-share-table.csv")
	require.NoError(t, err)
	if _, err := os.Stat(trace); err != nil {
		t.Skip("real data are not here: ", err)
	}
	out, code := trailmark(t, "demo", "--until-alert", "--json", "--dir", t.TempDir(), "--trace", trace, "--listen", "127.0.0.1:0")
	require.Equal(t, 0, code)
	r := lastLine(t, out)
	require.NotNil(t, r.AlertID)
	require.NotNil(t, r.TraceMinute)
	require.Less(t, *r.TraceMinute, 4000.0-12*60, "at least twelve hours before the counts cross 6.0")
	t.Logf("alert on the ledger at minute %.0f of the trace", *r.TraceMinute)
}

// TestTraceWithoutAlert: milk kept cold for a day is not predicted to spoil; the command says so and exits with 3.
func TestTraceWithoutAlert(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "cold.csv")
	var csv strings.Builder
	csv.WriteString("minute,temperature\n")
	for minute := range 600 {
		fmt.Fprintf(&csv, "%d,%.1f\n", minute, 2+0.1*float64(minute%5))
	}
	require.NoError(t, os.WriteFile(trace, []byte(csv.String()), 0o600))
	out, code := trailmark(t, "demo", "--until-alert", "--json", "--dir", t.TempDir(), "--trace", trace, "--lead", "10s", "--listen", "127.0.0.1:0")
	require.Equal(t, 3, code)
	require.Nil(t, lastLine(t, out).AlertID)
	require.Contains(t, out, `"alertId":null`)
}

// TestSecondRunContinuesTheLedger: the same folder, the same ledger, new shipments on top.
func TestSecondRunContinuesTheLedger(t *testing.T) {
	dir := t.TempDir()
	height := uint64(0)
	for range 2 {
		_, code := trailmark(t, "demo", "--until-alert", "--json", "--keep", "--dir", dir, "--lead", "40s", "--alert-kind", "excursion-forecast", "--listen", "127.0.0.1:0")
		require.Equal(t, 0, code)
		for _, p := range processes(t) {
			require.NotContains(t, p, dir, "a process was left behind")
		}
		_, code = trailmark(t, "net", "up", "--dir", filepath.Join(dir, "net"))
		require.Equal(t, 0, code)
		contracts, err := node.Dial(filepath.Join(dir, "net"), "regulator", quiet)
		require.NoError(t, err)
		now, err := contracts.Client.Height(t.Context())
		require.NoError(t, err)
		require.Greater(t, now, height+20)
		height = now
		_ = contracts.Client.Close()
		_, code = trailmark(t, "net", "down", "--dir", filepath.Join(dir, "net"))
		require.Equal(t, 0, code)
	}
}

// processes lists the command lines of this machine's processes, but for our own.
func processes(t testing.TB) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && !strings.HasPrefix(file, fmt.Sprintf("/proc/%d/", os.Getpid())) {
			lines = append(lines, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return lines
}

// running is a demonstration that goes on beside the test.
type running struct {
	dir, link string
	output    *transcript
	group     *supervise.Group
}

// transcript collects what a process prints.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.Write(p)
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

var link = regexp.MustCompile(`http://\S+/#token=\S+`)

func startDemo(t *testing.T, args ...string) *running {
	t.Helper()
	d := &running{dir: t.TempDir(), output: &transcript{}}
	d.group = supervise.Open(fabric.ProcessDir(filepath.Join(d.dir, "net")))
	cmd := exec.Command(program, append([]string{"demo", "--dir", d.dir, "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stdout, cmd.Stderr = d.output, d.output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			require.NoError(t, err, "the demonstration must end cleanly on Ctrl-C")
		case <-time.After(40 * time.Second):
			_ = cmd.Process.Kill()
			t.Error("the demonstration did not end on Ctrl-C")
		}
		if t.Failed() {
			t.Log(d.output.String())
		}
	})
	require.Eventually(t, func() bool { d.link = link.FindString(d.output.String()); return d.link != "" }, 2*time.Minute, 200*time.Millisecond, "the demonstration did not start:\n%s", d.output)
	return d
}

// TestPage opens the page in a real browser and sees the alert appear, live.
func TestPage(t *testing.T) {
	if os.Getenv("SKIP_BROWSER") == "1" {
		t.Skip("SKIP_BROWSER=1")
	}
	d := startDemo(t)
	shots, err := filepath.Abs("../../.trailmark/screenshots")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "test/e2e/road.mjs", "--timeout", "180", "--screens", shots)
	cmd.Dir = "../../web"
	cmd.Env = append(os.Environ(), "TRAILMARK_URL="+d.link)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// TestKillAnything kills -9 every process of the demonstration, one after the other, while sensors publish. Each comes back by itself,
// and in the end the ledger holds every frame that was signed, without a gap.
func TestKillAnything(t *testing.T) {
	d := startDemo(t, "--past", "12h", "--lead", "60s")
	processes, err := d.group.Status()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(processes), 11, "an orderer, three peers, three chaincodes, a broker, three nodes")
	for _, p := range processes {
		before, running := d.group.PID(p.Name)
		require.True(t, running, p.Name)
		require.NoError(t, d.group.Signal(p.Name, syscall.SIGKILL))
		require.Eventually(t, func() bool { now, up := d.group.PID(p.Name); return up && now != before }, 20*time.Second, 50*time.Millisecond, "%s did not come back", p.Name)
		time.Sleep(2 * time.Second)
	}
	contracts, err := node.Dial(filepath.Join(d.dir, "net"), "carrier", quiet)
	require.NoError(t, err)
	defer contracts.Client.Close()
	kits, err := filepath.Glob(filepath.Join(d.dir, "devices", "*"))
	require.NoError(t, err)
	require.Len(t, kits, 6)
	for _, folder := range kits {
		kit, err := devices.Load(folder)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			signed, err := kit.Position()
			if err != nil || signed.Sequence == 0 {
				return false
			}
			head, err := contracts.Head(t.Context(), kit.ID, signed.Epoch)
			return err == nil && head.Last+1 >= signed.Sequence && len(head.Gaps) == 0 // the newest may be on its way
		}, 90*time.Second, 500*time.Millisecond, "the ledger lacks frames of %s", kit.ID)
	}
	// And the road still goes all the way: an alert comes.
	require.Eventually(t, func() bool { return strings.Contains(d.output.String(), "  ! ") }, 2*time.Minute, time.Second)
}

// TestAPIRefusesStrangers: no token, no answer.
func TestAPIRefusesStrangers(t *testing.T) {
	d := startDemo(t, "--lead", "300s")
	base, _, _ := strings.Cut(d.link, "/#")
	for path, want := range map[string]int{"/api/v1/status": 401, "/api/v1/shipments": 401, "/api/v1/stream": 401, "/healthz": 200, "/readyz": 200, "/": 200} {
		response, err := http.Get(base + path)
		require.NoError(t, err)
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		require.Equal(t, want, response.StatusCode, "%s: %s", path, body)
	}
}
