//go:build e2e

package fabric

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const otherOrganisations = `{"organisations": [
  {"name": "maker", "mspID": "MakerMSP", "endorses": true, "roles": ["manufacturer"]},
  {"name": "carrier", "mspID": "CarrierMSP", "endorses": true, "peers": 2, "domain": "carrier.example"},
  {"name": "watch", "mspID": "WatchMSP", "endorses": false, "roles": ["regulator"]}
]}`

// Three orderers, two peers in one organisation, one that does not endorse, in
// the background, beside another network.
func TestThreeOrderersInTheBackgroundSurviveTheirLeader(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	options := testOptions(t)
	neighbour, err := Up(ctx, testConfig(t), options)
	require.NoError(t, err)
	t.Cleanup(neighbour.Close)

	cfg := testConfig(t)
	cfg.Dir = filepath.Join(t.TempDir(), "net")
	cfg.Orderers = 3
	cfg.Organisations = filepath.Join(t.TempDir(), "organisations.json")
	require.NoError(t, os.WriteFile(cfg.Organisations, []byte(otherOrganisations), 0o600))
	t.Setenv("FABRIC_TEST_ROLE", "supervisor")
	t.Setenv("FABRIC_TEST_DIR", cfg.Dir)
	options.Supervisor = []string{os.Args[0]}
	began := time.Now()
	n, err := Up(ctx, cfg, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, Down(context.Background(), cfg.Dir)) })
	require.False(t, n.Owned())
	require.NoError(t, n.DeployChaincode(ctx, chaincodeOf(t, n, "1")))
	t.Logf("cold start with 3 orderers and 4 peers: %.1f s", time.Since(began).Seconds())
	_, runs := n.Processes().PID(ChaincodeProcess("register", "watch"))
	require.False(t, runs, "who does not endorse runs no chaincode")

	c := newCaller(t, n.Profile(), "watch")
	require.NoError(t, c.put(ctx, "k", "from one who does not endorse"))
	leads, err := n.Leader(ctx)
	require.NoError(t, err)
	require.NoError(t, n.Processes().Pause(ctx, leads))
	died := time.Now()
	require.Eventually(t, func() bool {
		now, err := n.Leader(ctx)
		return err == nil && now != leads
	}, 10*time.Second, 50*time.Millisecond)
	t.Logf("a new leader after %d ms", time.Since(died).Milliseconds())
	require.Eventually(t, func() bool {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.put(attempt, "k", "after the leader") == nil
	}, 20*time.Second, 50*time.Millisecond)
	t.Logf("submitting works after %d ms", time.Since(died).Milliseconds())
	require.NoError(t, n.Processes().Resume(ctx, leads))

	t.Run("a killed supervisor takes the network down, up brings it back", func(t *testing.T) {
		pid := n.Processes().Supervisor()
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			s, err := ReadStatus(ctx, cfg.Dir)
			if err != nil || s.Supervisor != 0 {
				return false
			}
			for _, p := range s.Processes {
				if p.PID != 0 {
					return false
				}
			}
			return true
		}, 5*time.Second, 20*time.Millisecond)
		n.Close() // of a network that is not ours: nothing
		again, err := Up(ctx, cfg, options)
		require.NoError(t, err)
		require.NoError(t, again.DeployChaincode(ctx, chaincodeOf(t, again, "1")))
		require.Equal(t, "after the leader", newCaller(t, again.Profile(), "carrier").get(t, "k"))
		logMemory(t, again)
	})
	t.Run("down stops what runs in the background", func(t *testing.T) {
		require.NoError(t, Down(ctx, cfg.Dir))
		s, err := ReadStatus(ctx, cfg.Dir)
		require.NoError(t, err)
		require.Zero(t, s.Supervisor)
		require.Empty(t, s.Processes)
		_, runs := neighbour.Processes().PID("peer-carrier")
		require.True(t, runs, "the neighbour was left alone")
	})
}

// An Up that is interrupted at any of its steps is finished by the next one.
func TestUpFinishesWhatAnInterruptedUpBegan(t *testing.T) {
	cfg := testConfig(t)
	for stopAt := 1; ; stopAt++ {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		options := testOptions(t)
		report, steps := options.Progress, 0
		options.Progress = func(step string) {
			report(step)
			if steps++; steps == stopAt {
				cancel()
			}
		}
		n, err := Up(ctx, cfg, options)
		cancel()
		if err == nil {
			require.GreaterOrEqual(t, stopAt, 3, "it was interrupted before")
			require.NoError(t, n.DeployChaincode(context.Background(), chaincodeOf(t, n, "1")))
			n.Close()
			return
		}
		require.ErrorIs(t, err, context.Canceled)
		s, err := ReadStatus(context.Background(), cfg.Dir)
		if err == nil {
			require.Zero(t, s.Supervisor, "an interrupted start leaves nothing running")
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := testConfig(t)
	n, err := Up(ctx, cfg, testOptions(t))
	require.NoError(t, err)
	port := n.state.port("peer-carrier", portMain)
	n.Close()
	squatter, err := listen(port)
	require.NoError(t, err)
	defer squatter.Close()
	_, err = Up(ctx, cfg, testOptions(t))
	require.ErrorContains(t, err, "of peer-carrier is taken by another program")
}
