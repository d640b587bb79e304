package ledger

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/hash"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// gatewayPeer is a peer that transactions may go through.
type gatewayPeer struct {
	name    string
	mspID   string
	gateway *client.Gateway
	network *client.Network
	conn    *grpc.ClientConn

	mu      sync.Mutex
	until   time.Time     // it failed: others are preferred until then
	silence chan struct{} // closed, and replaced, when it was found silent: what streams from it ends
}

// restTime is how long a peer that failed is passed over.
const restTime = 3 * time.Second

func (p *gatewayPeer) failed(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = now.Add(restTime)
}

// hangUp ends the streams from a peer that does not answer: a connection whose other end is gone can look alive for a minute.
func (p *gatewayPeer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.silence)
	p.silence = make(chan struct{})
}

func (p *gatewayPeer) silent() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silence
}

func (p *gatewayPeer) restsUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until
}

// pick gives the first peer that did not fail lately, or the one that failed longest ago.
func (c *Client) pick() *gatewayPeer {
	now := time.Now()
	best := c.peers[0]
	for _, p := range c.peers {
		until := p.restsUntil()
		if !until.After(now) {
			return p
		}
		if until.Before(best.restsUntil()) {
			best = p
		}
	}
	return best
}

// pass notes that a peer failed, so that the next pick is another.
func (c *Client) pass(p *gatewayPeer, doing string, err error) {
	p.failed(time.Now())
	c.metrics.passed.WithLabelValues(p.name).Inc()
	c.log.Warn("passing over gateway peer", slog.String("peer", p.name), slog.String("doing", doing), slog.String("error", details(err)))
}

// connect prepares connections to every peer, in order of preference; they are made when they are first used.
func (c *Client) connect(organisations []organisationProfile, channel string) error {
	id, sign, err := nodeIdentity(&organisations[0])
	if err != nil {
		return err
	}
	for i := range organisations {
		o := &organisations[i]
		pem, err := os.ReadFile(o.TLSCA)
		if err != nil {
			return fmt.Errorf("reading TLS authority of %s: %w", o.Name, err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("TLS authority of %s: no certificate in %s", o.Name, o.TLSCA)
		}
		for _, peer := range o.Peers {
			conn, err := grpc.NewClient(peer.Address,
				grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, peer.ServerName)),
				grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.config.MaxMessage), grpc.MaxCallSendMsgSize(c.config.MaxMessage)),
				grpc.WithConnectParams(grpc.ConnectParams{
					Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
					MinConnectTimeout: 2 * time.Second,
				}),
				// Peers refuse pings that come more often than once a minute.
				grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 61 * time.Second, Timeout: 10 * time.Second}),
			)
			if err != nil {
				return fmt.Errorf("preparing connection to %s: %w", peer.Address, err)
			}
			p := &gatewayPeer{name: peer.Name, mspID: o.MSPID, conn: conn, silence: make(chan struct{})}
			c.peers = append(c.peers, p)
			p.gateway, err = client.Connect(id, client.WithSign(sign), client.WithHash(hash.SHA256), client.WithClientConnection(conn),
				client.WithEvaluateTimeout(c.config.Timeout), client.WithEndorseTimeout(c.config.Timeout), client.WithSubmitTimeout(c.config.Timeout))
			if err != nil {
				return fmt.Errorf("preparing gateway client: %w", err)
			}
			p.network = p.gateway.GetNetwork(channel)
		}
	}
	if len(c.peers) == 0 {
		return errors.New("the connection profile names no peer")
	}
	return nil
}

func nodeIdentity(o *organisationProfile) (*identity.X509Identity, identity.Sign, error) {
	certPEM, err := os.ReadFile(o.Node.Cert)
	if err != nil {
		return nil, nil, fmt.Errorf("reading certificate of %s's node: %w", o.Name, err)
	}
	certificate, err := identity.CertificateFromPEM(certPEM)
	if err != nil {
		return nil, nil, fmt.Errorf("reading certificate of %s's node: %w", o.Name, err)
	}
	id, err := identity.NewX509Identity(o.MSPID, certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("reading certificate of %s's node: %w", o.Name, err)
	}
	keyPEM, err := os.ReadFile(o.Node.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("reading key of %s's node: %w", o.Name, err)
	}
	key, err := identity.PrivateKeyFromPEM(keyPEM)
	if err != nil {
		return nil, nil, fmt.Errorf("reading key of %s's node: %w", o.Name, err)
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		return nil, nil, fmt.Errorf("reading key of %s's node: %w", o.Name, err)
	}
	return id, sign, nil
}
