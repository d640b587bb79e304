package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// ConflictError says that a transaction read what another one changed before it was committed: nothing was recorded, and a
// fresh attempt may succeed.
type ConflictError struct{ TransactionID string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("transaction %s met a change that was committed before it; nothing was recorded", e.TransactionID)
}

// InvalidError says that a transaction was put into a block and found invalid: nothing was recorded.
type InvalidError struct {
	TransactionID string
	Code          peer.TxValidationCode
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("transaction %s was found invalid (%s); nothing was recorded", e.TransactionID, e.Code)
}

// UnknownOutcomeError says that a transaction was sent and its block not seen in time: it may yet be committed. Try again only
// what the contract recognises.
type UnknownOutcomeError struct {
	TransactionID string
	Cause         error
}

func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("the outcome of transaction %s is not known: %v", e.TransactionID, e.Cause)
}

func (e *UnknownOutcomeError) Unwrap() error { return e.Cause }

// UnreachableError says that no peer could do what was asked before time ran out: nothing was sent for ordering.
type UnreachableError struct{ Cause error }

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no gateway peer could be used; nothing was recorded: %v", e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// refusal finds what the contract said in an error of a peer, nil where it said nothing.
func refusal(err error) *provenance.Error {
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*gateway.ErrorDetail); ok {
			if found := provenance.ParseError(d.GetMessage()); found != nil {
				return found
			}
		}
	}
	return provenance.ParseError(status.Convert(err).Message())
}

// passing tells whether another peer, or the same one a little later, may well do better.
func passing(err error) bool {
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unavailable, codes.ResourceExhausted:
		return true
	case codes.Aborted, codes.FailedPrecondition: // no chaincode process, no combination of peers
		return refusal(err) == nil
	case codes.Unknown: // what a peer says when too much is asked of it at once
		return strings.Contains(s.Message(), "too many requests") || errors.Is(err, errNoPeer)
	}
	return false
}

// tooLate tells that a peer, or one that it asked in turn, did not answer in time. The peer may notice that a moment before we do.
func tooLate(attempt context.Context, err error) bool {
	return err != nil && (errors.Is(attempt.Err(), context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded)
}

// disagreeing tells that endorsers answered differently, because one had not yet the block that the other had: it passes by itself,
// and is no fault of the peer that was asked.
func disagreeing(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if d, ok := detail.(*gateway.ErrorDetail); ok && strings.Contains(d.GetMessage(), "ProposalResponsePayloads do not match") {
			return true
		}
	}
	return false
}

var errNoPeer = errors.New("every gateway peer failed a moment ago")

// details writes an error with what each peer said, for logs.
func details(err error) string {
	if e := new(client.EndorseError); errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}
