package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

const (
	links       = "https://id.gs1.org/"
	tradeItem   = links + "01/09506000134352"
	lotA        = tradeItem + "/10/A1"
	lotB        = tradeItem + "/10/B2"
	bareClass   = tradeItem
	makerPlace  = links + "414/9506000134376"
	otherPlace  = links + "414/9521321000001"
	makerPrefix = "9506000"
)

func thing(n int) string { return fmt.Sprintf("%s/21/%d", tradeItem, n) }

// pallet makes a logistic unit with its check digit.
func pallet(n int) string {
	digits := fmt.Sprintf("1%s%09d", makerPrefix, n)
	sum := 0
	for i, c := range digits {
		sum += int(c-'0') * (3 - i%2*2)
	}
	return fmt.Sprintf("%s00/%s%d", links, digits, (10-sum%10)%10)
}

// fields is an EPCIS event in JSON.
type fields map[string]any

func epcisEvent(kind, action string, at provenance.Time, more fields) fields {
	e := fields{"type": kind, "eventTime": at.String(), "eventTimeZoneOffset": "+00:00"}
	if action != "" {
		e["action"] = action
	}
	for name, value := range more {
		e[name] = value
	}
	return e
}

func object(action, step string, at provenance.Time, epcs ...string) fields {
	return epcisEvent("ObjectEvent", action, at, fields{"bizStep": step, "epcList": epcs})
}

func packing(action, parent string, at provenance.Time, children ...string) fields {
	e := epcisEvent("AggregationEvent", action, at, fields{"parentID": parent})
	if children != nil {
		e["childEPCs"] = children
	}
	return e
}

func quantities(classes ...string) []fields {
	list := []fields{}
	for _, class := range classes {
		list = append(list, fields{"epcClass": class, "quantity": 10, "uom": "KGM"})
	}
	return list
}

func (e fields) with(name string, value any) fields {
	e[name] = value
	return e
}

var captures int

func captureArgument(t testing.TB, proceed bool, list ...fields) []byte {
	t.Helper()
	captures++
	c := &evidence.Capture{ID: fmt.Sprintf("job-%d", captures), Proceed: proceed}
	for _, e := range list {
		text, err := json.Marshal(e)
		require.NoError(t, err)
		c.Events = append(c.Events, evidence.CapturedEvent{Fields: text, Context: []byte(`["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"cbvmda":"urn:epcglobal:cbv:mda:"}]`)})
	}
	argument, err := evidence.EncodeCapture(c)
	require.NoError(t, err)
	return argument
}

// report captures events that must all be recorded, and returns the flags of the last one.
func (w *world) report(organisation string, list ...fields) []string {
	w.Helper()
	capture := answer[provenance.Capture](w, w.must(organisation, "events:Capture", captureArgument(w, false, list...)))
	require.Empty(w, capture.Refused)
	require.Equal(w, uint32(len(list)), capture.Recorded)
	return at[provenance.Event](w, provenance.EventKey(hashOf(w, list[len(list)-1]))).Flags.Words()
}

// contradicts captures one event that must be refused.
func (w *world) contradicts(organisation string, e fields, want string) {
	w.Helper()
	_, err := w.submit(organisation, "events:Capture", captureArgument(w, false, e))
	require.Error(w, err)
	require.Equal(w, want, strings.Replace(err.Error(), "event 0: "+strings.SplitN(err.Error(), ":", 2)[0]+": ", "", 1))
}

func hashOf(t testing.TB, e fields) provenance.Hash {
	t.Helper()
	text, err := json.Marshal(e)
	require.NoError(t, err)
	event, err := epcis.NewEvent(text, nil)
	require.NoError(t, err)
	id, err := event.HashID(epcis.CBV20)
	require.NoError(t, err)
	var hash provenance.Hash
	require.NoError(t, hash.UnmarshalText([]byte(id[len("ni:///sha-256;"):len("ni:///sha-256;")+64])))
	return hash
}

func (w *world) item(id string) *provenance.Item {
	w.Helper()
	return at[provenance.Item](w, provenance.ItemKey(id))
}

func (w *world) holder(id string) string {
	w.Helper()
	return answer[provenance.Holder](w, w.mustKeep(regulator, "custody:Holder", provenance.HolderRequest{Goods: id})).Organisation
}

func (w *world) handOver(id, from, to string, goods ...string) {
	w.Helper()
	w.must(from, "custody:Offer", provenance.OfferRequest{ID: id, To: to, Goods: goods})
	w.must(to, "custody:Accept", provenance.ByID{ID: id})
}

