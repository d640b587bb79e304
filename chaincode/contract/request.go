package contract

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of requests.
const (
	maxArgument      = 64 << 10
	maxEnrolArgument = 1 << 20
	maxText          = 256  // bytes of a name or a place
	maxComment       = 2000 // bytes of a comment or a message
	maxTime          = 1 << 52
)

// decode reads a request: one JSON object with known fields only, and nothing after it.
func decode[T any](argument string, limit int) (*T, error) {
	if len(argument) > limit {
		return nil, provenance.Invalidf("request of %d bytes, at most %d are allowed", len(argument), limit)
	}
	if !strings.HasPrefix(strings.TrimLeft(argument, " \t\r\n"), "{") {
		return nil, provenance.Invalidf("request: want a JSON object")
	}
	request := new(T)
	decoder := json.NewDecoder(strings.NewReader(argument))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		if refusal := new(provenance.Error); errors.As(err, &refusal) {
			return nil, provenance.Invalidf("request: %s", refusal.Message)
		}
		return nil, provenance.Invalidf("request: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, provenance.Invalidf("request: data after the JSON object")
	}
	return request, nil
}

// reply encodes a result.
func reply(result any) (string, error) {
	text, err := json.Marshal(result)
	return string(text), err
}

// found answers with a state, or refuses where there is none.
func found[T any](state *T, err error, what string) (string, error) {
	if err != nil {
		return "", err
	}
	if state == nil {
		return "", provenance.NotFoundf("%s", what)
	}
	return reply(state)
}

func checkTime(what string, t provenance.Time) error {
	if t <= 0 || t > maxTime {
		return provenance.Invalidf("%s: %d is not a time in milliseconds since 1970", what, int64(t))
	}
	return nil
}

// checkText tells whether s is something to show: not blank unless that is allowed, bounded, free of control characters.
func checkText(what, s string, limit int, mayBeBlank bool) error {
	if !mayBeBlank && strings.TrimSpace(s) == "" {
		return provenance.Invalidf("%s is missing", what)
	}
	if len(s) > limit {
		return provenance.Invalidf("%s of %d bytes, at most %d are allowed", what, len(s), limit)
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return provenance.Invalidf("%s holds the control character %U", what, r)
		}
	}
	return nil
}

// checkIdentifiers checks pairs of what and identifier.
func checkIdentifiers(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := provenance.CheckIdentifier(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}
