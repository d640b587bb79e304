package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
)

// Client is a connection to one channel's chaincode. It is for concurrent use.
type Client struct {
	config  Config
	channel string
	mspID   string
	peers   []*gatewayPeer // in order of preference
	log     *slog.Logger
	metrics *metrics

	stop    context.CancelFunc
	done    sync.WaitGroup
	follow  sync.Once
	waiting outcomes
}

// Result is a transaction that stands valid on the ledger. Where the contract had nothing to change (what was asked for stands
// already), nothing was sent: the response is there, transaction and block are not.
type Result struct {
	TransactionID string
	Block         uint64
	Response      []byte
}

type metrics struct {
	submitted *prometheus.CounterVec
	seconds   prometheus.Histogram
	passed    *prometheus.CounterVec
	resent    prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		submitted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trailmark_ledger_submitted_total", Help: "Transactions submitted, by outcome."}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trailmark_ledger_submit_seconds", Help: "From proposal to the block, of transactions that became valid.", Buckets: prometheus.ExponentialBuckets(0.02, 2, 12),
		}),
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trailmark_ledger_peer_failures_total", Help: "Times that a gateway peer failed and was passed over."}, []string{"peer"}),
		resent: prometheus.NewCounter(prometheus.CounterOpts{Name: "trailmark_ledger_resent_total", Help: "Transactions sent once more because their block did not come."}),
	}
	for _, c := range []prometheus.Collector{m.submitted, m.seconds, m.passed, m.resent} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// Dial prepares a client; connections are made when they are needed, so the network need not be up.
func Dial(config Config, log *slog.Logger, registerer prometheus.Registerer) (*Client, error) {
	config.setDefaults()
	p, err := loadProfile(config.Profile)
	if err != nil {
		return nil, err
	}
	organisations, err := p.order(config.Organisation)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(registerer)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{config: config, channel: p.Channel, mspID: organisations[0].MSPID, log: log, metrics: m, stop: stop}
	c.waiting = outcomes{ctx: ctx, waiters: map[string]chan outcome{}, ready: make(chan struct{})}
	if err := c.connect(organisations, p.Channel); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Channel is the channel's name.
func (c *Client) Channel() string { return c.channel }

// Chaincode is the chaincode's name.
func (c *Client) Chaincode() string { return c.config.Chaincode }

// MSPID is the organisation that the client acts for.
func (c *Client) MSPID() string { return c.mspID }

// Close ends all streams and connections. Submits that wait end with an unknown outcome.
func (c *Client) Close() error {
	c.stop()
	c.done.Wait()
	var err error
	for _, p := range c.peers {
		if p.gateway != nil {
			err = errors.Join(err, p.gateway.Close())
		}
		err = errors.Join(err, p.conn.Close())
	}
	return err
}

func (c *Client) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.config.Timeout)
}

// retry calls attempt with one peer after the other, until it succeeds, fails for good, or time runs out. A peer that neither answers
// nor refuses the connection (its network is gone, say) is left when its part of the time is over.
func (c *Client) retry(ctx context.Context, doing string, attempt func(ctx context.Context, p *gatewayPeer) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		p := c.pick()
		trying, cancel := context.WithTimeout(ctx, c.config.Attempt)
		err := attempt(trying, p)
		silent := tooLate(trying, err)
		cancel()
		if silent {
			p.hangUp()
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			if silent { // so that the caller's next call does not wait for the same peer
				c.pass(p, doing, err)
			}
			return &UnreachableError{errors.Join(ctx.Err(), err)}
		case !silent && !passing(err):
			if found := refusal(err); found != nil {
				return found
			}
			return fmt.Errorf("%s: %s: %w", doing, details(err), err)
		}
		if !disagreeing(err) {
			c.pass(p, doing, err)
		}
		select {
		case <-ctx.Done():
			return &UnreachableError{errors.Join(ctx.Err(), err)}
		case <-time.After(wait):
		}
	}
}

// Evaluate runs a contract function on one peer without recording anything.
func (c *Client) Evaluate(ctx context.Context, contract, fn string, args ...[]byte) (response []byte, err error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	err = c.retry(ctx, "evaluating "+contract+":"+fn, func(ctx context.Context, p *gatewayPeer) (err error) {
		response, err = p.network.GetContractWithName(c.config.Chaincode, contract).EvaluateWithContext(ctx, fn, client.WithBytesArguments(args...))
		return err
	})
	return response, err
}

