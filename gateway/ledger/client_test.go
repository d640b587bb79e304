package ledger_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/orderer"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is what the peers of a test share: the chain, and how they misbehave.
type network struct {
	mu       sync.Mutex
	blocks   []*common.Block
	grown    chan struct{}
	refuse   error                 // of endorsement
	code     peer.TxValidationCode // of what is committed
	lose     int                   // accepted transactions that never come into a block
	readOnly bool
	seen     map[string]bool
}

func newNetwork() *network {
	return &network{blocks: []*common.Block{ledgertest.Block(0)}, grown: make(chan struct{}), seen: map[string]bool{}}
}

func (n *network) commit(id string, envelope []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	code := n.code
	if n.seen[id] {
		code = peer.TxValidationCode_DUPLICATE_TXID
	}
	if n.lose > 0 {
		n.lose--
		return
	}
	n.seen[id] = true
	block := ledgertest.Block(uint64(len(n.blocks)))
	block.Data.Data = [][]byte{envelope}
	block.Metadata.Metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] = []byte{byte(code)}
	n.blocks = append(n.blocks, block)
	close(n.grown)
	n.grown = make(chan struct{})
}

// block waits for one.
func (n *network) block(ctx context.Context, number uint64) (*common.Block, error) {
	for {
		n.mu.Lock()
		grown := n.grown
		if number < uint64(len(n.blocks)) {
			defer n.mu.Unlock()
			return n.blocks[number], nil
		}
		n.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fakePeer answers as a peer's gateway and deliver services do.
type fakePeer struct {
	gateway.UnimplementedGatewayServer
	peer.UnimplementedDeliverServer
	*network
	server *grpc.Server
	silent atomic.Bool // it takes requests and never answers
}

// hush blocks as long as the peer is to be silent.
func (p *fakePeer) hush(ctx context.Context) {
	if p.silent.Load() {
		<-ctx.Done()
	}
}

func (p *fakePeer) Evaluate(_ context.Context, r *gateway.EvaluateRequest) (*gateway.EvaluateResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := proto.Marshal(&common.BlockchainInfo{Height: uint64(len(p.blocks))})
	return &gateway.EvaluateResponse{Result: &peer.Response{Status: 200, Payload: info}}, err
}

func (p *fakePeer) Endorse(ctx context.Context, r *gateway.EndorseRequest) (*gateway.EndorseResponse, error) {
	p.hush(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return nil, p.refuse
	}
	writes := []evidence.Write{{Key: "s/x", Value: []byte{1}}}
	if p.readOnly {
		writes = nil
	}
	envelope := new(common.Envelope)
	err := proto.Unmarshal(ledgertest.Envelope(ledgertest.Transaction{ID: r.GetTransactionId(), Function: "f", Writes: writes, NoEvent: p.readOnly}), envelope)
	envelope.Signature = nil
	return &gateway.EndorseResponse{PreparedTransaction: envelope}, err
}

func (p *fakePeer) Submit(ctx context.Context, r *gateway.SubmitRequest) (*gateway.SubmitResponse, error) {
	p.hush(ctx)
	data, err := proto.Marshal(r.GetPreparedTransaction())
	p.commit(r.GetTransactionId(), data)
	return &gateway.SubmitResponse{}, err
}

func startOf(envelope *common.Envelope) (uint64, error) {
	payload, seek := new(common.Payload), new(orderer.SeekInfo)
	err := errors.Join(proto.Unmarshal(envelope.GetPayload(), payload), proto.Unmarshal(payload.GetData(), seek))
	return seek.GetStart().GetSpecified().GetNumber(), err
}

func (p *fakePeer) deliver(ctx context.Context, envelope *common.Envelope, send func(*common.Block) error) error {
	number, err := startOf(envelope)
	for ; err == nil; number++ {
		var block *common.Block
		if block, err = p.block(ctx, number); err == nil {
			p.hush(ctx)
			err = send(block)
		}
	}
	return err
}

func (p *fakePeer) Deliver(s peer.Deliver_DeliverServer) error {
	envelope, err := s.Recv()
	if err != nil {
		return err
	}
	return p.deliver(s.Context(), envelope, func(b *common.Block) error {
		return s.Send(&peer.DeliverResponse{Type: &peer.DeliverResponse_Block{Block: b}})
	})
}

func (p *fakePeer) DeliverFiltered(s peer.Deliver_DeliverFilteredServer) error {
	envelope, err := s.Recv()
	if err != nil {
		return err
	}
	return p.deliver(s.Context(), envelope, func(b *common.Block) error {
		filtered := &peer.FilteredBlock{Number: b.GetHeader().GetNumber(), ChannelId: ledgertest.Channel}
		for i, data := range b.GetData().GetData() {
			e, payload, header := new(common.Envelope), new(common.Payload), new(common.ChannelHeader)
			if err := errors.Join(proto.Unmarshal(data, e), proto.Unmarshal(e.GetPayload(), payload), proto.Unmarshal(payload.GetHeader().GetChannelHeader(), header)); err != nil {
				return err
			}
			code := b.GetMetadata().GetMetadata()[common.BlockMetadataIndex_TRANSACTIONS_FILTER][i]
			filtered.FilteredTransactions = append(filtered.FilteredTransactions, &peer.FilteredTransaction{Txid: header.GetTxId(), TxValidationCode: peer.TxValidationCode(code)})
		}
		return s.Send(&peer.DeliverResponse{Type: &peer.DeliverResponse_FilteredBlock{FilteredBlock: filtered}})
	})
}

// dial starts two peers, the first of the client's own organisation, and a client of both.
func dial(t *testing.T, n *network) (*ledger.Client, []*fakePeer) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"peer.test"},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))

	type object = map[string]any
	var organisations []object
	var peers []*fakePeer
	for _, name := range []string{"Other", "Own"} { // the client puts its own first
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		p := &fakePeer{network: n, server: grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))}
		gateway.RegisterGatewayServer(p.server, p)
		peer.RegisterDeliverServer(p.server, p)
		go func() { _ = p.server.Serve(listener) }()
		t.Cleanup(p.server.Stop)
		peers = append([]*fakePeer{p}, peers...)
		organisations = append(organisations, object{
			"name": name, "mspID": name + "MSP", "tlsCA": "cert.pem", "node": object{"cert": "cert.pem", "key": "key.pem"},
			"peers": []object{{"name": "peer0." + name, "address": listener.Addr().String(), "serverName": "peer.test"}},
		})
	}
	data, err := json.Marshal(object{"channel": ledgertest.Channel, "organisations": organisations})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profile.json"), data, 0o600))
	client, err := ledger.Dial(ledger.Config{Profile: filepath.Join(dir, "profile.json"), Organisation: "Own", Timeout: 10 * time.Second, Resubmit: 200 * time.Millisecond, Attempt: 500 * time.Millisecond},
		slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	require.Equal(t, "OwnMSP", client.MSPID())
	return client, peers
}