func TestEventsMoveGoods(t *testing.T) {
	w := newTrade(t)
	require.Empty(t, w.report(maker, object("ADD", "commissioning", start, thing(1), thing(2)).with("readPoint", fields{"id": makerPlace}).
		with("ilmd", fields{"cbvmda:lotNumber": "A1"})))
	require.Equal(t, &provenance.Item{
		ID: thing(1), Issuer: maker, Born: start, Custody: provenance.Custody{Terms: []provenance.CustodyTerm{{Organisation: maker, From: start}}},
		Holders: []string{}, Place: makerPlace, MemberOf: lotA, LastEvent: w.item(thing(1)).LastEvent, LastTime: start, Changed: start,
	}, w.item(thing(1)))
	require.Equal(t, []string{maker}, w.item(lotA).Holders)
	require.Equal(t, provenance.Member, at[provenance.Link](w, provenance.LinkKey(lotA, thing(1))).Kind)

	require.Equal(t, []string{"without-history"}, w.report(maker, packing("ADD", pallet(1), start+minute, thing(1), thing(2)).with("childQuantityList", quantities(lotB, bareClass)).with("disposition", "in_progress")))
	require.Equal(t, pallet(1), w.item(thing(2)).Parent)
	require.Equal(t, "in_progress", w.item(pallet(1)).Disposition)
	require.Equal(t, provenance.WithoutHistory, w.item(lotB).Flags)
	require.NotContains(t, w.state, provenance.ItemKey(bareClass), "a class without a lot is in too many hands to have a record")

	w.now += 2 * minute
	w.handOver("h1", maker, carrier, pallet(1))
	require.Equal(t, carrier, w.holder(thing(1)), "what is in a container goes with it")
	w.now += 2 * minute
	require.Empty(t, w.report(carrier, packing("DELETE", pallet(1), w.now, thing(1))))
	require.Equal(t, []provenance.CustodyTerm{{Organisation: maker, From: start}, {Organisation: carrier, From: start + 2*minute, Handover: "h1"}}, w.item(thing(1)).Custody.Terms)
	require.Empty(t, w.item(thing(1)).Parent)
	link := at[provenance.Link](w, provenance.LinkKey(pallet(1), thing(1)))
	require.Equal(t, [2]provenance.Time{start + minute, start + 4*minute}, [2]provenance.Time{link.Since, link.Until})
	w.report(carrier, packing("DELETE", pallet(1), w.now+minute)) // all that is left
	require.Empty(t, w.item(thing(2)).Parent)
	require.Equal(t, []string{carrier, maker}, w.item(lotB).Holders)
	require.NotZero(t, at[provenance.Link](w, provenance.LinkKey(pallet(1), lotB)).Until)

	transformation := epcisEvent("TransformationEvent", "", w.now+2*minute, fields{
		"inputEPCList": []string{thing(1)}, "inputQuantityList": quantities(lotA), "outputEPCList": []string{thing(9)}, "outputQuantityList": quantities(tradeItem + "/10/C3"),
	})
	require.Equal(t, []string{"no-custody"}, w.report(carrier, transformation))
	require.Equal(t, provenance.UsedUp, w.item(thing(1)).Status)
	node := provenance.EventNode(hashOf(t, transformation))
	for from, to := range map[string]string{thing(1): node, lotA: node, node: thing(9)} {
		require.Contains(t, w.state, provenance.LinkKey(from, to))
	}
	require.Contains(t, w.state, provenance.LinkKey(node, tradeItem+"/10/C3"))
	require.Empty(t, w.report(carrier, object("DELETE", "destroying", w.now+3*minute, thing(2))))
	require.Equal(t, provenance.Destroyed, w.item(thing(2)).Status)
}

