package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
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

// newAuthority makes a self-signed authority as cryptogen would.
func newAuthority(t *testing.T) (*Authority, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, private := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	pool := x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.True(t, pool.AppendCertsFromPEM(text))
	require.NoError(t, os.WriteFile(cert, text, 0o600))
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	a, err := Load(cert, private)
	require.NoError(t, err)
	return a, pool
}

func TestPairsAreIssuedOnceAndVerify(t *testing.T) {
	a, pool := newAuthority(t)
	dir := t.TempDir()
	server, err := a.ServerPair(dir, "broker", "localhost", "127.0.0.1")
	require.NoError(t, err)
	loaded, err := tls.LoadX509KeyPair(server.Cert, server.Key)
	require.NoError(t, err)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		_, err = loaded.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		require.NoError(t, err)
	}
	client, err := a.ClientPair(dir, "ingest-1", "Carrier", "ingest")
	require.NoError(t, err)
	before, err := os.ReadFile(client.Cert)
	require.NoError(t, err)
	_, err = a.ClientPair(dir, "ingest-1", "Carrier", "ingest")
	require.NoError(t, err)
	after, err := os.ReadFile(client.Cert)
	require.NoError(t, err)
	require.Equal(t, before, after, "a restart keeps the certificate")
	loaded, err = tls.LoadX509KeyPair(client.Cert, client.Key)
	require.NoError(t, err)
	_, err = loaded.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, err)
	require.Equal(t, []string{"ingest"}, loaded.Leaf.Subject.OrganizationalUnit)
	info, err := os.Stat(client.Key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
