package evidence

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// LeafHash is the RFC 6962 hash of a leaf's bytes.
func LeafHash(leaf []byte) provenance.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return provenance.Hash(h.Sum(nil))
}

// NodeHash is the RFC 6962 hash of an inner node.
func NodeHash(left, right provenance.Hash) provenance.Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// Root is the RFC 6962 tree head over leaf hashes; that of no leaves is the hash of the empty string.
func Root(leaves []provenance.Hash) provenance.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	split := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return NodeHash(Root(leaves[:split]), Root(leaves[split:]))
}

// Proof shows that a leaf stands at an index of a tree of some size.
type Proof struct {
	_     struct{}          `cbor:",toarray"`
	Size  uint64            `json:"size"`
	Index uint64            `json:"index"`
	Path  []provenance.Hash `json:"path"`
}

// Prove makes the proof for one of the leaves.
func Prove(leaves []provenance.Hash, index uint64) (Proof, error) {
	if index >= uint64(len(leaves)) {
		return Proof{}, fmt.Errorf("leaf %d of a tree of %d leaves", index, len(leaves))
	}
	return Proof{Size: uint64(len(leaves)), Index: index, Path: path(leaves, int(index))}, nil
}

func path(leaves []provenance.Hash, index int) []provenance.Hash {
	if len(leaves) <= 1 {
		return []provenance.Hash{}
	}
	split := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if index < split {
		return append(path(leaves[:split], index), Root(leaves[split:]))
	}
	return append(path(leaves[split:], index-split), Root(leaves[:split]))
}

// Root computes the tree head that the proof leads to from a leaf's hash. It refuses a path of the wrong length.
func (p Proof) Root(leaf provenance.Hash) (provenance.Hash, error) {
	path := make([][]byte, len(p.Path))
	for i := range p.Path {
		path[i] = p.Path[i][:]
	}
	root, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, p.Index, p.Size, leaf[:], path)
	if err != nil {
		return provenance.Hash{}, err
	}
	return provenance.Hash(root), nil
}
