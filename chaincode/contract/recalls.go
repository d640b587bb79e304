package contract

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// maxFreezeArgument holds MaxFreezeEdges edges.
const maxFreezeArgument = 1 << 20

// recalls calls goods back: who issued them names them, brings what is downstream under the recall edge by edge, and those who hold
// it answer.
type recalls struct{ contractapi.Contract }

func (*recalls) GetEvaluateTransactions() []string { return []string{"Get", "List", "Thing", "Things"} }

// Open begins a recall, or a drill, of lots and items that the caller's organisation issued.
func (*recalls) Open(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.RecallRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("recall", request.ID); err != nil {
		return "", err
	}
	if err := checkText("reason", request.Reason, maxComment, false); err != nil {
		return "", err
	}
	goods, err := goodsOf(request.Goods, provenance.MaxRecalled)
	if err != nil {
		return "", err
	}
	if _, err := tx.registered(tx.organisation); err != nil {
		return "", err
	}
	key := provenance.RecallKey(request.ID)
	recall, err := load[provenance.Recall](tx, key)
	if err != nil {
		return "", err
	}
	if recall != nil {
		if recall.Organisation == tx.organisation && slices.Equal(recall.Goods, goods) && recall.Reason == request.Reason && recall.Drill == request.Drill {
			return reply(recall)
		}
		return "", provenance.Conflictf("recall %s was opened by %s with other content", recall.ID, recall.Organisation)
	}
	recall = &provenance.Recall{ID: request.ID, Organisation: tx.organisation, Goods: goods, Reason: request.Reason, Drill: request.Drill, Opened: tx.now}
	g := newGround(tx)
	if err := g.prefetch(goods); err != nil {
		return "", err
	}
	d := g.draft(nil)
	for _, id := range goods {
		item, err := d.knownGoods(id)
		if err != nil {
			return "", err
		}
		if err := tx.mayRecall(item); err != nil {
			return "", err
		}
		if err := d.bringUnder(recall, &provenance.Recalled{ID: id}); err != nil {
			return "", err
		}
	}
	d.keep()
	if err := g.write(); err != nil {
		return "", err
	}
	if err := tx.put(key, recall); err != nil {
		return "", err
	}
	return reply(recall)
}

// mayRecall refuses goods of another: whose company prefix they have, or else who brought them to the ledger, recalls them.
func (tx *transaction) mayRecall(item *provenance.Item) error {
	issuer := item.Issuer
	if known, ok := epcis.Identify(item.ID); ok {
		_, licensee, err := tx.licensee(known, tx.now)
		if err != nil {
			return err
		}
		if licensee != "" {
			issuer = licensee
		}
	}
	if issuer != tx.organisation {
		return provenance.Forbiddenf("%s was issued by %s, who alone recalls it", item.ID, issuer)
	}
	return nil
}

// bringUnder enters a thing, asks who holds it, and freezes it unless the recall is a drill.
func (d *draft) bringUnder(recall *provenance.Recall, thing *provenance.Recalled) error {
	thing.Recall, thing.Added, thing.Asked, thing.Answers = recall.ID, d.tx.now, []string{}, []provenance.RecallAnswer{}
	item, err := d.item(thing.ID)
	if err != nil {
		return err
	}
	if item != nil { // else it is a transformation
		if thing.Asked, err = d.holders(item); err != nil {
			return err
		}
		if !recall.Drill && item.Freeze == nil {
			d.mine(item).Freeze = &provenance.Freeze{Recall: recall.ID, Organisation: recall.Organisation, Since: d.tx.now}
		}
	}
	return d.tx.put(provenance.RecalledKey(recall.ID, thing.ID), thing)
}

// holders are who can say what became of a thing, or of their parts of a lot.
func (d *draft) holders(item *provenance.Item) ([]string, error) {
	if item.Lot {
		return item.Holders, nil
	}
	_, holder, err := d.holder(item)
	return []string{holder}, err
}

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

// Answer says what became of things that the caller's organisation holds.
func (*recalls) Answer(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AnswerRequest](argument, maxFreezeArgument)
	if err != nil {
		return "", err
	}
	if !request.Answer.Known() {
		return "", provenance.Invalidf("answer %q is unknown", string(request.Answer))
	}
	if err := checkText("person", request.Person, maxText, false); err != nil {
		return "", err
	}
	if err := checkText("comment", request.Comment, maxComment, true); err != nil {
		return "", err
	}
	goods, err := goodsOf(request.Goods, provenance.MaxAnswers)
	if err != nil {
		return "", err
	}
	recall, err := tx.openRecall(request.Recall)
	if err != nil {
		return "", err
	}
	keys := make([]string, len(goods))
	for i, id := range goods {
		keys[i] = provenance.RecalledKey(recall.ID, id)
	}
	if err := tx.prefetch(keys); err != nil {
		return "", err
	}
	d := newGround(tx).draft(nil)
	if err := d.prefetch(goods); err != nil {
		return "", err
	}
	answer := provenance.RecallAnswer{Organisation: tx.organisation, Answer: request.Answer, Person: request.Person, Comment: request.Comment, Time: tx.now}
	things := make([]*provenance.Recalled, len(goods))
	for i, id := range goods {
		if things[i], err = d.answer(recall, id, answer); err != nil {
			return "", err
		}
	}
	return reply(things)
}

