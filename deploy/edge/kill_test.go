package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// childEnv makes the test binary be an edge, to be killed.
const childEnv = "TRAILMARK_EDGE_TEST_CONFIG"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var config Config
		err := json.Unmarshal([]byte(text), &config)
		if err == nil {
			err = Run(context.Background(), config, slog.New(slog.DiscardHandler))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestKillNineLosesAndDoublesNothing(t *testing.T) {
	w := newWorld(t, units)
	config := w.config(plainMapping)
	text, err := json.Marshal(config)
	require.NoError(t, err)
	start := func() *exec.Cmd {
		child := exec.Command(os.Args[0])
		child.Env, child.Stderr = append(os.Environ(), childEnv+"="+string(text)), os.Stderr
		require.NoError(t, child.Start())
		t.Cleanup(func() { _ = child.Process.Kill() })
		return child
	}
	child := start()
	require.Eventually(t, func() bool { _, err := os.Stat(config.Dir + "/quarantine.ndjson"); return err == nil }, 10*time.Second, 10*time.Millisecond)
	w.listening(config)
	const rounds, each = 5, 200
	base := time.Now().Unix() - 36_000
	sensor, sent := w.sensor(), 0
	for round := range rounds {
		for range each {
			body := fmt.Sprintf(`[{"n":"urn:dev:2:temp","u":"Cel","v":%d,"t":%d}]`, sent%40, base+int64(sent))
			require.NoError(t, await(context.Background(), sensor.Publish("sensors/b/data", 1, false, body)))
			sent++
		}
		if round < rounds-1 {
			require.NoError(t, child.Process.Kill())
			_ = child.Wait()
			child = start()
		}
	}
	distinct := func() map[provenance.Time]provenance.Micro {
		found := map[provenance.Time]provenance.Micro{}
		for _, r := range w.readings("cold-2") {
			found[r.Time] = r.Value
		}
		return found
	}
	require.Eventually(t, func() bool { return len(distinct()) == sent }, 60*time.Second, 50*time.Millisecond)
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	for at, value := range distinct() {
		require.Equal(t, provenance.Micro((at.Time().Unix()-base)%40)*provenance.MicroPerUnit, value)
	}
	// A frame may arrive twice, byte for byte; a number never stands for two frames, and a reading never in two.
	frames, count := map[uint64]string{}, 0
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.frames {
		if before, ok := frames[f.ID.Sequence]; ok {
			require.Equal(t, before, string(f.Raw))
			continue
		}
		frames[f.ID.Sequence] = string(f.Raw)
		count += f.Count
	}
	require.Equal(t, sent, count)
}
