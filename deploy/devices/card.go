package devices

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Card is what may be printed on a device.
type Card struct {
	ID, Owner      string
	Lane           uint32
	Topic          string
	CalibrationDue provenance.Time // 0: not known
	Fingerprint    provenance.Hash // of its key
}

// Fingerprint is the SHA-256 of a COSE_Key.
func Fingerprint(key []byte) provenance.Hash { return sha256.Sum256(key) }

// ReadCard reads a device's folder, whether it holds the private key or not.
func ReadCard(folder string) (Card, error) {
	who, err := readIdentity(folder)
	if err != nil {
		return Card{}, err
	}
	path := filepath.Join(folder, certificateFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return Card{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return Card{}, fmt.Errorf("%s: no certificate", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Card{}, fmt.Errorf("%s: %w", path, err)
	}
	key, err := evidence.EncodeKey(certificate.PublicKey)
	if err != nil {
		return Card{}, fmt.Errorf("%s: %w", path, err)
	}
	return Card{
		ID: who.ID, Owner: who.Owner, Lane: who.Lane, Topic: topic(who.Owner, who.Lane, who.ID), CalibrationDue: who.CalibrationDue, Fingerprint: Fingerprint(key),
	}, nil
}

// ReadCards reads the folders of all devices below dir, or of those named, in order.
func ReadCards(dir string, ids []string) ([]Card, error) {
	if ids == nil {
		entries, err := os.ReadDir(dir) // sorted by name
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if _, err := os.Stat(filepath.Join(dir, entry.Name(), identityFile)); entry.IsDir() && err == nil {
				ids = append(ids, entry.Name())
			}
		}
	}
	cards := make([]Card, len(ids))
	for i, id := range ids {
		card, err := ReadCard(filepath.Join(dir, id))
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", id, err)
		}
		cards[i] = card
	}
	return cards, nil
}