func TestEventsThatContradictTheLedgerAreRefused(t *testing.T) {
	w := newTrade(t)
	w.report(maker, object("ADD", "commissioning", start, thing(1), thing(2), thing(3), thing(4)), packing("ADD", pallet(1), start+minute, thing(1)),
		packing("ADD", pallet(2), start+minute, pallet(1)), object("DELETE", "destroying", start, thing(4)))
	w.report(carrier, epcisEvent("ObjectEvent", "OBSERVE", start, fields{"quantityList": quantities("urn:example:lot:7")}))
	last := func(n int) provenance.Hash { return w.item(thing(n)).LastEvent }
	later := start + 9*minute
	for _, c := range []struct {
		by    string
		event fields
		want  string
	}{
		{maker, packing("ADD", pallet(3), later, thing(1)), "conflict: " + thing(1) + " is packed in " + pallet(1)},
		{maker, packing("OBSERVE", pallet(3), later, thing(1)), "conflict: " + thing(1) + " is packed in " + pallet(1)},
		{maker, packing("ADD", pallet(1), later, pallet(2)), "conflict: " + pallet(1) + " is inside " + pallet(2) + ", which cannot be packed in it"},
		{maker, packing("DELETE", pallet(1), later, thing(2)), "conflict: " + thing(2) + " is not packed in " + pallet(1)},
		{maker, packing("DELETE", pallet(2), later, thing(1)), "conflict: " + thing(1) + " is not packed in " + pallet(2)},
		{maker, packing("DELETE", pallet(1), later).with("childQuantityList", quantities("urn:example:lot:7")), "conflict: urn:example:lot:7 is not packed in " + pallet(1)},
		{maker, object("OBSERVE", "shipping", later, thing(4)), fmt.Sprintf("conflict: %s is destroyed, by event %s; nothing can happen to it", thing(4), last(4))},
		{maker, object("ADD", "commissioning", later, thing(4)), fmt.Sprintf("conflict: %s was commissioned before; the last event about it is %s", thing(4), last(4))},
		{maker, object("ADD", "commissioning", later, thing(2)), fmt.Sprintf("conflict: %s was commissioned before; the last event about it is %s", thing(2), last(2))},
		{carrier, object("OBSERVE", "shipping", later, thing(2)), "forbidden: " + thing(2) + " is held by " + maker},
		{carrier, packing("ADD", pallet(4), later, thing(2)), "forbidden: " + thing(2) + " is held by " + maker},
		{carrier, packing("ADD", pallet(1), later, thing(8)), "forbidden: " + pallet(1) + " is held by " + maker},
		{carrier, packing("DELETE", pallet(1), later), "forbidden: " + pallet(1) + " is held by " + maker},
		{carrier, object("DELETE", "destroying", later, thing(1)), "forbidden: " + thing(1) + " is held by " + maker},
		{carrier, epcisEvent("TransformationEvent", "", later, fields{"inputEPCList": []string{thing(2)}, "outputEPCList": []string{thing(20)}}), "forbidden: " + thing(2) + " is held by " + maker},
		{
			carrier, epcisEvent("TransformationEvent", "", later, fields{"inputEPCList": []string{thing(20)}, "outputEPCList": []string{thing(2)}}),
			fmt.Sprintf("conflict: %s was commissioned before; the last event about it is %s", thing(2), last(2)),
		},
		{maker, object("OBSERVE", "storing", later, "urn:example:lot:7"), "conflict: urn:example:lot:7 is a lot on the ledger, and no thing"},
		{maker, object("ADD", "commissioning", later, "urn:example:lot:7"), "conflict: urn:example:lot:7 is a lot on the ledger, and no thing"},
		{maker, epcisEvent("ObjectEvent", "OBSERVE", later, fields{"bizStep": "storing", "epcList": []string{"urn:trailmark:transformation:x:1"}}), "invalid: urn:trailmark:transformation:x:1 names a transformation, and no goods"},
		{maker, object("OBSERVE", "storing", later, "urn:example:"+strings.Repeat("x", 250)), "invalid: identifier urn:example:xxxxxxxxxxxxxxxxxxxxxxxxxxxx… of 262 bytes, at most 256 are allowed"},
		{regulator + "", object("OBSERVE", "inspecting", later, thing(2)), "forbidden: " + thing(2) + " is held by " + maker},
	} {
		w.contradicts(c.by, c.event, c.want)
	}
	w.report(maker, object("OBSERVE", "storing", later, thing(2)).with("readPoint", fields{"id": makerPlace}))
	w.contradicts(maker, object("OBSERVE", "storing", later, thing(2)).with("readPoint", fields{"id": otherPlace}),
		fmt.Sprintf("conflict: %s was at %s at 2026-11-20T08:09:00.000Z, by event %s", thing(2), makerPlace, last(2)))
	w.report(maker, object("OBSERVE", "storing", later, thing(2)).with("readPoint", fields{"id": makerPlace + "/254/gate"})) // a part of that place

	w.must(maker, "custody:Offer", provenance.OfferRequest{ID: "h1", To: carrier, Goods: []string{pallet(2)}})
	offered := "conflict: " + pallet(2) + " is offered to another organisation (handover h1), and must stay as it is until that is answered"
	w.contradicts(maker, packing("ADD", pallet(2), later+minute, thing(3)), offered)
	w.contradicts(maker, packing("DELETE", pallet(1), later+minute), offered)
	w.contradicts(maker, object("DELETE", "decommissioning", later+minute, thing(1)), offered)
	w.report(carrier, object("OBSERVE", "inspecting", later+minute, pallet(2))) // who is offered it may look at it
	w.contradicts(carrier, object("DELETE", "decommissioning", later+minute, pallet(2)), "forbidden: "+pallet(2)+" is held by "+maker)
}

