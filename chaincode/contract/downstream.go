package contract

import (
	"errors"
	"fmt"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// maxFreezeArgument holds MaxFreezeEdges edges.
const maxFreezeArgument = 1 << 20

// Freeze brings a chunk of what is downstream under the recall, after checking that the ledger recorded every edge.
func (*recalls) Freeze(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.FreezeRequest](argument, maxFreezeArgument)
	if err != nil {
		return "", err
	}
	if n := len(request.Edges); n == 0 || n > provenance.MaxFreezeEdges {
		return "", provenance.Invalidf("%d edges, 1 to %d are allowed", n, provenance.MaxFreezeEdges)
	}
	recall, err := tx.openRecall(request.Recall)
	if err != nil {
		return "", err
	}
	if recall.Organisation != tx.organisation {
		return "", provenance.Forbiddenf("recall %s was opened by %s", recall.ID, recall.Organisation)
	}
	g := newGround(tx)
	d := g.draft(nil)
	if err := d.prefetchEdges(recall.ID, request.Edges); err != nil {
		return "", err
	}
	result := provenance.FreezeResult{}
	for i, edge := range request.Edges {
		added, err := d.follow(recall, edge)
		if err != nil {
			return "", inEdge(i, err)
		}
		if added {
			result.Added++
		} else {
			result.Unchanged++
		}
	}
	d.keep()
	if err := g.write(); err != nil {
		return "", err
	}
	return reply(result)
}

func inEdge(i int, err error) error {
	if refusal := new(provenance.Error); errors.As(err, &refusal) {
		return &provenance.Error{Code: refusal.Code, Message: fmt.Sprintf("edge %d: %s", i, refusal.Message)}
	}
	return fmt.Errorf("edge %d: %w", i, err)
}

func (d *draft) prefetchEdges(recall string, edges []provenance.RecallEdge) error {
	keys, goods, seen := []string{}, []string{}, map[string]bool{}
	for i := range edges {
		edge := &edges[i]
		for _, end := range []*string{&edge.From, &edge.To} {
			var err error
			if *end, err = checkNode(*end); err != nil {
				return inEdge(i, err)
			}
			goods = append(goods, *end)
		}
		for _, key := range []string{
			provenance.RecalledKey(recall, edge.From), provenance.RecalledKey(recall, edge.To),
			provenance.LinkKey(edge.From, edge.To), provenance.LinkKey(edge.To, edge.From),
		} {
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	if err := d.tx.prefetch(keys); err != nil {
		return err
	}
	return d.prefetch(goods)
}

// checkNode is checkGoods for what may be a transformation too, whose identifier is longer.
func checkNode(id string) (string, error) {
	if len(id) > provenance.MaxGoodsIdentifier && len(id) <= 2*provenance.MaxGoodsIdentifier && provenance.IsNode(id) {
		return id, nil
	}
	return checkGoods(id)
}

// follow brings the end of an edge under the recall.
func (d *draft) follow(recall *provenance.Recall, edge provenance.RecallEdge) (added bool, err error) {
	from, err := load[provenance.Recalled](d.tx, provenance.RecalledKey(recall.ID, edge.From))
	if err != nil {
		return false, err
	}
	if from == nil {
		return false, provenance.Conflictf("%s is not under recall %s", edge.From, recall.ID)
	}
	link, err := d.edge(from, edge.To)
	if err != nil {
		return false, err
	}
	to, err := load[provenance.Recalled](d.tx, provenance.RecalledKey(recall.ID, edge.To))
	if err != nil || to != nil {
		return false, err
	}
	return true, d.bringUnder(recall, &provenance.Recalled{ID: edge.To, Via: edge.From, Kind: link.Kind, Event: link.Event})
}

// edge finds the link that leads downstream. What is recalled may be in a container, which is held with it; the other contents of
// that container are not recalled. What is in a container that the recall names is.
func (d *draft) edge(from *provenance.Recalled, to string) (*provenance.Link, error) {
	link, err := d.link(from.ID, to)
	if err != nil {
		return nil, err
	}
	if link != nil && (link.Kind != provenance.Contains || from.Via == "" && link.Until == 0) {
		return link, nil
	}
	around, err := d.link(to, from.ID)
	if err != nil {
		return nil, err
	}
	if around != nil && around.Kind == provenance.Contains && around.Until == 0 {
		return around, nil
	}
	return nil, provenance.Conflictf("the ledger records nothing that leads from %s to %s", from.ID, to)
}
