package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/gateway/receipt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	start  = provenance.Time(1_790_000_000_000)
	minute = provenance.Time(60_000)
	hour   = 60 * minute
)

// fixedClock is a node's clock that stands still until it is set.
type fixedClock struct {
	mu    sync.Mutex
	now   time.Time
	speed float64
}

func (c *fixedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fixedClock) Simulated() (float64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.speed, 1), c.speed != 0
}

func (c *fixedClock) set(now time.Time, speed float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.speed = now, speed
}

// node is one that runs on a ledger which the test writes.
type node struct {
	t       *testing.T
	chain   *ledgertest.Chain
	store   *readmodel.Store
	project *projector.Projector
	service *api.Service
	handler http.Handler
	clock   *fixedClock
	ending  chan struct{}
}

const (
	officer = "officer-token"
	reader  = "reader-token"
)

func newNode(t *testing.T, change func(*api.Service)) *node {
	t.Helper()
	n := &node{t: t, chain: ledgertest.NewChain(start), clock: &fixedClock{now: start.Time().Add(time.Hour)}, ending: make(chan struct{})}
	dir := t.TempDir()
	people, err := json.Marshal([]api.Person{
		{Name: "Ada Officer", MayAcknowledge: true, MayReplay: true, Token: sha(officer)}, {Name: "Rita Reader", Token: sha(reader)},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "people.json"), people, 0o600))
	tokens, err := api.OpenTokens(dir)
	require.NoError(t, err)
	n.store, err = readmodel.Open(t.Context(), filepath.Join(dir, "model.db"), ledgertest.Channel)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.store.Close()) })
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	registry := prometheus.NewRegistry()
	n.project, err = projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, n.store, n.source(), quiet, registry)
	require.NoError(t, err)
	t.Cleanup(func() { close(n.ending) })
	n.service = &api.Service{
		Organisation: "CarrierMSP", Name: "Carrier", Channel: ledgertest.Channel, Version: "test", Roles: []string{"gateway"}, Quorum: 2,
		Store: n.store, Receipts: receipt.New(n.store, 2), Changes: n.project, Clock: n.clock, Tokens: tokens, Log: quiet, Metrics: registry,
		PeerHeight: func(context.Context) (uint64, error) { return uint64(len(n.chain.Blocks)), nil }, Ending: n.ending,
	}
	if change != nil {
		change(n.service)
	}
	n.handler, err = api.New(n.service)
	require.NoError(t, err)
	return n
}

// source gives out the blocks that the chain has when it is asked.
type source struct{ node *node }

func (n *node) source() projector.Source { return source{n} }

// answer is what a request got.
type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

func (n *node) ask(method, path, token, body string) answer {
	n.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	recorder := httptest.NewRecorder()
	n.handler.ServeHTTP(recorder, request)
	return answer{recorder, n.t}
}

func (n *node) get(path string) answer { return n.ask("GET", "/api/v1"+path, officer, "") }

func as[T any](a answer) (v T) {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, a.Code, a.Body.String())
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), &v))
	return v
}

func (a answer) problem(status int, code api.ProblemCode) api.Problem {
	a.t.Helper()
	require.Equal(a.t, status, a.Code, a.Body.String())
	require.Equal(a.t, "application/problem+json", a.Header().Get("Content-Type"))
	var p api.Problem
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), &p))
	require.Equal(a.t, code, p.Code)
	require.EqualValues(a.t, status, p.Status)
	require.NotEmpty(a.t, p.Title)
	return p
}
