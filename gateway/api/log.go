package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

func asRefusal(err error, refused **provenance.Error) bool { return errors.As(err, refused) }

// GetTrust implements getTrust.
func (s *server) GetTrust(ctx context.Context, _ GetTrustRequestObject) (GetTrustResponseObject, error) {
	if s.Receipts == nil {
		return nil, errNoGateway
	}
	text, err := s.Receipts.TrustExport(ctx, 0)
	if err != nil {
		return nil, err
	}
	var trust GetTrust200JSONResponse
	err = json.Unmarshal(text, &trust)
	return trust, err
}

// GetLog implements getLog.
func (s *server) GetLog(ctx context.Context, _ GetLogRequestObject) (GetLogResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	stats, err := s.Store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	answer := GetLog200JSONResponse{
		Origin: evidence.LogOrigin(s.Store.Channel()), Size: int64(stats.LogSize), Root: stats.LogRoot.String(), Quorum: int32(s.Quorum),
		Organisations: []LogOrganisation{}, Contradictions: int32(stats.Contradictions), Anomalies: int32(stats.Anomalies),
	}
	members, err := s.Store.Organisations(ctx)
	if err != nil {
		return nil, err
	}
	var sizes []uint64 // that somebody's newest agreeing checkpoint has
	for _, member := range members {
		newest, err := s.Store.Checkpoints(ctx, readmodel.CheckpointFilter{Paging: readmodel.Paging{Limit: 20}, Organisation: member.ID})
		if err != nil {
			return nil, err
		}
		shown := LogOrganisation{Organisation: n.of(member.ID), Agreement: None}
		if len(newest.Items) > 0 {
			c := checkpointOf(&newest.Items[0], n)
			shown.Checkpoint, shown.Agreement = &c, c.Agreement
		}
		for i := range newest.Items {
			if newest.Items[i].Agreement == readmodel.Agrees {
				sizes = append(sizes, newest.Items[i].Size)
				break
			}
		}
		answer.Organisations = append(answer.Organisations, shown)
	}
	slices.SortFunc(sizes, func(a, b uint64) int { return cmp.Compare(b, a) })
	for _, size := range sizes {
		signed, err := s.Store.Covering(ctx, size)
		if err != nil {
			return nil, err
		}
		if len(signed) >= max(s.Quorum, 1) {
			answer.Agreed = int64(size)
			break
		}
	}
	return answer, nil
}

// ListCheckpoints implements listCheckpoints.
func (s *server) ListCheckpoints(ctx context.Context, r ListCheckpointsRequestObject) (ListCheckpointsResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	filter := readmodel.CheckpointFilter{Paging: readmodel.Paging{After: value(r.Params.After), Limit: limit(r.Params.Limit)}, Organisation: value(r.Params.Organisation)}
	found, err := s.Store.Checkpoints(ctx, filter)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	page := ListCheckpoints200JSONResponse{Items: []Checkpoint{}, Next: textSet(found.Next)}
	for i := range found.Items {
		page.Items = append(page.Items, checkpointOf(&found.Items[i], n))
	}
	if filter.Organisation == "" {
		stats, err := s.Store.Stats(ctx)
		page.Total = int64(stats.Checkpoints)
		return page, err
	}
	page.Total, err = s.totals.of(ctx, s.Store, key("checkpoints", filter.Organisation), found.Next == "" && filter.After == "", len(found.Items), func(p readmodel.Paging) (int, string, error) {
		filter.Paging = p
		found, err := s.Store.Checkpoints(ctx, filter)
		return len(found.Items), found.Next, err
	})
	return page, err
}

// ListContradictions implements listContradictions.
func (s *server) ListContradictions(ctx context.Context, _ ListContradictionsRequestObject) (ListContradictionsResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	found, err := s.Store.Contradictions(ctx)
	if err != nil {
		return nil, err
	}
	list := ListContradictions200JSONResponse{Items: []Contradiction{}}
	for _, c := range found {
		list.Items = append(list.Items, Contradiction{Size: int64(c.Size), Notes: listed(c.Notes), Found: c.Found.Time()})
	}
	return list, nil
}

// ListAnomalies implements listAnomalies.
func (s *server) ListAnomalies(ctx context.Context, r ListAnomaliesRequestObject) (ListAnomaliesResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	found, err := s.Store.Anomalies(ctx, readmodel.Paging{After: value(r.Params.After), Limit: limit(r.Params.Limit)})
	if err != nil {
		return nil, err
	}
	stats, err := s.Store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	page := ListAnomalies200JSONResponse{Items: []Anomaly{}, Next: textSet(found.Next), Total: int64(stats.Anomalies)}
	for _, a := range found.Items {
		page.Items = append(page.Items, Anomaly{Block: int64(a.Block), Transaction: int64(a.Transaction), Kind: a.Kind, Detail: a.Detail, Found: whenSet(a.Found)})
	}
	return page, nil
}

// GetLeaf implements getLeaf.
func (s *server) GetLeaf(ctx context.Context, r GetLeafRequestObject) (GetLeafResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	t, err := s.Store.Transaction(ctx, uint64(r.Leaf))
	if err != nil {
		return nil, err
	}
	return GetLeaf200JSONResponse{
		Index: int64(t.Stamp.Leaf), Hash: evidence.LeafHash(t.LeafData).String(), Block: int64(t.Stamp.Block), Position: int32(t.Stamp.Transaction),
		Transaction: t.Stamp.TransactionID, Digest: t.Digest.String(),
	}, nil
}

// size is the one asked for, or the log's.
func (s *server) size(ctx context.Context, asked *int64) (uint64, error) {
	if asked != nil {
		return uint64(*asked), nil
	}
	position, err := s.Store.Position(ctx)
	return position.LogSize, err
}

// GetInclusionProof implements getInclusionProof.
func (s *server) GetInclusionProof(ctx context.Context, r GetInclusionProofRequestObject) (GetInclusionProofResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	size, err := s.size(ctx, r.Params.Size)
	if err != nil {
		return nil, err
	}
	leaf := uint64(r.Params.Leaf)
	path, err := s.Store.InclusionProof(ctx, leaf, size)
	if err != nil {
		return nil, err
	}
	root, err := s.Store.LogRoot(ctx, size)
	if err != nil {
		return nil, err
	}
	t, err := s.Store.Transaction(ctx, leaf)
	if err != nil {
		return nil, err
	}
	return GetInclusionProof200JSONResponse{Leaf: r.Params.Leaf, LeafHash: evidence.LeafHash(t.LeafData).String(), Size: int64(size), Root: root.String(), Path: hashes(path)}, nil
}

// GetConsistencyProof implements getConsistencyProof.
func (s *server) GetConsistencyProof(ctx context.Context, r GetConsistencyProofRequestObject) (GetConsistencyProofResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	first := uint64(r.Params.First)
	second, err := s.size(ctx, r.Params.Second)
	if err != nil {
		return nil, err
	}
	path, err := s.Store.ConsistencyProof(ctx, first, second)
	if err != nil {
		return nil, err
	}
	firstRoot, err := s.Store.LogRoot(ctx, first)
	if err != nil {
		return nil, err
	}
	secondRoot, err := s.Store.LogRoot(ctx, second)
	return GetConsistencyProof200JSONResponse{First: int64(first), FirstRoot: firstRoot.String(), Second: int64(second), SecondRoot: secondRoot.String(), Path: hashes(path)}, err
}

func hashes(list []provenance.Hash) []Hash {
	texts := make([]Hash, 0, len(list))
	for _, h := range list {
		texts = append(texts, h.String())
	}
	return texts
}