func TestSubmitIsDoneWhenItsBlockSaysSo(t *testing.T) {
	n := newNetwork()
	client, _ := dial(t, n)
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			result, err := client.Submit(context.Background(), "shipments", "Open", []byte("{}"))
			if err != nil || result.Block == 0 || len(result.TransactionID) != 64 {
				t.Errorf("%+v, %v", result, err)
			}
		}()
	}
	all.Wait()
	height, err := client.Height(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 21, height)
}

func TestSubmitTellsOutcomesApart(t *testing.T) {
	n := newNetwork()
	client, _ := dial(t, n)
	submit := func() (ledger.Result, error) { return client.Submit(context.Background(), "shipments", "Open") }

	n.code = peer.TxValidationCode_MVCC_READ_CONFLICT
	_, err := submit()
	conflict := new(ledger.ConflictError)
	require.True(t, errors.As(err, &conflict), "%v", err)

	n.code = peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE
	_, err = submit()
	invalid := new(ledger.InvalidError)
	require.True(t, errors.As(err, &invalid), "%v", err)
	require.Equal(t, n.code, invalid.Code)

	n.code = peer.TxValidationCode_VALID
	refusal, err := status.New(codes.Aborted, "failed to endorse").WithDetails(&gateway.ErrorDetail{Message: "chaincode response 500, conflict: shipment x is closed"})
	require.NoError(t, err)
	n.refuse = refusal.Err()
	_, err = submit()
	refused := new(provenance.Error)
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, provenance.Error{Code: provenance.Conflict, Message: "shipment x is closed"}, *refused)
	n.refuse = nil

	n.readOnly = true
	result, err := submit()
	require.NoError(t, err)
	require.Zero(t, result.Block, "nothing to change, nothing sent")
	n.readOnly = false

	n.lose = 3
	result, err = submit()
	require.NoError(t, err, "what was accepted and lost is sent again")
	require.NotZero(t, result.Block)

	n.lose = 1 << 20
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err = client.Submit(ctx, "shipments", "Open")
	unknown := new(ledger.UnknownOutcomeError)
	require.True(t, errors.As(err, &unknown), "%v", err)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, unknown.TransactionID, 64)
}

// A peer whose network is gone does not refuse: it says nothing.
func TestSilentPeerIsLeft(t *testing.T) {
	client, peers := dial(t, newNetwork())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := client.Submit(ctx, "shipments", "Open")
	require.NoError(t, err)
	received := make(chan uint64, 100)
	var streaming sync.WaitGroup
	defer streaming.Wait()
	defer cancel()
	streaming.Go(func() {
		for block := range client.Blocks(ctx, 0) {
			received <- block.GetHeader().GetNumber()
		}
	})
	require.Equal(t, uint64(0), <-received)
	require.Equal(t, uint64(1), <-received)

	peers[0].silent.Store(true)
	begun := time.Now()
	_, err = client.Submit(ctx, "shipments", "Open")
	require.NoError(t, err)
	require.Less(t, time.Since(begun), 5*time.Second)
	select { // streams leave it, too
	case <-received:
	case <-time.After(5 * time.Second):
		require.Fail(t, "the stream of blocks waits for a silent peer")
	}

	// A caller with less patience than one attempt takes finds the other peer at its second call.
	time.Sleep(3100 * time.Millisecond) // until the first one is preferred again
	hasty, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	_, err = client.Submit(hasty, "shipments", "Open")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	begun = time.Now()
	_, err = client.Submit(ctx, "shipments", "Open")
	require.NoError(t, err)
	require.Less(t, time.Since(begun), 400*time.Millisecond, "not the silent one again")
}

func TestAnotherPeerTakesOver(t *testing.T) {
	n := newNetwork()
	client, peers := dial(t, n)
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan uint64, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for block := range client.Blocks(ctx, 0) {
			received <- block.GetHeader().GetNumber()
		}
	}()
	for i := range 10 {
		if i == 5 {
			peers[0].server.Stop() // the client's own, in the middle of everything
		}
		_, err := client.Submit(ctx, "shipments", "Open")
		require.NoError(t, err)
	}
	for want := range uint64(11) {
		require.Equal(t, want, <-received, "every block once, in order")
	}
	cancel()
	<-done
	peers[1].server.Stop()
	short, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer stop()
	_, err := client.Submit(short, "shipments", "Open")
	unreachable := new(ledger.UnreachableError)
	require.True(t, errors.As(err, &unreachable), "%v", err)
}
