package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Person is whom a token stands for, and what that person may do besides reading.
type Person struct {
	Name           string `json:"name"`
	MayAcknowledge bool   `json:"mayAcknowledge"`
	MayReplay      bool   `json:"mayReplay"`
	Token          string `json:"tokenSha256"` // SHA-256 of the token, hexadecimal: the file gives nobody access
}

// Tokens knows the people who may use the API.
type Tokens struct{ people map[string]Person }

const (
	peopleFile = "people.json" // who, by the hash of their token
	tokenFile  = "token"       // the first person's token, for whoever may read the node's folder
)

// OpenTokens reads people.json in the node's folder. Where there is none, it is made with one person, whose token is put beside it in
// the file "token", readable by the node's own user only.
func OpenTokens(dir string) (*Tokens, error) {
	text, err := os.ReadFile(filepath.Join(dir, peopleFile))
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = makePeople(dir); err != nil {
			return nil, fmt.Errorf("making the first token: %w", err)
		}
	}
	if err != nil {
		return nil, err
	}
	var people []Person
	if err := json.Unmarshal(text, &people); err != nil {
		return nil, fmt.Errorf("reading %s: %w", peopleFile, err)
	}
	t := &Tokens{people: make(map[string]Person, len(people))}
	for _, p := range people {
		if len(p.Token) != 2*sha256.Size || p.Name == "" {
			return nil, fmt.Errorf("reading %s: everybody needs a name and the SHA-256 of a token in hexadecimal", peopleFile)
		}
		t.people[strings.ToLower(p.Token)] = p
	}
	return t, nil
}

func makePeople(dir string) ([]byte, error) {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	text, err := json.MarshalIndent([]Person{{Name: "QA officer", MayAcknowledge: true, MayReplay: true, Token: digest(token)}}, "", "  ")
	if err != nil {
		return nil, err
	}
	// The token first: without people.json it is worth nothing, and both are made anew.
	if err := os.WriteFile(filepath.Join(dir, tokenFile), []byte(token+"\n"), 0o600); err != nil {
		return nil, err
	}
	return text, os.WriteFile(filepath.Join(dir, peopleFile), append(text, '\n'), 0o600)
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

type personKey struct{}

// identify finds whom a request's token stands for. Looking up the hash of a secret gives away nothing by its time.
func (t *Tokens) identify(r *http.Request) (Person, bool) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return Person{}, false
	}
	p, known := t.people[digest(strings.TrimSpace(token))]
	return p, known
}

// authenticated lets only people through.
func (s *Service) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, known := s.Tokens.identify(r)
		if !known {
			s.writeProblem(w, r, &failure{Unauthorised, "The request carries no token that this node knows.", "Open the link that the node or the demonstration printed; it brings the token."})
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, p)))
	})
}

// person is whom the request being handled comes from.
func person(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}