func TestWhatIsOddIsFlagged(t *testing.T) {
	w := newTrade(t)
	w.must(maker, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start - 100*minute})
	require.Equal(t, []string{"without-history"}, w.report(maker, object("OBSERVE", "storing", start, thing(1))))
	require.Equal(t, []string{"without-history", "foreign-issuer"}, w.report(carrier, object("OBSERVE", "storing", start, thing(2))))
	require.Equal(t, provenance.WithoutHistory|provenance.ForeignIssuer, w.item(thing(2)).Flags)
	require.Empty(t, w.report(carrier, object("OBSERVE", "storing", start-200*minute, "urn:example:none", links+"01/04012345123456/21/1"))[1:])
	require.Equal(t, []string{"out-of-order"}, w.report(maker, object("OBSERVE", "shipping", start-minute, thing(1)).with("readPoint", fields{"id": makerPlace})))
	require.Empty(t, w.item(thing(1)).Place, "where it was does not change where it is")
	require.Equal(t, []string{"future-event"}, w.report(maker, object("OBSERVE", "shipping", start+6*minute, thing(1))))
	require.Equal(t, []string{"foreign-place"}, w.report(carrier, object("OBSERVE", "shipping", start+minute, thing(2)).with("readPoint", fields{"id": makerPlace})))
	require.Equal(t, []string{"container-unclear"}, w.report(maker, object("ADD", "commissioning", start, pallet(1), thing(5)), packing("OBSERVE", pallet(1), start+minute, thing(5))))
	w.report(maker, packing("ADD", pallet(1), start+2*minute, thing(5)))
	require.Equal(t, []string{"container-unclear"}, w.report(maker, object("DELETE", "destroying", start+3*minute, thing(5))))
	require.Equal(t, []string{"no-custody"}, w.report(carrier, lotEvent(t, w)))

	// The carrier saw it before it was commissioned; whose prefix it has, has it.
	require.Equal(t, []string{"seen-before"}, w.report(maker, object("ADD", "commissioning", start+2*minute, thing(2))))
	require.Equal(t, maker, w.holder(thing(2)))
	require.Equal(t, []string{"out-of-order", "seen-before"}, w.report(maker, object("ADD", "commissioning", start+5*minute, thing(1)).with("disposition", "active")))
	w.contradicts(regulator, object("ADD", "commissioning", start+7*minute, "urn:example:none"), "forbidden: urn:example:none is held by "+carrier)
}

func lotEvent(t testing.TB, w *world) fields {
	t.Helper()
	require.Empty(t, w.report(maker, epcisEvent("ObjectEvent", "ADD", start, fields{"quantityList": quantities(lotA)})))
	return epcisEvent("ObjectEvent", "OBSERVE", start+minute, fields{"quantityList": quantities(lotA)})
}

