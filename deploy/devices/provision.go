package devices

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/pki"
)

// Provision makes a folder below dir for every device of a fleet, unless it stands there, and says what to record on the ledger. A
// device without a key of its own gets one; every device gets an MQTT certificate from its organisation's authority. It can be
// interrupted at any moment and repeated. When it returns, everything is on the disk to stay: a key that the ledger is about to
// learn cannot be lost with the power. Progress is told from several goroutines, one at a time.
func Provision(ctx context.Context, fleet []Entry, dir, owner string, authority *pki.Authority, progress func(done int)) ([]provenance.Enrolment, error) {
	enrolments := make([]provenance.Enrolment, len(fleet))
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	told := make(chan struct{}, 1)
	for i := range fleet {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				enrolments[i], err = fleet[i].provision(dir, owner, authority)
			}
			if err != nil {
				return err
			}
			n := int(done.Add(1))
			if progress != nil {
				told <- struct{}{}
				progress(n)
				<-told
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil && int(done.Load()) < len(fleet) {
		return nil, err
	}
	return enrolments, flush(dir)
}

func (e Entry) provision(dir, owner string, authority *pki.Authority) (provenance.Enrolment, error) {
	if err := provenance.CheckIdentifier("device", e.ID); err != nil {
		return provenance.Enrolment{}, err
	}
	folder := filepath.Join(dir, e.ID)
	wanted := identity{ID: e.ID, Owner: owner, Lane: e.Lane, Unit: e.Unit, CalibrationDue: e.CalibrationDue}
	if stands, err := readIdentity(folder); err == nil && e.DueAssumed && stands.CalibrationDue != 0 {
		e.CalibrationDue = stands.CalibrationDue
	}
	if e.PublicKey != nil {
		return e.enrolment(e.PublicKey), credential(folder, wanted, e.PublicKey, authority)
	}
	kit, err := open(folder, wanted, authority)
	if err != nil {
		return provenance.Enrolment{}, err
	}
	key, err := evidence.EncodeKey(kit.Signer.Public())
	return e.enrolment(key), err
}

// credential issues the MQTT certificate of a device that keeps its own private key, and writes the identity last.
func credential(folder string, who identity, key []byte, authority *pki.Authority) error {
	switch stands, err := readIdentity(folder); {
	case err == nil:
		if err := stands.checkIs(who, folder); err != nil {
			return err
		}
		card, err := ReadCard(folder)
		if err == nil && card.Fingerprint != Fingerprint(key) {
			err = provenance.Conflictf("%s holds a certificate for another key of device %s", folder, who.ID)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		who.CalibrationDue = stands.CalibrationDue // its certificate is to be renewed
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	public, err := publicKey(key)
	if err != nil {
		return err
	}
	certificate, err := authority.Client(public, who.ID, who.Owner, "device")
	if err != nil {
		return err
	}
	text, err := json.Marshal(who)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := pki.WriteFile(filepath.Join(folder, certificateFile), certificate); err != nil {
		return err
	}
	return pki.WriteFile(filepath.Join(folder, identityFile), text)
}

// publicKey turns a COSE_Key, checked by evidence.ParseKey before, into the key that a certificate is issued for.
func publicKey(key []byte) (crypto.PublicKey, error) {
	parsed, err := evidence.ParseKey(key)
	if err != nil {
		return nil, err
	}
	var parts struct {
		Type      int    `cbor:"1,keyasint"`
		Algorithm int    `cbor:"3,keyasint"`
		Curve     int    `cbor:"-1,keyasint"`
		X         []byte `cbor:"-2,keyasint"`
		Y         []byte `cbor:"-3,keyasint,omitempty"`
	}
	if err := evidence.Unmarshal(key, &parts); err != nil {
		return nil, fmt.Errorf("reading COSE key: %w", err)
	}
	if parsed.Algorithm == evidence.AlgorithmEdDSA {
		return ed25519.PublicKey(parts.X), nil
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, parts.X...), parts.Y...))
}
