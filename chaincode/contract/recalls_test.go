package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// newSpread is a trade where lot A went into a cake, a pallet and a carrier's hands.
func newSpread(t testing.TB) (w *world, node string) {
	w = newTrade(t)
	baking := epcisEvent("TransformationEvent", "", start+minute, fields{"inputQuantityList": quantities(lotA), "outputEPCList": []string{thing(3)}})
	w.report(maker,
		object("ADD", "commissioning", start, thing(1), thing(2)).with("ilmd", fields{"cbvmda:lotNumber": "A1"}),
		object("ADD", "commissioning", start, thing(5)),
		baking, packing("ADD", pallet(1), start+2*minute, thing(1), thing(5)))
	w.handOver("h1", maker, carrier, pallet(1))
	return w, provenance.EventNode(hashOf(t, baking))
}

func edges(pairs ...string) provenance.FreezeRequest {
	request := provenance.FreezeRequest{Recall: "r1"}
	for i := 0; i < len(pairs); i += 2 {
		request.Edges = append(request.Edges, provenance.RecallEdge{From: pairs[i], To: pairs[i+1]})
	}
	return request
}

func (w *world) totals() provenance.RecallTotals {
	w.Helper()
	return *answer[provenance.Recall](w, w.mustKeep(regulator, "recalls:Get", provenance.ByID{ID: "r1"})).Totals
}

func TestARecallFollowsWhatTheLedgerRecorded(t *testing.T) {
	w, node := newSpread(t)
	request := provenance.RecallRequest{ID: "r1", Goods: []string{lotA}, Reason: "glass"}
	w.refused(carrier, "recalls:Open", request, "forbidden: "+lotA+" was issued by ManufacturerMSP, who alone recalls it")
	w.refused(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Goods: []string{lotB}, Reason: "glass"}, "not-found: "+lotB+" is not on the ledger")
	w.refused(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Goods: []string{lotA}}, "invalid: reason is missing")
	w.refused(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Reason: "x"}, "invalid: 0 goods, 1 to 100 are allowed")
	w.must(maker, "recalls:Open", request)
	w.mustKeep(maker, "recalls:Open", request)
	w.refused(carrier, "recalls:Open", request, "conflict: recall r1 was opened by ManufacturerMSP with other content")

	const nothing = "the ledger records nothing that leads from "
	w.refused(carrier, "recalls:Freeze", edges(lotA, thing(1)), "forbidden: recall r1 was opened by ManufacturerMSP")
	w.refused(maker, "recalls:Freeze", edges(), "invalid: 0 edges, 1 to 1000 are allowed")
	w.refused(maker, "recalls:Freeze", edges(lotA, thing(5)), "conflict: edge 0: "+nothing+lotA+" to "+thing(5))
	w.refused(maker, "recalls:Freeze", edges(lotA, thing(1), thing(1), lotA), "conflict: edge 1: "+nothing+thing(1)+" to "+lotA)
	w.refused(maker, "recalls:Freeze", edges(node, thing(3)), "conflict: edge 0: "+node+" is not under recall r1")
	w.refused(maker, "recalls:Freeze", provenance.FreezeRequest{Recall: "r2", Edges: edges(lotA, thing(1)).Edges}, "not-found: recall r2 is not on the ledger")
	result := answer[provenance.FreezeResult](w, w.must(maker, "recalls:Freeze", edges(lotA, thing(1), thing(1), pallet(1), lotA, node, node, thing(3))))
	require.Equal(t, &provenance.FreezeResult{Added: 4}, result)
	w.mustKeep(maker, "recalls:Freeze", edges(lotA, thing(1)))
	w.refused(maker, "recalls:Freeze", edges(pallet(1), thing(5)), "conflict: edge 0: "+nothing+pallet(1)+" to "+thing(5))
	require.Equal(t, []string{carrier}, at[provenance.Recalled](w, provenance.RecalledKey("r1", thing(1))).Asked)
	require.Equal(t, provenance.RecallTotals{Things: 4}, w.totals())

	const frozen = " is frozen by recall r1 of ManufacturerMSP"
	w.contradicts(carrier, object("OBSERVE", "shipping", start+9*minute, pallet(1)), "conflict: "+pallet(1)+frozen)
	w.contradicts(maker, epcisEvent("TransformationEvent", "", start+9*minute, fields{"inputQuantityList": quantities(lotA), "outputEPCList": []string{thing(9)}}), "conflict: "+lotA+frozen)
	w.contradicts(maker, epcisEvent("TransformationEvent", "", start+9*minute, fields{"inputEPCList": []string{thing(3)}, "outputEPCList": []string{thing(9)}}), "conflict: "+thing(3)+frozen)
	w.refused(carrier, "custody:Offer", provenance.OfferRequest{ID: "h2", To: regulator, Goods: []string{pallet(1)}}, "conflict: "+pallet(1)+" is frozen by recall r1; it may only go back to ManufacturerMSP")
	w.report(carrier, object("OBSERVE", "shipping", start+9*minute, pallet(1)).with("disposition", "returned"))

	reply := func(answer provenance.Answer, goods ...string) provenance.AnswerRequest {
		return provenance.AnswerRequest{Recall: "r1", Goods: goods, Answer: answer, Person: "Q"}
	}
	w.refused(maker, "recalls:Answer", reply(provenance.AnswerSold, thing(1)), "forbidden: "+thing(1)+" is not held by ManufacturerMSP")
	w.refused(carrier, "recalls:Answer", reply("eaten", thing(1)), `invalid: answer "eaten" is unknown`)
	w.refused(carrier, "recalls:Answer", reply(provenance.AnswerSold, thing(5)), "not-found: "+thing(5)+" is not under recall r1")
	w.refused(carrier, "recalls:Answer", reply(provenance.AnswerSold, node), "not-found: "+node+" is not on the ledger")
	w.refused(carrier, "recalls:Answer", provenance.AnswerRequest{Recall: "r1", Goods: []string{thing(1)}, Answer: provenance.AnswerSold}, "invalid: person is missing")
	one, _, err := w.endorse(carrier, "recalls:Answer", reply(provenance.AnswerQuarantined, thing(1), pallet(1)))
	require.NoError(t, err)
	other, _, err := w.endorse(maker, "recalls:Answer", reply(provenance.AnswerNotFound, thing(3)))
	require.NoError(t, err)
	more, _, err := w.endorse(maker, "recalls:Freeze", edges(lotA, thing(2)))
	require.NoError(t, err)
	require.NoError(t, w.commit(one))
	require.NoError(t, w.commit(other))
	require.NoError(t, w.commit(more), "holders who answer do not wait for each other, nor for the next chunk")
	require.Equal(t, provenance.RecallTotals{Things: 5, Answered: 3, Quarantined: 2, NotFound: 1}, w.totals())
	w.mustKeep(carrier, "recalls:Answer", reply(provenance.AnswerQuarantined, thing(1)))
	w.must(carrier, "recalls:Answer", reply(provenance.AnswerDestroyed, thing(1)))
	w.refused(carrier, "recalls:Answer", reply(provenance.AnswerSold, thing(1)), "conflict: CarrierMSP answered that "+thing(1)+" is destroyed")
	w.must(maker, "recalls:Answer", reply(provenance.AnswerSold, lotA))
	for i := range provenance.MaxAnswersKept {
		w.must(maker, "recalls:Answer", reply([]provenance.Answer{provenance.AnswerSold, provenance.AnswerNotFound}[i%2], thing(2)))
	}
	w.refused(maker, "recalls:Answer", reply(provenance.AnswerSold, thing(2)), "conflict: 32 answers were given about "+thing(2)+", no more are allowed")

	thingsUnder := *answer[[]provenance.Recalled](w, w.mustKeep(regulator, "recalls:Things", provenance.RecalledPage{Recall: "r1"}))
	require.Len(t, thingsUnder, 6)
	require.Len(t, *answer[[]provenance.Recalled](w, w.mustKeep(regulator, "recalls:Things", provenance.RecalledPage{Recall: "r1", After: thingsUnder[1].ID, Limit: 3})), 3)
	w.refused(maker, "recalls:Things", provenance.RecalledPage{Recall: "r1", Limit: 1001}, "invalid: a page of 1001 entries, at most 1000 are allowed")
	w.refused(maker, "recalls:Thing", provenance.RecalledName{Recall: "r1", ID: thing(5)}, "not-found: "+thing(5)+" is not under recall r1")
	require.Equal(t, lotA, answer[provenance.Recalled](w, w.mustKeep(regulator, "recalls:Thing", provenance.RecalledName{Recall: "r1", ID: node})).Via)

	w.refused(carrier, "recalls:Close", provenance.CloseRecall{ID: "r1", Conclusion: "done"}, "forbidden: recall r1 was opened by ManufacturerMSP")
	w.refused(maker, "recalls:Close", provenance.CloseRecall{ID: "r1"}, "invalid: conclusion is missing")
	recall := answer[provenance.Recall](w, w.must(maker, "recalls:Close", provenance.CloseRecall{ID: "r1", Conclusion: "done"}))
	require.Equal(t, provenance.RecallTotals{Things: 5, Answered: 5, Quarantined: 1, Destroyed: 1, Sold: 1, NotFound: 2}, *recall.Totals)
	w.mustKeep(maker, "recalls:Close", provenance.CloseRecall{ID: "r1", Conclusion: "done"})
	const closed = "conflict: recall r1 was closed at 2026-11-20T08:00:00.000Z"
	w.refused(maker, "recalls:Close", provenance.CloseRecall{ID: "r1", Conclusion: "again"}, closed)
	w.refused(maker, "recalls:Freeze", edges(lotA, thing(2)), closed)
	w.refused(carrier, "recalls:Answer", reply(provenance.AnswerSold, thing(1)), closed)
	require.Len(t, *answer[[]provenance.Recall](w, w.mustKeep(regulator, "recalls:List", provenance.Page{})), 1)
	require.NotNil(t, w.item(thing(1)).Freeze, "what was recalled does not come back")
}