func TestCapturesGoAsAWholeOrEventByEvent(t *testing.T) {
	w := newTrade(t)
	good, bad := object("ADD", "commissioning", start, thing(1)), fields{"type": "ObjectEvent"}
	list := []fields{good, good, bad, object("DELETE", "destroying", start+minute, thing(1)), object("OBSERVE", "storing", start+2*minute, thing(1))}
	_, err := w.submit(maker, "events:Capture", captureArgument(w, false, list...))
	require.ErrorContains(t, err, "conflict: event 1: conflict: duplicate: event "+hashOf(t, good).String()+" was captured by "+maker)
	require.ErrorContains(t, err, `; event 2: invalid: event/what: an ObjectEvent has`)
	require.ErrorContains(t, err, "; event 4: conflict: "+thing(1)+" is destroyed")
	require.NotContains(t, w.state, provenance.ItemKey(thing(1)))

	argument := captureArgument(w, true, list...)
	capture := answer[provenance.Capture](w, w.must(maker, "events:Capture", argument))
	require.Equal(t, uint32(2), capture.Recorded)
	require.Equal(t, uint32(5), capture.Events)
	codes := map[uint32]provenance.Code{}
	for _, r := range capture.Refused {
		codes[r.Position] = r.Code
	}
	require.Equal(t, map[uint32]provenance.Code{1: provenance.Conflict, 2: provenance.Invalid, 4: provenance.Conflict}, codes)
	require.True(t, (&provenance.Error{Message: capture.Refused[0].Message}).Begins(provenance.DuplicateEvent))
	require.Equal(t, capture, answer[provenance.Capture](w, w.mustKeep(maker, "events:Capture", argument)), "a retry")
	require.Equal(t, capture, answer[provenance.Capture](w, w.mustKeep(regulator, "events:Job", provenance.CaptureName{Organisation: maker, ID: capture.ID})))
	event := answer[provenance.Event](w, w.mustKeep(regulator, "events:Get", provenance.EventName{Hash: hashOf(t, good)}))
	decoded, err := evidence.DecodeCapture(argument)
	require.NoError(t, err)
	require.Equal(t, &provenance.Event{
		Hash: hashOf(t, good), Organisation: maker, Capture: capture.ID, Digest: decoded.Events[0].Digest(), Captured: start, Time: start,
		Type: "ObjectEvent", Action: "ADD", BizStep: "commissioning", Objects: 1,
	}, event)

	decoded.Proceed = false
	other, err := evidence.EncodeCapture(decoded)
	require.NoError(t, err)
	w.refused(maker, "events:Capture", other, "conflict: capture "+capture.ID+" of "+maker+" stands with other content")
	w.refused("StrangerMSP", "events:Capture", captureArgument(w, true, good), "not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)")
	w.refused(maker, "events:Capture", []byte("x"), "invalid: reading capture: unexpected EOF")
	decoded.ID = "a b"
	other, err = evidence.EncodeCapture(decoded)
	require.NoError(t, err)
	_, err = w.submit(maker, "events:Capture", other)
	require.ErrorContains(t, err, "invalid: capture: ' ' at position 2")
	w.refused(maker, "events:Get", provenance.EventName{}, "not-found: event "+provenance.Hash{}.String()+" is not on the ledger")
	w.refused(maker, "events:Job", provenance.CaptureName{Organisation: maker, ID: "x"}, "not-found: capture x of "+maker+" is not on the ledger")
	w.refused(maker, "events:Item", provenance.GoodsName{ID: thing(7)}, "not-found: "+thing(7)+" is not on the ledger")
	w.refused(maker, "events:Item", provenance.GoodsName{}, "invalid: identifier of 0 bytes, 1 to 1024 are allowed")
	w.refused(maker, "events:Item", provenance.GoodsName{ID: "7"}, `invalid: identifier "7" is no URI`)
	w.refused(maker, "events:Item", provenance.GoodsName{ID: "urn:\n"}, `invalid: identifier "urn:\n" holds what no URI does`)
	item := answer[provenance.Item](w, w.mustKeep(regulator, "events:Item", provenance.GoodsName{ID: "urn:epc:id:sgtin:9506000.013435.1"}))
	require.Equal(t, thing(1), item.ID)
}

func TestEventsOfTooManyThingsAreRefused(t *testing.T) {
	w := newTrade(t)
	many := func(n, from int) (things []string) {
		for i := range n {
			things = append(things, fmt.Sprintf("urn:x:%d", from+i))
		}
		return things
	}
	w.contradicts(maker, object("ADD", "commissioning", start, many(1001, 0)...), "invalid: the event is about 1001 things and lots, at most 1000 are allowed")
	list := []fields{}
	for i := range 11 {
		list = append(list, object("ADD", "commissioning", start, many(1000, i*1000)...))
	}
	w.refused(maker, "events:Capture", captureArgument(w, true, list...), "invalid: the events are about 11000 things and lots, at most 10000 are allowed in one capture")
}

func TestErrorDeclarationsAdd(t *testing.T) {
	w := newTrade(t)
	e := object("ADD", "commissioning", start, thing(1))
	w.report(maker, e)
	wrong := object("ADD", "commissioning", start, thing(1)).with("errorDeclaration", fields{"declarationTime": (start + minute).String(), "reason": "did_not_occur"})
	w.contradicts(carrier, wrong, "forbidden: event "+hashOf(t, e).String()+" was captured by "+maker+", who alone declares it to be wrong")
	require.Equal(t, []string{"declared-wrong"}, w.report(maker, wrong))
	event := at[provenance.Event](w, provenance.EventKey(hashOf(t, e)))
	require.Equal(t, "did_not_occur", event.Error.Reason)
	require.NotEqual(t, event.Digest, event.Error.Digest)
	require.Equal(t, provenance.DeclaredWrong, w.item(thing(1)).Flags)
	require.Zero(t, w.item(thing(1)).Status, "what it did stays")
	_, err := w.submit(maker, "events:Capture", captureArgument(t, false, wrong.with("rdfs:comment", "again")))
	require.ErrorContains(t, err, "duplicate: ")
	unheard := object("ADD", "commissioning", start, thing(2)).with("errorDeclaration", fields{"declarationTime": (start + minute).String()})
	w.report(maker, unheard)
	require.NotContains(t, w.state, provenance.ItemKey(thing(2)), "what was wrong from the start happened to nothing")
}

