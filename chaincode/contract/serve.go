package contract

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Config says where the chaincode serves, as a service that peers dial.
type Config struct {
	ID       string `name:"id" env:"CHAINCODE_ID" required:"" help:"Package identifier of the chaincode, label:hash."`
	Address  string `env:"CHAINCODE_SERVER_ADDRESS" required:"" help:"Address to listen on, host:port."`
	Key      string `env:"CHAINCODE_TLS_KEY" type:"path" help:"File with the server's TLS key (PEM)."`
	Cert     string `env:"CHAINCODE_TLS_CERT" type:"path" help:"File with the server's TLS certificate (PEM)."`
	ClientCA string `env:"CHAINCODE_CLIENT_CA_CERT" type:"path" help:"File with the authorities that peers' certificates come from (PEM)."`

	Log *slog.Logger `kong:"-"`
}

// What Fabric's own chaincode server sets.
const (
	maxGRPCMessage    = 100 << 20
	connectionTimeout = 5 * time.Second
	stopTimeout       = 500 * time.Millisecond
)

// Serve runs the chaincode until ctx ends; it then gives calls under way half a second. Peers must show a certificate of
// ClientCA; without TLS it serves on loopback only.
func Serve(ctx context.Context, config Config) error {
	if config.ID == "" {
		return errors.New("serving chaincode: its package identifier is missing (CHAINCODE_ID)")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Address)
	if err != nil {
		return fmt.Errorf("serving chaincode: %w", err)
	}
	return serve(ctx, config, listener)
}

func serve(ctx context.Context, config Config, listener net.Listener) error {
	defer listener.Close()
	chaincode, err := New()
	if err != nil {
		return err
	}
	security, err := config.credentials(listener.Addr())
	if err != nil {
		return fmt.Errorf("serving chaincode: %w", err)
	}
	server := grpc.NewServer(
		security,
		grpc.MaxRecvMsgSize(maxGRPCMessage), grpc.MaxSendMsgSize(maxGRPCMessage),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Minute, PermitWithoutStream: true}),
	)
	peer.RegisterChaincodeServer(server, &shim.ChaincodeServer{CCID: config.ID, CC: guard{chaincode}})
	if config.Log != nil {
		config.Log.InfoContext(ctx, "chaincode is serving", slog.String("id", config.ID), slog.String("address", listener.Addr().String()))
	}
	// A peer's stream lasts as long as the peer, so there is no end to wait for: after a moment it is cut, and the peer dials again.
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(stopTimeout, server.Stop)
		defer timer.Stop()
		server.GracefulStop()
	})
	defer stop()
	if err := server.Serve(listener); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving chaincode: %w", err)
	}
	return nil
}

func (c Config) credentials(address net.Addr) (grpc.ServerOption, error) {
	if c.Key == "" && c.Cert == "" && c.ClientCA == "" {
		if tcp, ok := address.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
			return nil, fmt.Errorf("%s is not loopback, so TLS is needed (CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT, CHAINCODE_CLIENT_CA_CERT)", address)
		}
		return grpc.EmptyServerOption{}, nil
	}
	if c.Key == "" || c.Cert == "" || c.ClientCA == "" {
		return nil, errors.New("TLS needs all of CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT and CHAINCODE_CLIENT_CA_CERT")
	}
	certificate, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("reading TLS certificate: %w", err)
	}
	authorities, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading client authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("reading client authorities: %s holds no certificate", c.ClientCA)
	}
	return grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	})), nil
}