func TestADrillFreezesNothing(t *testing.T) {
	w, _ := newSpread(t)
	w.must(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Goods: []string{lotA}, Reason: "exercise", Drill: true})
	w.must(maker, "recalls:Freeze", edges(lotA, thing(1), thing(1), pallet(1)))
	w.report(carrier, object("OBSERVE", "shipping", start+9*minute, pallet(1)))
	w.must(carrier, "recalls:Answer", provenance.AnswerRequest{Recall: "r1", Goods: []string{thing(1)}, Answer: provenance.AnswerQuarantined, Person: "Q"})
	require.Equal(t, provenance.RecallTotals{Things: 3, Answered: 1, Quarantined: 1}, w.totals())
}

func TestARecalledContainerTakesItsContents(t *testing.T) {
	w, _ := newSpread(t)
	w.must(maker, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start - minute})
	w.must(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Goods: []string{pallet(1)}, Reason: "dropped"})
	w.must(maker, "recalls:Freeze", edges(pallet(1), thing(5)))
	w.must(maker, "registry:End", provenance.LicenceEnd{Key: makerPrefix, At: start})
	w.must(carrier, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start})
	w.refused(maker, "recalls:Open", provenance.RecallRequest{ID: "r2", Goods: []string{thing(2)}, Reason: "x"}, "forbidden: "+thing(2)+" was issued by CarrierMSP, who alone recalls it")
}
