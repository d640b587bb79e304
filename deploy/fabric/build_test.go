package fabric

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFailedBuildShowsItsLastWords(t *testing.T) {
	dir := t.TempDir()
	tools := filepath.Join(dir, "tools")
	require.NoError(t, os.MkdirAll(tools, 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "go.mod"), []byte("module github.com/trailmark/trailmark/deploy/fabric/tools\n\ngo 1.26\n\ntool github.com/trailmark/trailmark/deploy/fabric/tools/broken\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "go.sum"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(tools, "broken"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "broken", "main.go"), []byte("package main\n\nfunc main() { undeclared() }\n"), 0o600))
	cfg := Config{Dir: dir, Cache: filepath.Join(dir, "cache"), Tools: tools}
	err := Build(t.Context(), cfg, nil)
	require.ErrorContains(t, err, "building Fabric failed")
	require.ErrorContains(t, err, "undefined: undeclared")
	require.False(t, built(cfg.Cache, ""))
}

func TestBuildWithoutSourceOrCacheSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	err := Build(t.Context(), Config{Dir: dir, Cache: filepath.Join(dir, "cache"), Tools: dir}, nil)
	require.ErrorContains(t, err, "TRAILMARK_FABRIC_TOOLS")

	require.NoError(t, writeJSON(filepath.Join(dir, "cache", "built.json"), stamp{Fabric: Version, Pins: "x"}))
	require.NoError(t, Build(t.Context(), Config{Dir: dir, Cache: filepath.Join(dir, "cache"), Tools: dir}, nil), "a cache of this version will do")
}

func TestOtherPinsAreBuiltAnew(t *testing.T) {
	cache := t.TempDir()
	require.False(t, built(cache, "a"))
	require.NoError(t, writeJSON(filepath.Join(cache, "built.json"), stamp{Fabric: Version, Pins: "a"}))
	require.True(t, built(cache, "a"))
	require.False(t, built(cache, "b"))
	require.NoError(t, writeJSON(filepath.Join(cache, "built.json"), stamp{Fabric: "2.5.0", Pins: "a"}))
	require.False(t, built(cache, "a"))
}

func TestToolsModulePinsThisVersion(t *testing.T) {
	tools, err := findTools("")
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(tools, "go.mod"))
	require.NoError(t, err)
	// The commit of the release, by which the module proxy knows it.
	require.Contains(t, string(raw), fabricModule+" v1.4.0-rc1.0.20250510200036-435a7f1a780a")
	for _, name := range programs {
		require.Contains(t, string(raw), fabricModule+"/cmd/"+name+"\n")
	}
}

func TestOneLineOfTheSampleConfigurationChanges(t *testing.T) {
	got, err := withoutContainers([]byte("vm:\n  endpoint: unix:///var/run/docker.sock\nchaincode:\n"))
	require.NoError(t, err)
	require.Equal(t, "vm:\n  endpoint: \"\"\nchaincode:\n", string(got))
	_, err = withoutContainers([]byte("vm:\n"))
	require.ErrorContains(t, err, "core.yaml")
}

func TestTooLittleDiskIsSaid(t *testing.T) {
	require.ErrorContains(t, checkDisk(t.TempDir(), 1<<62), "MiB of disk left")
	require.NoError(t, checkDisk(t.TempDir(), 1))
}

// testAuthority makes a certificate authority the way cryptogen does.
func testAuthority(t *testing.T, dir string) KeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca.carrier.example"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	pair := KeyPair{Cert: filepath.Join(dir, "ca.pem"), Key: filepath.Join(dir, "ca.key")}
	require.NoError(t, os.WriteFile(pair.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(pair.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return pair
}
