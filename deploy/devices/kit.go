// Package devices makes and keeps what a sensor needs: its signing key, the MQTT certificate that its organisation's authority
// issues for it, and how far its frames have come. One folder a device; private keys are readable by their owner only.
// Of ours it imports chaincode/provenance, chaincode/evidence and deploy/pki.
package devices

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/pki"
)

// Kit is what one device carries.
type Kit struct {
	Dir    string
	ID     string
	Owner  string // MSP identifier
	Lane   uint32
	Unit   string
	Signer ed25519.PrivateKey
}

// identity is what device.json holds.
type identity struct {
	ID             string          `json:"id"`
	Owner          string          `json:"organisation"`
	Lane           uint32          `json:"lane"`
	Unit           string          `json:"unit"`
	CalibrationDue provenance.Time `json:"calibrationDue,omitempty"` // as it was enrolled
}

const (
	keyFile         = "key.pem"
	certificateFile = "mqtt.pem"
	identityFile    = "device.json"
	positionFile    = "position.json"
)

// Make creates a device's folder below dir with a new key and a certificate, or returns the kit that stands there already.
func Make(dir, id, owner string, lane uint32, unit string, authority *pki.Authority) (*Kit, error) {
	if err := provenance.CheckIdentifier("device", id); err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, id)
	return open(folder, identity{ID: id, Owner: owner, Lane: lane, Unit: unit}, authority)
}

// open returns the kit that stands in a folder if it is the one wanted, or creates it. A key that stands is never replaced; a certificate
// that is missing is issued anew, which is how it is renewed.
func open(folder string, who identity, authority *pki.Authority) (*Kit, error) {
	stands, err := readIdentity(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return create(folder, who, authority)
	}
	if err == nil {
		err = stands.checkIs(who, folder)
	}
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, certificateFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return Load(folder)
	}
	text, err := os.ReadFile(filepath.Join(folder, keyFile))
	if err != nil {
		return nil, fmt.Errorf("loading the key of %s: %w", who.ID, err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("loading the key of %s: no key in %s", who.ID, keyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("loading the key of %s: %w", who.ID, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key of %s is a %T, which cannot sign", who.ID, key)
	}
	certificate, err := authority.Client(signer.Public(), who.ID, who.Owner, "device")
	if err != nil {
		return nil, err
	}
	if err := pki.WriteFile(path, certificate); err != nil {
		return nil, err
	}
	return Load(folder)
}

// checkIs tells how a folder's device differs from the one wanted.
func (i identity) checkIs(wanted identity, folder string) error {
	if i.ID != wanted.ID || i.Owner != wanted.Owner || i.Lane != wanted.Lane || i.Unit != wanted.Unit {
		return provenance.Conflictf("%s holds device %s of %s, lane %d, unit %s", folder, i.ID, i.Owner, i.Lane, i.Unit)
	}
	return nil
}

// create writes the identity last: a folder without it is one that a crash left unfinished, and is made anew.
func create(folder string, who identity, authority *pki.Authority) (*Kit, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	certificate, err := authority.Client(public, who.ID, who.Owner, "device")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(who)
	if err != nil {
		return nil, err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})},
		{certificateFile, certificate},
		{identityFile, text},
	} {
		if err := pki.WriteFile(filepath.Join(folder, file.name), file.data); err != nil {
			return nil, err
		}
	}
	return &Kit{Dir: folder, ID: who.ID, Owner: who.Owner, Lane: who.Lane, Unit: who.Unit, Signer: private}, nil
}

// Load reads a device's folder.
func Load(folder string) (*Kit, error) {
	who, err := readIdentity(folder)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, certificateFile), filepath.Join(folder, keyFile))
	if err != nil {
		return nil, fmt.Errorf("loading the key of %s: %w", who.ID, err)
	}
	private, ok := pair.PrivateKey.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key of %s is a %T, want Ed25519", who.ID, pair.PrivateKey)
	}
	return &Kit{Dir: folder, ID: who.ID, Owner: who.Owner, Lane: who.Lane, Unit: who.Unit, Signer: private}, nil
}

func readIdentity(folder string) (who identity, err error) {
	text, err := os.ReadFile(filepath.Join(folder, identityFile))
	if err != nil {
		return who, err
	}
	if err := json.Unmarshal(text, &who); err != nil {
		return who, fmt.Errorf("reading %s: %w", filepath.Join(folder, identityFile), err)
	}
	return who, nil
}

// Certificate is the device's MQTT credential.
func (k *Kit) Certificate() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(filepath.Join(k.Dir, certificateFile), filepath.Join(k.Dir, keyFile))
}

// Topic is where the device publishes.
func (k *Kit) Topic() string { return topic(k.Owner, k.Lane, k.ID) }

func topic(owner string, lane uint32, id string) string {
	return fmt.Sprintf("tm/%s/%d/%s", owner, lane, id)
}

// Enrolment is what the owner asks the ledger to record of the device.
func (k *Kit) Enrolment(quantity string, lowest, highest provenance.Micro, calibrationDue provenance.Time) (provenance.Enrolment, error) {
	key, err := evidence.EncodeKey(k.Signer.Public())
	return provenance.Enrolment{
		ID: k.ID, Key: key, Quantity: quantity, Unit: k.Unit, Min: lowest, Max: highest, CalibrationDue: calibrationDue, Lane: k.Lane,
	}, err
}

// Position is how far a device's frames have come; a device that forgets it has to start a new epoch.
type Position struct {
	Epoch    uint32 `json:"epoch"`
	Sequence uint64 `json:"sequence"` // of the last frame that was signed
}

// Position reads where the device is; a new one stands before its first frame.
func (k *Kit) Position() (Position, error) {
	p := Position{Epoch: 1}
	text, err := os.ReadFile(filepath.Join(k.Dir, positionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// SavePosition stores where the device is, before the frame with that number leaves it.
func (k *Kit) SavePosition(p Position) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return pki.WriteFile(filepath.Join(k.Dir, positionFile), text)
}