// Submit has a transaction endorsed and ordered, and returns when it stands valid in a block. Errors: *provenance.Error (the
// contract's refusal), *ConflictError, *InvalidError, *UnreachableError: nothing was recorded; *UnknownOutcomeError: it may be.
func (c *Client) Submit(ctx context.Context, contract, fn string, args ...[]byte) (result Result, err error) {
	begun := time.Now()
	ctx, cancel := c.limited(ctx)
	defer cancel()
	result, err = c.submit(ctx, contract, fn, args)
	c.metrics.submitted.WithLabelValues(outcomeName(err)).Inc()
	if err == nil {
		c.metrics.seconds.Observe(time.Since(begun).Seconds())
	}
	return result, err
}

func outcomeName(err error) string {
	conflict, invalid, unknown, unreachable := new(ConflictError), new(InvalidError), new(UnknownOutcomeError), new(UnreachableError)
	switch {
	case err == nil:
		return "valid"
	case errors.As(err, &conflict):
		return "conflict"
	case errors.As(err, &invalid):
		return "invalid"
	case errors.As(err, &unknown):
		return "unknown"
	case errors.As(err, &unreachable):
		return "unreachable"
	}
	return "refused"
}

func (c *Client) submit(ctx context.Context, contract, fn string, args [][]byte) (result Result, err error) {
	if err := c.followBlocks(ctx); err != nil {
		return result, err
	}
	doing := "endorsing " + contract + ":" + fn
	var endorsed []byte
	err = c.retry(ctx, doing, func(ctx context.Context, p *gatewayPeer) error {
		proposal, err := p.network.GetContractWithName(c.config.Chaincode, contract).NewProposal(fn, client.WithBytesArguments(args...))
		if err != nil {
			return err
		}
		transaction, err := proposal.EndorseWithContext(ctx)
		if err != nil {
			return err
		}
		result.TransactionID, result.Response = transaction.TransactionID(), transaction.Result()
		endorsed, err = transaction.Bytes()
		return err
	})
	if err != nil {
		return result, err
	}
	if changes, err := changesState(endorsed); err != nil || !changes {
		return Result{Response: result.Response}, err
	}
	committed := c.waiting.register(result.TransactionID)
	defer c.waiting.forget(result.TransactionID)
	done, err := c.order(ctx, result.TransactionID, endorsed, committed)
	if err != nil {
		return result, err
	}
	result.Block = done.block
	switch done.code {
	case peer.TxValidationCode_VALID:
		return result, nil
	case peer.TxValidationCode_MVCC_READ_CONFLICT, peer.TxValidationCode_PHANTOM_READ_CONFLICT:
		return result, &ConflictError{result.TransactionID}
	}
	return result, &InvalidError{result.TransactionID, done.code}
}

// order sends an endorsed transaction until its block comes. Sending the same one again is safe: it is applied once.
func (c *Client) order(ctx context.Context, id string, endorsed []byte, committed <-chan outcome) (outcome, error) {
	begun := time.Now()
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			c.metrics.resent.Inc()
		}
		p := c.pick()
		transaction, err := p.gateway.NewTransaction(endorsed)
		if err != nil {
			return outcome{}, fmt.Errorf("preparing transaction: %w", err)
		}
		wait := c.config.Resubmit
		trying, cancel := context.WithTimeout(ctx, c.config.Attempt)
		_, err = transaction.SubmitWithContext(trying)
		silent := tooLate(trying, err)
		cancel()
		if err != nil {
			if silent {
				p.hangUp()
			}
			if ctx.Err() == nil || silent {
				c.pass(p, "submitting", err)
			}
			wait = min(wait, 250*time.Millisecond<<min(attempt, 5))
		}
		select {
		case done := <-committed:
			return done, nil
		case <-ctx.Done():
			return outcome{}, &UnknownOutcomeError{id, ctx.Err()}
		case <-c.waiting.ctx.Done():
			return outcome{}, &UnknownOutcomeError{id, errors.New("the client was closed")}
		case <-time.After(wait):
		}
		// No block for so long, though a transaction is under way: perhaps there are some, and it is the stream that has ended.
		if time.Since(begun) >= c.config.Resubmit {
			if p := c.waiting.unheard(c.config.Resubmit); p != nil {
				p.hangUp()
			}
		}
	}
}

// Height asks a peer for the number of blocks of the channel.
func (c *Client) Height(ctx context.Context) (height uint64, err error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	err = c.retry(ctx, "asking for the ledger's height", func(ctx context.Context, p *gatewayPeer) error {
		answer, err := p.network.GetContract("qscc").EvaluateWithContext(ctx, "GetChainInfo", client.WithArguments(c.channel))
		if err != nil {
			return err
		}
		info := new(common.BlockchainInfo)
		if err := proto.Unmarshal(answer, info); err != nil {
			return err
		}
		height = info.GetHeight()
		return nil
	})
	return height, err
}
