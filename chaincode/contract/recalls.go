package contract

import (
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

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
