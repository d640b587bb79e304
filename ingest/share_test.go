package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestShare(t *testing.T) {
	all := []uint32{0, 1, 2, 3, 4, 5, 6, 7}
	require.Equal(t, []string{"a", "a", "a"}, share(3, map[string][]uint32{"a": all}))
	require.Equal(t, []string{"a", "", "b"}, share(3, map[string][]uint32{"a": {0}, "b": {2, 99}}))

	count := func(owners []string) map[string]int {
		n := map[string]int{}
		for _, owner := range owners {
			n[owner]++
		}
		return n
	}
	two := share(8, map[string][]uint32{"a": all, "b": all})
	require.Equal(t, map[string]int{"a": 4, "b": 4}, count(two))
	three := share(8, map[string][]uint32{"a": all, "b": all, "c": all})
	for _, n := range count(three) {
		require.LessOrEqual(t, n, 3)
	}
}

func TestShareGivesEveryLaneToOneThatServesIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lanes := rapid.Uint32Range(1, 40).Draw(rt, "lanes")
		serve := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}`), rapid.SliceOfDistinct(rapid.Uint32Range(0, lanes-1), rapid.ID), 1, 6).Draw(rt, "serve")
		owners := share(lanes, serve)
		require.Len(rt, owners, int(lanes))
		require.Equal(rt, owners, share(lanes, serve))
		for lane, owner := range owners {
			served := false
			for _, list := range serve {
				for _, l := range list {
					served = served || l == uint32(lane)
				}
			}
			require.Equal(rt, served, owner != "")
			if served {
				require.Contains(rt, serve[owner], uint32(lane))
			}
		}
	})
}

func TestConfigErrors(t *testing.T) {
	good := func() Config {
		return Config{
			Organisation: "Org", Instance: "one", Dir: t.TempDir(), Lanes: 4, BatchBytes: 64 << 10, MaxInFlight: 1, CommitTimeout: 1,
			SpoolBytes: 1 << 20, SegmentBytes: 1 << 17, LaneHeld: 1 << 20, Heartbeat: 1, Lease: 4,
		}
	}
	cfg := good()
	require.NoError(t, cfg.check())
	require.Equal(t, []uint32{0, 1, 2, 3}, cfg.serves())
	for want, change := range map[string]func(*Config){
		"organisation: an identifier": func(c *Config) { c.Organisation = "" },
		"instance: '/'":               func(c *Config) { c.Instance = "a/b" },
		"folder of the spool":         func(c *Config) { c.Dir = "" },
		"0 lanes":                     func(c *Config) { c.Lanes = 0 },
		"lane 4 to serve":             func(c *Config) { c.Serve = []uint32{4} },
		"batch size":                  func(c *Config) { c.BatchBytes = 1 << 30 },
		"linger":                      func(c *Config) { c.MinLinger = 2 },
		"in flight":                   func(c *Config) { c.MaxInFlight = 0 },
		"room for two":                func(c *Config) { c.SpoolBytes = 1 },
		"memory of a lane":            func(c *Config) { c.LaneHeld = 1 },
		"four heartbeats":             func(c *Config) { c.Lease = 3 },
		"needs its key":               func(c *Config) { c.Cert = "x" },
	} {
		cfg := good()
		change(&cfg)
		require.ErrorContains(t, cfg.check(), want)
	}
}
