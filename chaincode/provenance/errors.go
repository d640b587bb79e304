package provenance

import (
	"fmt"
	"strings"
)

// Code says which kind of refusal an error is. The API maps it to an HTTP status; the contract puts it before its
// message, so that it survives the way through Fabric, which carries only text.
type Code string

// The kinds of refusal.
const (
	Invalid   Code = "invalid"   // the request contradicts the rules whatever the ledger says
	NotFound  Code = "not-found" // it names something the ledger does not hold
	Conflict  Code = "conflict"  // it contradicts what the ledger holds
	Forbidden Code = "forbidden" // the caller's organisation or role may not do it
)

// Error is a refusal that a person may read.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Invalidf makes an error with code Invalid.
func Invalidf(format string, args ...any) error { return &Error{Invalid, fmt.Sprintf(format, args...)} }

// NotFoundf makes an error with code NotFound.
func NotFoundf(format string, args ...any) error {
	return &Error{NotFound, fmt.Sprintf(format, args...)}
}

// Conflictf makes an error with code Conflict.
func Conflictf(format string, args ...any) error {
	return &Error{Conflict, fmt.Sprintf(format, args...)}
}

// Forbiddenf makes an error with code Forbidden.
func Forbiddenf(format string, args ...any) error {
	return &Error{Forbidden, fmt.Sprintf(format, args...)}
}

// ParseError finds the refusal in a text that went through Fabric ("chaincode response 500, conflict: …").
// It returns nil where there is none.
func ParseError(text string) *Error {
	var first *Error
	at := len(text)
	for _, code := range []Code{Invalid, NotFound, Conflict, Forbidden} {
		if i := strings.Index(text, string(code)+": "); i >= 0 && i < at {
			first, at = &Error{code, text[i+len(code)+2:]}, i
		}
	}
	return first
}

// Begins tells whether the message begins with one of the words for programs (StaleFence, WrongNumber).
func (e *Error) Begins(word string) bool { return strings.HasPrefix(e.Message, word+":") }
