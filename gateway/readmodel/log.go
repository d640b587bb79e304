package readmodel

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

var treeRanges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// nodeRow is the key of a perfect subtree's row.
func nodeRow(id compact.NodeID) int64 { return int64(id.Level)<<56 | int64(id.Index) }

// fetchNodes reads nodes in the order asked for.
func fetchNodes(ids []compact.NodeID, query func(query string, args []any, scan func(*sql.Rows) error) error) ([][]byte, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	hashes, at := make([][]byte, len(ids)), map[int64]int{}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i], at[nodeRow(id)] = nodeRow(id), i
	}
	err := query(`SELECT id, hash FROM nodes WHERE id IN (?`+strings.Repeat(",?", len(ids)-1)+`)`, args, func(r *sql.Rows) error {
		var id int64
		var hash []byte
		if err := r.Scan(&id, &hash); err != nil {
			return err
		}
		hashes[at[id]] = hash
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, hash := range hashes {
		if len(hash) != len(provenance.Hash{}) {
			return nil, fmt.Errorf("the log's node %d/%d is missing from the read model; rebuild it", ids[i].Level, ids[i].Index)
		}
	}
	return hashes, nil
}

// treeOf loads the right edge of the tree of a size.
func treeOf(size uint64, query func(query string, args []any, scan func(*sql.Rows) error) error) (*compact.Range, error) {
	hashes, err := fetchNodes(compact.RangeNodes(0, size, nil), query)
	if err != nil {
		return nil, err
	}
	return treeRanges.NewRange(0, size, hashes)
}

func rootOf(r *compact.Range) (provenance.Hash, error) {
	if r.End() == 0 {
		return evidence.Root(nil), nil
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		return provenance.Hash{}, err
	}
	return hashOf(root)
}

func (v view) root(size uint64) (provenance.Hash, error) {
	r, err := treeOf(size, v.rows)
	if err != nil {
		return provenance.Hash{}, err
	}
	return rootOf(r)
}

// checkSize refuses sizes that the log has not reached.
func (v view) checkSize(size uint64) error {
	var have uint64
	if _, err := v.row(`SELECT log_size FROM position WHERE id = 1`, nil, &have); err != nil {
		return err
	}
	if size > have {
		return provenance.NotFoundf("the log holds %d leaves, not yet %d", have, size)
	}
	return nil
}

// LogRoot is the tree head that the log had at a size.
func (s *Store) LogRoot(ctx context.Context, size uint64) (root provenance.Hash, err error) {
	err = s.read(ctx, func(v view) error {
		if err := v.checkSize(size); err != nil {
			return err
		}
		root, err = v.root(size)
		return err
	})
	return root, err
}

// InclusionProof shows that the leaf at an index stands in the tree of a size.
func (s *Store) InclusionProof(ctx context.Context, index, size uint64) (path []provenance.Hash, err error) {
	if index >= size {
		return nil, provenance.Invalidf("leaf %d of a tree of %d leaves", index, size)
	}
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	err = s.read(ctx, func(v view) error {
		path, err = v.proof(nodes, size)
		return err
	})
	return path, err
}

// ConsistencyProof shows that the tree of one size begins with the tree of a smaller one.
func (s *Store) ConsistencyProof(ctx context.Context, from, to uint64) (path []provenance.Hash, err error) {
	if from > to {
		return nil, provenance.Invalidf("no tree of %d leaves grows from one of %d", to, from)
	}
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, err
	}
	err = s.read(ctx, func(v view) error {
		path, err = v.proof(nodes, to)
		return err
	})
	return path, err
}

func (v view) proof(nodes proof.Nodes, size uint64) ([]provenance.Hash, error) {
	if err := v.checkSize(size); err != nil {
		return nil, err
	}
	hashes, err := fetchNodes(nodes.IDs, v.rows)
	if err != nil {
		return nil, err
	}
	hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, err
	}
	path := make([]provenance.Hash, len(hashes))
	for i := range hashes {
		copy(path[i][:], hashes[i])
	}
	return path, nil
}