func TestCapturesOfDifferentGoodsDoNotConflict(t *testing.T) {
	w := newTrade(t)
	w.must(maker, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start - minute})
	ship := func(n int) []fields {
		return []fields{object("ADD", "commissioning", start, thing(n), thing(n+1)), packing("ADD", pallet(n), start+minute, thing(n)), packing("DELETE", pallet(n), start+2*minute)}
	}
	first, _, err := w.endorse(maker, "events:Capture", captureArgument(w, false, ship(1)...))
	require.NoError(t, err)
	second, _, err := w.endorse(maker, "events:Capture", captureArgument(w, false, ship(3)...))
	require.NoError(t, err)
	same, _, err := w.endorse(carrier, "events:Capture", captureArgument(w, false, object("OBSERVE", "storing", start+3*minute, thing(1))))
	require.NoError(t, err)
	require.NoError(t, w.commit(first))
	require.NoError(t, w.commit(second))
	require.ErrorIs(t, w.commit(same), errMVCC, "it has not seen that the maker holds it")
	require.Less(t, first.exchanges, 16, "keys are read together")

	w.report(maker, epcisEvent("ObjectEvent", "ADD", start, fields{"quantityList": quantities(lotB)}))
	one, _, err := w.endorse(maker, "events:Capture", captureArgument(w, false, epcisEvent("ObjectEvent", "OBSERVE", start+minute, fields{"quantityList": quantities(lotB)})))
	require.NoError(t, err)
	other, _, err := w.endorse(maker, "events:Capture", captureArgument(w, false, epcisEvent("ObjectEvent", "OBSERVE", start+2*minute, fields{"quantityList": quantities(lotB)})))
	require.NoError(t, err)
	require.NoError(t, w.commit(one))
	require.NoError(t, w.commit(other), "those who handle parts of one lot do not wait for each other")
}

// A capture's cost must not be an exchange with the peer for each thing.
func TestManyThingsAreReadTogether(t *testing.T) {
	w := newTrade(t)
	items := make([]string, 300)
	for i := range items {
		items[i] = thing(i + 1)
	}
	list := []fields{object("ADD", "commissioning", start, items...).with("ilmd", fields{"cbvmda:lotNumber": "A1"}), packing("ADD", pallet(1), start+minute, items...)}
	s, _, err := w.endorse(maker, "events:Capture", captureArgument(w, false, list...))
	require.NoError(t, err)
	require.Less(t, s.exchanges, 10)
	require.NoError(t, w.commit(s))
	use := epcisEvent("TransformationEvent", "", start+2*minute, fields{"inputEPCList": items[:100], "outputEPCList": []string{thing(900)}, "outputQuantityList": quantities(lotB)})
	s, _, err = w.endorse(maker, "events:Capture", captureArgument(w, false, packing("DELETE", pallet(1), start+minute+1, items[:100]...), use))
	require.NoError(t, err)
	require.Less(t, s.exchanges, 12)
}

// BenchmarkCapture is what endorsing an event costs, alone and with others.
func BenchmarkCapture(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newTrade(b)
			list := make([]fields, n)
			for i := range list {
				list[i] = object("ADD", "commissioning", start, thing(2*i), thing(2*i+1)).with("readPoint", fields{"id": makerPlace})
			}
			argument, creator := captureArgument(b, false, list...), identity(maker, "client")
			used := processorTime()
			for b.Loop() {
				if s, response := w.simulate(0, creator, "events:Capture", argument); response.GetStatus() != 200 || len(s.writes) == 0 {
					b.Fatal(response.GetMessage())
				}
			}
			b.ReportMetric(float64((processorTime()-used).Microseconds())/float64(b.N*n), "cpu-µs/event")
			b.ReportMetric(float64(len(argument))/float64(n), "B/event")
		})
	}
}
