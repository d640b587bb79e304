// Package api is a node's HTTP side: the REST API of openapi.yaml (api.gen.go is made from it), its live stream, metrics, health, and the
// page. It answers from the read model; the two things it writes go through functions that the node gives it.
// It may import gateway/…, web, chaincode/provenance and chaincode/evidence.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/gateway/receipt"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml

// Service is what the API stands on. Store, Receipts and Changes are nil on a node without the gateway role, Quarantine on one without
// ingest: the operations that need them are then unavailable.
type Service struct {
	Organisation string // MSP identifier
	Name         string // of the organisation, for people
	Channel      string
	Version      string
	Roles        []string
	Quorum       int

	Store       *readmodel.Store
	Receipts    *receipt.Builder
	Changes     Changes
	Quarantine  Quarantine
	Clock       Clock
	Tokens      *Tokens
	Log         *slog.Logger
	Metrics     prometheus.Gatherer
	Ready       func() (bool, []string)                                                        // nil: always
	Acknowledge func(context.Context, provenance.AcknowledgeRequest) (provenance.Alert, error) // writes to the ledger
	PeerHeight  func(context.Context) (uint64, error)                                          // blocks that the peer has
	Ending      <-chan struct{}                                                                // closed when the node ends: live streams then do; nil: never
}

// Changes tells of what was projected; *projector.Projector does.
type Changes interface {
	Subscribe(ctx context.Context) <-chan readmodel.Change
}

// Clock is the node's clock.
type Clock interface {
	Now() time.Time // that readings carry: simulated where Simulated says so
	// Simulated gives the speed of a clock that is not the machine's; 1 once it has caught up.
	Simulated() (speed float64, simulated bool)
}

// failure is an error with a code of the API that the contracts do not have.
type failure struct {
	code   ProblemCode
	detail string
	next   string
}

func (f *failure) Error() string { return f.detail }

func unavailable(detail, next string) error { return &failure{Unavailable, detail, next} }

var errNoGateway = unavailable("This node does not keep a read model.", "Ask a node with the gateway role.")

// titles and statuses of the problems' codes.
var problems = map[ProblemCode]struct {
	status int
	title  string
}{
	Invalid:      {http.StatusBadRequest, "The request contradicts the rules"},
	Unauthorised: {http.StatusUnauthorized, "A token is needed"},
	Forbidden:    {http.StatusForbidden, "This is not allowed"},
	NotFound:     {http.StatusNotFound, "There is no such thing"},
	Conflict:     {http.StatusConflict, "This contradicts what the ledger holds"},
	Internal:     {http.StatusInternalServerError, "Something is wrong with this node"},
	Unavailable:  {http.StatusServiceUnavailable, "Not available now"},
}

// problemOf maps an error to what the caller may see of it: a refusal in full, anything else only by its place in the log.
func (s *Service) problemOf(r *http.Request, err error) Problem {
	var refused *provenance.Error
	var failed *failure
	var waiting *receipt.NotYetAnchoredError
	code, detail, next := Internal, "The cause is in the node's log.", "Try again; if it stays so, tell whoever runs this node."
	switch {
	case errors.As(err, &failed):
		code, detail, next = failed.code, failed.detail, failed.next
	case errors.As(err, &waiting):
		code, detail, next = Unavailable, waiting.Error(), "It comes by itself within seconds, when enough organisations have signed a checkpoint."
	case errors.As(err, &refused):
		code, detail, next = ProblemCode(refused.Code), refused.Message, ""
	case errors.Is(err, context.Canceled):
		code, detail, next = Unavailable, "The request was ended.", ""
	default:
		s.Log.Error("request failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	p := Problem{Type: "about:blank", Code: code, Status: int32(problems[code].status), Title: problems[code].title, Detail: &detail}
	if next != "" {
		p.Next = &next
	}
	return p
}

func (s *Service) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r, err)
	if p.Code == Unauthorised {
		w.Header().Set("WWW-Authenticate", `Bearer realm="trailmark"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(int(p.Status))
	_ = json.NewEncoder(w).Encode(p) // the caller has gone if this fails
}
