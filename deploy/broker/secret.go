package broker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const secretSize = 32

// Secret makes and checks tokens. A token is the password that goes with [Principal.Username]: "expiry.mac", where expiry is
// in seconds since 1970 (0: never) and mac = HMAC-SHA256 over "trailmark-mqtt-1", user name and expiry. The broker keeps no
// list of them.
type Secret [secretSize]byte

// LoadSecret reads the secret in a file, and makes one if there is none.
func LoadSecret(file string) (*Secret, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return createSecret(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading broker secret: %w", err)
	}
	if len(raw) != secretSize {
		return nil, fmt.Errorf("broker secret %s has %d bytes, want %d", file, len(raw), secretSize)
	}
	return (*Secret)(raw), nil
}

// createSecret links the finished file into place, so that of two processes that start at once one makes it and both use it.
func createSecret(file string) (*Secret, error) {
	var secret Secret
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("making broker secret: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("making folder of broker secret: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".secret-*")
	if err != nil {
		return nil, fmt.Errorf("writing broker secret: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(secret[:])
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return nil, fmt.Errorf("writing broker secret: %w", err)
	}
	switch err := os.Link(temporary.Name(), file); {
	case errors.Is(err, fs.ErrExist):
		return LoadSecret(file)
	case err != nil:
		return nil, fmt.Errorf("placing broker secret: %w", err)
	}
	return &secret, nil
}

// Token makes the password of a principal; the zero time means it does not expire.
func (s *Secret) Token(p Principal, expires time.Time) string {
	var seconds int64
	if !expires.IsZero() {
		seconds = expires.Unix()
	}
	return strconv.FormatInt(seconds, 10) + "." + base64.RawURLEncoding.EncodeToString(s.mac(p.Username(), seconds))
}

func (s *Secret) mac(username string, expires int64) []byte {
	h := hmac.New(sha256.New, s[:])
	fmt.Fprintf(h, "trailmark-mqtt-1\n%s\n%d", username, expires)
	return h.Sum(nil)
}

// check returns who a user name and token speak for, and until when (zero: for ever).
func (s *Secret) check(username, token string, now time.Time) (Principal, time.Time, error) {
	p, err := parseUsername(username)
	if err != nil {
		return p, time.Time{}, err
	}
	expiry, mac, _ := strings.Cut(token, ".")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil {
		return p, time.Time{}, fmt.Errorf("the token of %s is not one", username)
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || !hmac.Equal(given, s.mac(username, seconds)) {
		return p, time.Time{}, fmt.Errorf("the token of %s is not valid", username)
	}
	if seconds == 0 {
		return p, time.Time{}, nil
	}
	until := time.Unix(seconds, 0)
	if !now.Before(until) {
		return p, until, fmt.Errorf("the token of %s expired at %s", username, until.UTC().Format(time.RFC3339))
	}
	return p, until, nil
}
