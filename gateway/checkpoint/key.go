package checkpoint

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// logKey is the key that an organisation signs its log with.
type logKey struct {
	signer   note.Signer
	verifier string // the public half, for the ledger and for trust.json
}

// loadKey reads an organisation's log key from a file, which is made at the first start, for its owner's eyes only.
func loadKey(path, organisation string) (*logKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path, organisation)
	}
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading log key: others may read %s; make it mode 0600", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	private, public, found := strings.Cut(strings.TrimSuffix(string(data), "\n"), "\n")
	if !found {
		return nil, fmt.Errorf("reading log key: %s does not hold two lines", path)
	}
	return parseKey(private, public, organisation)
}

func parseKey(private, public, organisation string) (*logKey, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, errors.New("reading log key: its first line is no private key") // the cause might quote it
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("reading log key: its second line: %w", err)
	}
	if signer.Name() != organisation {
		return nil, fmt.Errorf("reading log key: it is %s's, not %s's", signer.Name(), organisation)
	}
	message := []byte("do the halves belong together?")
	signature, err := signer.Sign(message)
	if err != nil || verifier.Name() != signer.Name() || verifier.KeyHash() != signer.KeyHash() || !verifier.Verify(message, signature) {
		return nil, errors.New("reading log key: private and public half do not belong together")
	}
	return &logKey{signer, public}, nil
}

func createKey(path, organisation string) (*logKey, error) {
	private, public, err := note.GenerateKey(rand.Reader, organisation)
	if err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	// Written in full before it has its name: half a key would lock the organisation out of its own log.
	file, err := os.CreateTemp(filepath.Dir(path), ".log-key-*")
	if err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // it is gone if all went well
	_, err = fmt.Fprintf(file, "%s\n%s\n", private, public)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil { // unlike a rename it fails where another process was faster
		return nil, fmt.Errorf("making log key: %w", err)
	}
	return parseKey(private, public, organisation)
}
