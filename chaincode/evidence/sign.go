package evidence

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// SignFrame makes the message a device publishes: the signed frame followed by its payload.
// The signer's key is Ed25519 or P-256; published is the device's clock now.
func SignFrame(signer crypto.Signer, epoch uint32, sequence uint64, pack *Pack, published provenance.Time) ([]byte, error) {
	payload, err := EncodePayload(pack)
	if err != nil {
		return nil, err
	}
	algorithm := AlgorithmEdDSA
	if _, ok := signer.Public().(ed25519.PublicKey); !ok {
		algorithm = AlgorithmES256
	}
	hash := provenance.Hash(sha256.Sum256(payload))
	protected := appendProtected(algorithm, epoch, sequence, pack, published)
	signature, err := sign(signer, signedBytes(protected, hash))
	if err != nil {
		return nil, fmt.Errorf("signing frame: %w", err)
	}
	frame := assembleFrame(protected, hash, signature)
	if _, err := ParseFrame(frame); err != nil {
		return nil, err
	}
	return append(frame, payload...), nil
}

func appendProtected(algorithm int, epoch uint32, sequence uint64, pack *Pack, published provenance.Time) []byte {
	first, last := pack.Readings[0].Time, pack.Readings[len(pack.Readings)-1].Time
	b := appendHead(make([]byte, 0, 64+len(pack.Device)), majorMap, 5)
	b = appendInteger(appendHead(b, majorUint, headerAlgorithm), int64(algorithm))
	b = appendBytes(appendHead(b, majorUint, headerKeyID), majorBytes, pack.Device)
	b = appendHead(appendHead(b, majorUint, headerPayloadHash), majorNegative, hashSHA256)
	b = appendHead(appendHead(b, majorUint, headerPreimageType), majorUint, contentSenMLCBOR)
	b = appendHead(appendHead(b, majorNegative, headerTrailmark), majorArray, 6)
	b = appendHead(appendHead(b, majorUint, uint64(epoch)), majorUint, sequence)
	b = appendHead(appendHead(b, majorUint, uint64(first)), majorUint, uint64(last-first))
	b = appendInteger(b, int64(published-last))
	return appendHead(b, majorUint, uint64(len(pack.Readings)))
}

func sign(signer crypto.Signer, message []byte) ([]byte, error) {
	switch public := signer.Public().(type) {
	case ed25519.PublicKey:
		return signer.Sign(rand.Reader, message, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, fmt.Errorf("curve %s is not allowed, P-256 is", public.Curve.Params().Name)
		}
		digest := sha256.Sum256(message)
		der, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return rawLowS(der)
	default:
		return nil, fmt.Errorf("a %T cannot sign frames", public)
	}
}

// rawLowS turns an ASN.1 signature into r‖s with s ≤ n/2.
func rawLowS(der []byte) ([]byte, error) {
	var r, s big.Int
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) {
		return nil, fmt.Errorf("the signer returned no ASN.1 signature")
	}
	if n := elliptic.P256().Params().N; s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s.Sub(n, &s)
	}
	raw := make([]byte, signatureSize)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw, nil
}
