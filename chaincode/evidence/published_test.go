package evidence

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// published reads a file of the published test vectors, or skips where they are not.
func published(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skip("published vectors are not here: ", err)
	}
	require.NoError(t, json.Unmarshal(text, v), path)
}

const vectors = "../../../shared/data/crypto/"

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestWycheproof(t *testing.T) {
	for file, key := range map[string]func(pk, wx, wy string) coseKey{
		"wycheproof-ed25519.json": func(pk, _, _ string) coseKey {
			return coseKey{Type: keyTypeOKP, Algorithm: AlgorithmEdDSA, Curve: curveEd25519, X: unhex(t, pk)}
		},
		"wycheproof-ecdsa-p256-sha256-p1363.json": func(_, wx, wy string) coseKey {
			pad := func(s string) []byte { return unhex(t, strings.Repeat("0", 66-len(s))+s)[1:] }
			return coseKey{Type: keyTypeEC2, Algorithm: AlgorithmES256, Curve: curveP256, X: pad(wx), Y: pad(wy)}
		},
	} {
		t.Run(file, func(t *testing.T) {
			var suite struct {
				NumberOfTests int
				TestGroups    []struct {
					PublicKey struct{ Pk, Wx, Wy string }
					Tests     []struct {
						TcID                      int
						Msg, Sig, Result, Comment string
					}
				}
			}
			published(t, vectors+file, &suite)
			seen := 0
			for _, group := range suite.TestGroups {
				public, err := ParseKey(mustMarshal(key(group.PublicKey.Pk, group.PublicKey.Wx, group.PublicKey.Wy)))
				for _, c := range group.Tests {
					valid := err == nil && public.Verify(unhex(t, c.Msg), unhex(t, c.Sig))
					require.Equal(t, c.Result == "valid", valid, "%d %s (%v)", c.TcID, c.Comment, err)
					seen++
				}
			}
			require.Equal(t, suite.NumberOfTests, seen)
		})
	}
}

func TestPublishedInclusionProofs(t *testing.T) {
	files, err := filepath.Glob(vectors + "merkle/inclusion/*/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("published vectors are not here")
	}
	for _, file := range files {
		var c struct {
			LeafIdx, TreeSize uint64
			Root, LeafHash    string
			Proof             []string
			Desc              string
			WantErr           bool
		}
		published(t, file, &c)
		p := Proof{Size: c.TreeSize, Index: c.LeafIdx}
		leaf, ok := hashOf(c.LeafHash)
		root, rootOK := hashOf(c.Root)
		for _, s := range c.Proof {
			h, whole := hashOf(s)
			ok = ok && whole
			p.Path = append(p.Path, h)
		}
		got, err := p.Root(leaf)
		require.Equal(t, !c.WantErr, ok && rootOK && err == nil && got == root, "%s: %s", file, c.Desc)
	}
}

// hashOf is how bytes from outside become a hash: of another length, they do not.
func hashOf(s string) (h provenance.Hash, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return h, err == nil && copy(h[:], b) == len(h) && len(b) == len(h)
}

// TestCoseExamples runs the signatures of the COSE working group's examples through our verification: those with one signer and
// our algorithms verify as published, everything else is refused.
func TestCoseExamples(t *testing.T) {
	files, err := filepath.Glob(vectors + "cose/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("published vectors are not here")
	}
	want := map[string]bool{"eddsa-sig-01": true, "ecdsa-sig-01": true, "sign-pass-01": true, "sign-pass-02": true}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		var c struct {
			Input struct {
				Sign0 *struct {
					Key struct {
						Crv, X, Y string
						XHex      string `json:"x_hex"`
						YHex      string `json:"y_hex"`
					}
					External string
				}
			}
			Output struct{ Cbor string }
		}
		published(t, file, &c)
		verified := false
		if s := c.Input.Sign0; s != nil {
			coordinate := func(inHex, inBase64 string) []byte {
				if inHex != "" {
					return unhex(t, inHex)
				}
				b, err := base64.RawURLEncoding.DecodeString(inBase64)
				require.NoError(t, err)
				return b
			}
			k := coseKey{Type: keyTypeEC2, Algorithm: AlgorithmES256, Curve: curveP256, X: coordinate(s.Key.XHex, s.Key.X), Y: coordinate(s.Key.YHex, s.Key.Y)}
			if s.Key.Crv == "Ed25519" {
				k = coseKey{Type: keyTypeOKP, Algorithm: AlgorithmEdDSA, Curve: curveEd25519, X: k.X}
			}
			verified = s.Key.Crv != "Ed448" && verifyExample(t, unhex(t, c.Output.Cbor), unhex(t, s.External), k)
		}
		require.Equal(t, want[name], verified, name)
	}
}

// verifyExample reads a COSE_Sign1 with the reader of frames, whose header may be any here, and holds its signature against our
// key and our Sig_structure.
func verifyExample(t *testing.T, message, external []byte, k coseKey) bool {
	public, err := ParseKey(mustMarshal(k))
	if err != nil {
		return false
	}
	c := &cursor{data: message}
	c.exactly(majorTag, tagSign1)
	c.exactly(majorArray, 4)
	protected := c.bytes(majorBytes, maxProtected)
	if c.err != nil {
		return false
	}
	var rest []cbor.RawMessage
	if _, err := cbor.UnmarshalFirst(append([]byte{0x83}, c.data...), &rest); err != nil {
		return false
	}
	var header map[int]any
	if len(protected) > 0 && cbor.Unmarshal(protected, &header) != nil {
		return false
	}
	if algorithm, ok := header[headerAlgorithm]; ok && algorithm != int64(public.Algorithm) && algorithm != uint64(public.Algorithm) {
		return false
	}
	if len(header) == 0 {
		protected = nil // an empty map is signed as if it were not there (RFC 9052, 4.4)
	}
	var payload, signature []byte
	require.NoError(t, cbor.Unmarshal(rest[1], &payload))
	require.NoError(t, cbor.Unmarshal(rest[2], &signature))
	signed := appendBytes(appendBytes(appendHead(nil, majorArray, 4), majorText, "Signature1"), majorBytes, protected)
	signed = appendBytes(appendBytes(signed, majorBytes, external), majorBytes, payload)
	return public.Verify(signed, signature)
}
