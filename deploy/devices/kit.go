// Package devices makes and keeps what a sensor needs: its signing key, the MQTT certificate that its organisation's authority
// issues for it, and how far its frames have come. One folder a device; private keys are readable by their owner only.
// Of ours it imports chaincode/provenance and chaincode/evidence.
package devices

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Authority issues MQTT certificates for an organisation's devices.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// LoadAuthority reads an authority from PEM files.
func LoadAuthority(certFile, keyFile string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the organisation's authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the authority's key in %s cannot sign", keyFile)
	}
	return &Authority{pair.Leaf, signer}, nil
}

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
	ID    string `json:"id"`
	Owner string `json:"organisation"`
	Lane  uint32 `json:"lane"`
	Unit  string `json:"unit"`
}

const (
	keyFile         = "key.pem"
	certificateFile = "mqtt.pem"
	identityFile    = "device.json"
	positionFile    = "position.json"
)

// Make creates a device's folder below dir with a new key and a certificate, or returns the kit that stands there already.
func Make(dir, id, owner string, lane uint32, unit string, authority *Authority) (*Kit, error) {
	if err := provenance.CheckIdentifier("device", id); err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, id)
	kit, err := Load(folder)
	if err == nil {
		if kit.Owner != owner || kit.Lane != lane || kit.Unit != unit {
			return nil, provenance.Conflictf("%s holds device %s of %s, lane %d, unit %s", folder, id, kit.Owner, kit.Lane, kit.Unit)
		}
		return kit, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return create(folder, identity{ID: id, Owner: owner, Lane: lane, Unit: unit}, authority)
}

// create writes the identity last: a folder without it is one that a crash left unfinished, and is made anew.
func create(folder string, who identity, authority *Authority) (*Kit, error) {
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
	certificate, err := authority.issue(who, public)
	if err != nil {
		return nil, fmt.Errorf("issuing the MQTT certificate of %s: %w", who.ID, err)
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
		{certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})},
		{identityFile, text},
	} {
		if err := writeFile(filepath.Join(folder, file.name), file.data); err != nil {
			return nil, err
		}
	}
	return &Kit{Dir: folder, ID: who.ID, Owner: who.Owner, Lane: who.Lane, Unit: who.Unit, Signer: private}, nil
}

// issue makes a client certificate: the common name is the device, the organisation its owner.
func (a *Authority) issue(who identity, public ed25519.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: who.ID, Organization: []string{who.Owner}, OrganizationalUnit: []string{"device"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     a.Certificate.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return x509.CreateCertificate(rand.Reader, template, a.Certificate, public, a.Key)
}

// Load reads a device's folder.
func Load(folder string) (*Kit, error) {
	text, err := os.ReadFile(filepath.Join(folder, identityFile))
	if err != nil {
		return nil, err
	}
	var who identity
	if err := json.Unmarshal(text, &who); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(folder, identityFile), err)
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

// Certificate is the device's MQTT credential.
func (k *Kit) Certificate() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(filepath.Join(k.Dir, certificateFile), filepath.Join(k.Dir, keyFile))
}

// Topic is where the device publishes.
func (k *Kit) Topic() string { return fmt.Sprintf("tm/%s/%d/%s", k.Owner, k.Lane, k.ID) }

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
	return writeFile(filepath.Join(k.Dir, positionFile), text)
}

// writeFile replaces a file at once, so that a crash leaves the old or the new one.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
