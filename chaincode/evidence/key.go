package evidence

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
)

// COSE algorithm identifiers that devices may sign with.
const (
	AlgorithmES256 = -7
	AlgorithmEdDSA = -8
)

// PublicKey is a device's verification key.
type PublicKey struct {
	Algorithm int // AlgorithmES256 or AlgorithmEdDSA
	ed25519   ed25519.PublicKey
	ecdsa     *ecdsa.PublicKey
}

// coseKey is a COSE_Key (RFC 9052, 7) of type OKP or EC2, with just the members that a verification key has.
type coseKey struct {
	Type      int    `cbor:"1,keyasint"`
	Algorithm int    `cbor:"3,keyasint"`
	Curve     int    `cbor:"-1,keyasint"`
	X         []byte `cbor:"-2,keyasint"`
	Y         []byte `cbor:"-3,keyasint,omitempty"`
}

const (
	keyTypeOKP   = 1
	keyTypeEC2   = 2
	curveP256    = 1
	curveEd25519 = 6
)

// ParseKey reads a COSE_Key: OKP with Ed25519 for EdDSA, or EC2 with P-256 for ES256. It refuses points that are not on the
// curve, not in their one encoding, or of small order (with such a key everybody's signature could verify).
func ParseKey(key []byte) (*PublicKey, error) {
	var k coseKey
	if err := Unmarshal(key, &k); err != nil {
		return nil, fmt.Errorf("reading COSE key: %w", err)
	}
	switch {
	case k.Type == keyTypeOKP && k.Algorithm == AlgorithmEdDSA && k.Curve == curveEd25519 && k.Y == nil:
		if err := checkEd25519Point(k.X); err != nil {
			return nil, err
		}
		return &PublicKey{Algorithm: AlgorithmEdDSA, ed25519: k.X}, nil
	case k.Type == keyTypeEC2 && k.Algorithm == AlgorithmES256 && k.Curve == curveP256 && len(k.X) == 32 && len(k.Y) == 32:
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, k.X...), k.Y...))
		if err != nil {
			return nil, fmt.Errorf("reading COSE key: %w", err)
		}
		return &PublicKey{Algorithm: AlgorithmES256, ecdsa: public}, nil
	}
	return nil, fmt.Errorf("reading COSE key: type %d with algorithm %d and curve %d is not allowed (Ed25519 with EdDSA, or P-256 with ES256)", k.Type, k.Algorithm, k.Curve)
}

func checkEd25519Point(encoded []byte) error {
	if len(encoded) != ed25519.PublicKeySize {
		return fmt.Errorf("Ed25519 key of %d bytes, want %d", len(encoded), ed25519.PublicKeySize)
	}
	point, err := new(edwards25519.Point).SetBytes(encoded)
	if err != nil {
		return fmt.Errorf("Ed25519 key: %w", err)
	}
	if !bytes.Equal(point.Bytes(), encoded) {
		return errors.New("Ed25519 key is not in its canonical encoding")
	}
	if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("Ed25519 key is a point of small order")
	}
	return nil
}

// EncodeKey writes an ed25519.PublicKey or a P-256 *ecdsa.PublicKey as a COSE_Key.
func EncodeKey(public crypto.PublicKey) ([]byte, error) {
	switch p := public.(type) {
	case ed25519.PublicKey:
		return Marshal(coseKey{Type: keyTypeOKP, Algorithm: AlgorithmEdDSA, Curve: curveEd25519, X: p})
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil || p.Curve != elliptic.P256() {
			return nil, errors.New("an ECDSA key must be on P-256")
		}
		return Marshal(coseKey{Type: keyTypeEC2, Algorithm: AlgorithmES256, Curve: curveP256, X: point[1:33], Y: point[33:]})
	}
	return nil, fmt.Errorf("a %T cannot be a device's key", public)
}

// Verify tells whether signature (64 bytes: R‖S or r‖s) is the key's over message.
func (k *PublicKey) Verify(message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	if k.Algorithm == AlgorithmEdDSA {
		return ed25519.Verify(k.ed25519, message, signature)
	}
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(k.ecdsa, digest[:], r, s)
}

// halfOrder is n/2 for P-256: a signature with a larger s has a twin with a smaller one.
var halfOrder = new(big.Int).Rsh(elliptic.P256().Params().N, 1).FillBytes(make([]byte, 32))

func isLowS(signature []byte) bool { return bytes.Compare(signature[32:], halfOrder) <= 0 }
