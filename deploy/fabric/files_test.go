package fabric

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Each folder of testdata is a network: its organisations and settings, and
// every file and environment that is derived from them.
func TestDerivedFiles(t *testing.T) {
	folders, err := filepath.Glob("testdata/networks/*")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			var cfg Config
			require.NoError(t, readJSON(filepath.Join(folder, "config.json"), &cfg))
			cfg.Organisations = ""
			if own := filepath.Join(folder, "organisations.yaml"); fileExists(own) {
				cfg.Organisations = own
			}
			cfg, err := cfg.withDefaults()
			require.NoError(t, err)
			orgs, err := loadOrganisations(cfg.Organisations)
			require.NoError(t, err)
			s, err := newState(cfg, orgs, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
			require.NoError(t, err)
			for i, name := range s.portNames() {
				s.Ports[name] = 21000 + i
			}

			crypto, err := cryptogenConfig(s)
			require.NoError(t, err)
			compareGolden(t, folder, "crypto.yaml", crypto)
			channel, err := configtx(s)
			require.NoError(t, err)
			compareGolden(t, folder, "configtx.yaml", channel)
			profile, err := json.MarshalIndent(s.profile(), "", "  ")
			require.NoError(t, err)
			compareGolden(t, folder, "profile.json", append(profile, '\n'))

			var environments strings.Builder
			for _, o := range s.orderers() {
				writeEnvironment(&environments, o.name, ordererSpec("/net", "/cache", s, o, "warn").Env)
			}
			for _, p := range s.peers() {
				writeEnvironment(&environments, p.name, peerSpec("/net", "/cache", s, p, "warn").Env)
			}
			compareGolden(t, folder, "environments.txt", []byte(environments.String()))
		})
	}
}

func writeEnvironment(out *strings.Builder, name string, env []string) {
	out.WriteString(name + "\n")
	for _, setting := range env {
		if strings.HasPrefix(setting, "CORE_") || strings.HasPrefix(setting, "ORDERER_") || strings.HasPrefix(setting, "FABRIC_") {
			out.WriteString("  " + setting + "\n")
		}
	}
}

func compareGolden(t *testing.T, folder, name string, got []byte) {
	t.Helper()
	path := filepath.Join(folder, name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "%s (go test -update rewrites it)", path)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestProcessesDoNotInheritFabricSettings(t *testing.T) {
	t.Setenv("CORE_PEER_ID", "stray")
	t.Setenv("ORDERER_GENERAL_LISTENPORT", "1")
	for _, setting := range environment(map[string]string{"A": "b"}) {
		require.NotContains(t, setting, "CORE_")
		require.NotContains(t, setting, "ORDERER_")
	}
}

func TestLoadedProfileHasAbsolutePaths(t *testing.T) {
	dir := t.TempDir()
	orgs, err := loadOrganisations("")
	require.NoError(t, err)
	cfg, err := Config{Dir: dir, Cache: dir}.withDefaults()
	require.NoError(t, err)
	s, err := newState(cfg, orgs, time.Now())
	require.NoError(t, err)
	require.NoError(t, writeJSON(filepath.Join(dir, profileFile), s.profile()))
	p, err := LoadProfile(dir)
	require.NoError(t, err)
	for _, path := range p.paths() {
		require.True(t, strings.HasPrefix(*path, dir+"/crypto/"), *path)
	}
	byMSP, err := p.Organisation("CarrierMSP")
	require.NoError(t, err)
	byName, err := p.Organisation("carrier")
	require.NoError(t, err)
	require.Equal(t, byMSP, byName)
	_, err = p.Organisation("nobody")
	require.ErrorContains(t, err, `"nobody"`)
}

func TestNoNetworkIsNotExist(t *testing.T) {
	_, err := LoadProfile(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = ReadStatus(t.Context(), t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, Down(t.Context(), filepath.Join(t.TempDir(), "none")))
}

func TestResetRefusesWhatIsNoNetwork(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	require.NoError(t, os.WriteFile(precious, []byte("x"), 0o600))
	require.ErrorContains(t, Reset(t.Context(), dir), "nothing was removed")
	require.FileExists(t, precious)
}

func TestStateOfAnotherFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeJSON(filepath.Join(dir, stateFile), map[string]any{"format": 99}))
	_, err := loadState(dir)
	require.ErrorContains(t, err, "format 99")
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600))
	_, err = loadState(dir)
	require.ErrorContains(t, err, stateFile)
}
