package bench

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/trailmark/trailmark/deploy/fabric"
)

// plainClient is Fabric's own client as an ordinary application uses it: one connection to its organisation's peer.
type plainClient struct {
	conn     *grpc.ClientConn
	gateway  *client.Gateway
	network  *client.Network
	contract *client.Contract // the benchmark's chaincode
}

const maxMessage = 100 << 20

func dialPlain(channel string, o fabric.OrganisationProfile) (*plainClient, error) {
	roots, certificate, key, err := readIdentity(o)
	if err != nil {
		return nil, fmt.Errorf("reading the identity of %s's node: %w", o.Name, err)
	}
	conn, err := grpc.NewClient(o.Peers[0].Address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, o.Peers[0].ServerName)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	id, err := identity.NewX509Identity(o.MSPID, certificate)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	gateway, err := client.Connect(id, client.WithSign(key), client.WithClientConnection(conn), client.WithEndorseTimeout(30*time.Second), client.WithSubmitTimeout(30*time.Second))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	network := gateway.GetNetwork(channel)
	return &plainClient{conn: conn, gateway: gateway, network: network, contract: network.GetContract(chaincodeName)}, nil
}

func readIdentity(o fabric.OrganisationProfile) (roots *x509.CertPool, certificate *x509.Certificate, sign identity.Sign, err error) {
	var files [3][]byte
	for i, name := range []string{o.TLSCA, o.Node.Cert, o.Node.Key} {
		if files[i], err = os.ReadFile(name); err != nil {
			return nil, nil, nil, err
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(files[0])
	if certificate, err = identity.CertificateFromPEM(files[1]); err != nil {
		return nil, nil, nil, err
	}
	key, err := identity.PrivateKeyFromPEM(files[2])
	if err != nil {
		return nil, nil, nil, err
	}
	sign, err = identity.NewPrivateKeySign(key)
	return roots, certificate, sign, err
}

func (p *plainClient) close() error { return errors.Join(p.gateway.Close(), p.conn.Close()) }

// submit has a transaction endorsed, ordered and committed, and waits for the peer's word that it is valid.
func (p *plainClient) submit(ctx context.Context, function string, args ...[]byte) error {
	_, err := p.contract.SubmitWithContext(ctx, function, client.WithBytesArguments(args...))
	return err
}

// loop is what a closed loop of operations came to in its span.
type loop struct {
	inFlight int
	span     time.Duration
	done     int
	latency  []time.Duration
	cpu      map[string]float64
}

func (l loop) rate() float64 { return float64(l.done) / l.span.Seconds() }

// closedLoop keeps a number of operations under way, lets them settle, and counts those that end within the span. op gets a number
// that no other one has. The first failure ends it: what fails now and then is no baseline.
func (r *run) closedLoop(ctx context.Context, inFlight int, settle, span time.Duration, op func(ctx context.Context, n int64) error) (loop, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		number  atomic.Int64
		ending  atomic.Bool
		from    atomic.Int64 // of the span, in ns; 0 before
		to      atomic.Int64 // 0 before its end
		mu      sync.Mutex
		all     []time.Duration
		workers sync.WaitGroup
	)
	for range inFlight {
		workers.Go(func() {
			var mine []time.Duration
			for !ending.Load() && ctx.Err() == nil {
				begun := time.Now()
				if err := op(ctx, number.Add(1)); err != nil {
					stop(err)
					break
				}
				if now := time.Now().UnixNano(); from.Load() != 0 && to.Load() == 0 {
					mine = append(mine, time.Duration(now-begun.UnixNano()))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	result := loop{inFlight: inFlight}
	before, after, err := r.measure(ctx, settle, span, func() { from.Store(time.Now().UnixNano()) }, func() { to.Store(time.Now().UnixNano()) })
	ending.Store(true)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return result, cause
	}
	if err != nil {
		return result, err
	}
	result.span, result.latency, result.done = after.at.Sub(before.at), all, len(all)
	result.cpu, err = before.spent(after)
	return result, err
}

// measure waits settle, then takes the processes' usage before and after a span.
func (r *run) measure(ctx context.Context, settle, span time.Duration, begin, end func()) (before, after usage, err error) {
	if err = sleep(ctx, settle); err != nil {
		return before, after, err
	}
	begin()
	if before, err = takeUsage(r.group); err != nil {
		return before, after, err
	}
	if err = sleep(ctx, span); err != nil {
		return before, after, err
	}
	end()
	after, err = takeUsage(r.group)
	return before, after, err
}

// best tries several numbers in flight and gives the one with the highest rate.
func best(candidates []int, try func(inFlight int) (rate float64, err error)) (inFlight int, tried []Trial, err error) {
	for _, n := range candidates {
		rate, err := try(n)
		if err != nil {
			return 0, tried, fmt.Errorf("with %d in flight: %w", n, err)
		}
		tried = append(tried, Trial{InFlight: n, Rate: rate})
	}
	return slices.MaxFunc(tried, func(a, b Trial) int { return cmp.Compare(a.Rate, b.Rate) }).InFlight, tried, nil
}