func (d *draft) answer(recall *provenance.Recall, id string, answer provenance.RecallAnswer) (*provenance.Recalled, error) {
	key := provenance.RecalledKey(recall.ID, id)
	thing, err := load[provenance.Recalled](d.tx, key)
	if err != nil {
		return nil, err
	}
	if thing == nil {
		return nil, provenance.NotFoundf("%s is not under recall %s", id, recall.ID)
	}
	item, err := d.knownGoods(id)
	if err != nil {
		return nil, err
	}
	holders, err := d.holders(item)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(holders, answer.Organisation) {
		return nil, provenance.Forbiddenf("%s is not held by %s", id, answer.Organisation)
	}
	switch newest := thing.Newest(answer.Organisation); {
	case newest == answer.Answer:
		return thing, nil
	case newest == provenance.AnswerDestroyed:
		return nil, provenance.Conflictf("%s answered that %s is destroyed", answer.Organisation, id)
	case len(thing.Answers) >= provenance.MaxAnswersKept:
		return nil, provenance.Conflictf("%d answers were given about %s, no more are allowed", len(thing.Answers), id)
	}
	thing.Answers = append(thing.Answers, answer)
	return thing, d.tx.put(key, thing)
}

// Close ends the recall, and records how effective it was.
func (*recalls) Close(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.CloseRecall](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkText("conclusion", request.Conclusion, maxComment, false); err != nil {
		return "", err
	}
	recall, err := tx.recall(request.ID)
	if err != nil {
		return "", err
	}
	switch {
	case recall.Organisation != tx.organisation:
		return "", provenance.Forbiddenf("recall %s was opened by %s", recall.ID, recall.Organisation)
	case recall.Closed != 0 && recall.Conclusion == request.Conclusion:
		return reply(recall)
	case recall.Closed != 0:
		return "", closedRecall(recall)
	}
	if recall.Totals, err = tx.recallTotals(recall.ID); err != nil {
		return "", err
	}
	recall.Closed, recall.Conclusion = tx.now, request.Conclusion
	if err := tx.put(provenance.RecallKey(recall.ID), recall); err != nil {
		return "", err
	}
	return reply(recall)
}

func (tx *transaction) recallTotals(recall string) (*provenance.RecallTotals, error) {
	from, to := within(provenance.RecallThings(recall))
	things, err := scan[provenance.Recalled](tx, from, to, provenance.MaxRecallTotals+1)
	if err != nil {
		return nil, err
	}
	totals := &provenance.RecallTotals{Partial: len(things) > provenance.MaxRecallTotals}
	for _, thing := range things[:min(len(things), provenance.MaxRecallTotals)] {
		totals.Count(thing)
	}
	return totals, nil
}

func (tx *transaction) recall(id string) (*provenance.Recall, error) {
	if err := checkIdentifiers("recall", id); err != nil {
		return nil, err
	}
	recall, err := load[provenance.Recall](tx, provenance.RecallKey(id))
	if err == nil && recall == nil {
		err = provenance.NotFoundf("recall %s is not on the ledger", id)
	}
	return recall, err
}

func (tx *transaction) openRecall(id string) (*provenance.Recall, error) {
	recall, err := tx.recall(id)
	if err == nil && recall.Closed != 0 {
		err = closedRecall(recall)
	}
	return recall, err
}

func closedRecall(recall *provenance.Recall) error {
	return provenance.Conflictf("recall %s was closed at %s", recall.ID, recall.Closed)
}

// Get answers with a recall, and with how effective it is by now.
func (*recalls) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	recall, err := tx.recall(request.ID)
	if err != nil {
		return "", err
	}
	if recall.Closed == 0 {
		if recall.Totals, err = tx.recallTotals(recall.ID); err != nil {
			return "", err
		}
	}
	return reply(recall)
}

// List answers with a page of recalls.
func (*recalls) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Recall](tx, provenance.RecallKey(""), argument)
}

// Thing answers with one thing under a recall.
func (*recalls) Thing(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.RecalledName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("recall", request.Recall); err != nil {
		return "", err
	}
	id, err := checkNode(request.ID)
	if err != nil {
		return "", err
	}
	thing, err := load[provenance.Recalled](tx, provenance.RecalledKey(request.Recall, id))
	return found(thing, err, fmt.Sprintf("%s is not under recall %s", id, request.Recall))
}

// Things answers with a page of what is under a recall.
func (*recalls) Things(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.RecalledPage](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("recall", request.Recall); err != nil {
		return "", err
	}
	limit := request.Limit
	if limit == 0 {
		limit = provenance.MaxPage
	}
	if limit > provenance.MaxPage {
		return "", provenance.Invalidf("a page of %d entries, at most %d are allowed", limit, provenance.MaxPage)
	}
	from, to := within(provenance.RecallThings(request.Recall))
	if request.After != "" {
		id, err := checkNode(request.After)
		if err != nil {
			return "", err
		}
		from = provenance.RecalledKey(request.Recall, id) + "\x00"
	}
	things, err := scan[provenance.Recalled](tx, from, to, int(limit))
	if err != nil {
		return "", err
	}
	return reply(things)
}
