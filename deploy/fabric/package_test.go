package fabric

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminchaincode "github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/stretchr/testify/require"
)

var testTime = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestPackageIsDeterministic(t *testing.T) {
	c := connection{Address: "127.0.0.1:20001", DialTimeout: "10s", TLSRequired: true, ClientAuthRequired: true, ClientKey: "key", ClientCert: "cert", RootCert: "root"}
	first, id, err := packageChaincode("register_carrier", c)
	require.NoError(t, err)
	second, again, err := packageChaincode("register_carrier", c)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, id, again)
	// A change of this value makes every existing network commit a new definition.
	require.Equal(t, "register_carrier:1f81cddf96529e6cba3ea745eb925b07a3cf0cb35c2600a617c995330996d7d5", id)

	c.Address = "127.0.0.1:20002"
	_, other, err := packageChaincode("register_carrier", c)
	require.NoError(t, err)
	require.NotEqual(t, id, other)
	_, _, err = packageChaincode("no such label!", c)
	require.Error(t, err)

	about, code, err := adminchaincode.ParseChaincodePackage(first)
	require.NoError(t, err)
	require.Equal(t, "ccaas", about.Type)
	require.Equal(t, "register_carrier", about.Label)
	require.NotEmpty(t, code)
}

func TestBuilderScripts(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, makeBuilder(dir))
	run := func(script string, args ...string) error {
		return exec.Command(filepath.Join(builderPath(dir), "bin", script), args...).Run()
	}
	write := func(path, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	source, metadata, output, release := filepath.Join(dir, "src"), filepath.Join(dir, "meta"), filepath.Join(dir, "out"), filepath.Join(dir, "release")
	write(filepath.Join(source, "connection.json"), `{"address":"x"}`)
	write(filepath.Join(source, "META-INF", "statedb", "couchdb", "index.json"), `{}`)
	require.NoError(t, os.MkdirAll(output, 0o750))

	about, err := json.Marshal(adminchaincode.Metadata{Type: "ccaas", Label: "l"})
	require.NoError(t, err)
	write(filepath.Join(metadata, "metadata.json"), string(about))
	require.NoError(t, run("detect", source, metadata))
	require.NoError(t, run("build", source, metadata, output))
	require.NoError(t, run("release", output, release))
	require.FileExists(t, filepath.Join(release, "chaincode", "server", "connection.json"))
	require.FileExists(t, filepath.Join(release, "statedb", "couchdb", "index.json"))

	write(filepath.Join(metadata, "metadata.json"), `{"type":"golang","label":"l"}`)
	require.Error(t, run("detect", source, metadata), "not ours to build")
}

func TestIssuedCertificates(t *testing.T) {
	dir := t.TempDir()
	authority := testAuthority(t, dir)
	to := KeyPair{Cert: filepath.Join(dir, "node.pem"), Key: filepath.Join(dir, "node.key")}
	require.NoError(t, issue(authority, to, "node@carrier.example", "client", "localhost", "127.0.0.1"))
	cert, err := readCertificate(to.Cert)
	require.NoError(t, err)
	pool, err := certPool(authority.Cert)
	require.NoError(t, err)
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.NoError(t, err)
	require.NoError(t, cert.VerifyHostname("127.0.0.1"))
	require.Equal(t, []string{"client"}, cert.Subject.OrganizationalUnit)
	key, err := readKey(to.Key)
	require.NoError(t, err)
	require.True(t, key.PublicKey.Equal(cert.PublicKey))
	info, err := os.Stat(to.Key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = readKey(to.Cert)
	require.ErrorContains(t, err, "parsing private key")
	require.Error(t, issue(KeyPair{Cert: to.Cert, Key: "/none"}, to, "x", "client"))
}

func TestMetricIsFoundByNameAndChannel(t *testing.T) {
	text := `# HELP gossip_membership_total_peers_known x
gossip_membership_total_peers_known{channel="other"} 9
gossip_membership_total_peers_known_too{channel="trailmark"} 8
gossip_membership_total_peers_known{a="b",channel="trailmark",c="d"} 2
broken{channel="trailmark"} two
`
	value, found, err := findMetric(strings.NewReader(text), "gossip_membership_total_peers_known", "trailmark")
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 2, value)
	_, found, err = findMetric(strings.NewReader(text), "gossip_membership_total_peers_known", "trail")
	require.NoError(t, err)
	require.False(t, found)
	_, _, err = findMetric(strings.NewReader(text), "broken", "trailmark")
	require.ErrorContains(t, err, "broken")
}

func TestPortsAreKeptDistinctAndHeld(t *testing.T) {
	ports := map[string]int{"a/main": 1234}
	held, err := reserve(ports, []string{"a/main", "b/main", "c/main"}, 0)
	require.NoError(t, err)
	require.Equal(t, 1234, ports["a/main"])
	require.NotEqual(t, ports["b/main"], ports["c/main"])
	for _, name := range []string{"b/main", "c/main"} {
		require.GreaterOrEqual(t, ports[name], lowestPort)
		require.LessOrEqual(t, ports[name], highestPort)
		_, err := listen(ports[name])
		require.Error(t, err, "held until released")
		require.ErrorContains(t, checkFree(ownerOf(name), ports), "taken by another program")
	}
	_, err = reserve(map[string]int{}, []string{"d/main"}, ports["b/main"])
	require.ErrorContains(t, err, "base-port")
	held.release()
	require.NoError(t, checkFree("b", ports))
}
