package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
)

// TestServeTalksToPeersItKnows registers with the chaincode as a peer does, over mutual TLS.
func TestServeTalksToPeersItKnows(t *testing.T) {
	dir := t.TempDir()
	authority, authorityKey := selfSigned(t, nil, nil)
	server, serverKey := selfSigned(t, authority, authorityKey)
	client, clientKey := selfSigned(t, authority, authorityKey)
	stranger, strangerKey := selfSigned(t, nil, nil)
	config := Config{ID: "trailmark:1", Key: filepath.Join(dir, "key"), Cert: filepath.Join(dir, "cert"), ClientCA: filepath.Join(dir, "ca")}
	writePEM(t, config.ClientCA, "CERTIFICATE", authority.Raw)
	writePEM(t, config.Cert, "CERTIFICATE", server.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(serverKey)
	require.NoError(t, err)
	writePEM(t, config.Key, "PRIVATE KEY", der)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, config, listener) }()

	connect := func(certificates ...tls.Certificate) (*peer.ChaincodeMessage, error) {
		pool := x509.NewCertPool()
		pool.AddCert(authority)
		connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: pool, Certificates: certificates, ServerName: "localhost", MinVersion: tls.VersionTLS12,
		})))
		require.NoError(t, err)
		t.Cleanup(func() { _ = connection.Close() })
		stream, err := peer.NewChaincodeClient(connection).Connect(t.Context())
		if err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	hello, err := connect(tls.Certificate{Certificate: [][]byte{client.Raw}, PrivateKey: clientKey})
	require.NoError(t, err)
	require.Equal(t, peer.ChaincodeMessage_REGISTER, hello.GetType())
	name := new(peer.ChaincodeID)
	require.NoError(t, proto.Unmarshal(hello.GetPayload(), name))
	require.Equal(t, "trailmark:1", name.GetName())

	_, err = connect(tls.Certificate{Certificate: [][]byte{stranger.Raw}, PrivateKey: strangerKey})
	require.Error(t, err)
	_, err = connect()
	require.Error(t, err)

	cancel()
	select {
	case err := <-served:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("does not stop while a peer is connected")
	}
}

func TestServeRefusesToBeUnsafe(t *testing.T) {
	ctx := t.Context()
	require.ErrorContains(t, Serve(ctx, Config{Address: "127.0.0.1:0"}), "package identifier is missing")
	require.ErrorContains(t, Serve(ctx, Config{ID: "x:1", Address: "0.0.0.0:0"}), "is not loopback, so TLS is needed")
	require.ErrorContains(t, Serve(ctx, Config{ID: "x:1", Address: "127.0.0.1:0", Key: "key"}), "TLS needs all of")
	require.ErrorContains(t, Serve(ctx, Config{ID: "x:1", Address: "127.0.0.1:0", Key: "none", Cert: "none", ClientCA: "none"}), "reading TLS certificate: ")
	require.ErrorContains(t, Serve(ctx, Config{ID: "x:1", Address: "nowhere"}), "serving chaincode: ")
}

func selfSigned(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        parent == nil, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
