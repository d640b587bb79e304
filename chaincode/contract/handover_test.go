package contract

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestKeysAreHeldByOneOrganisationAtATime(t *testing.T) {
	w := newTrade(t)
	request := func(key string, from, to provenance.Time) provenance.LicenceRequest {
		return provenance.LicenceRequest{Key: key, From: from, To: to}
	}
	w.must(maker, "registry:Register", request("9506000", start, 0))
	w.mustKeep(maker, "registry:Register", request("9506000", start, 0))
	const taken = "which is registered by ManufacturerMSP from 2026-11-20T08:00:00.000Z on"
	w.refused(carrier, "registry:Register", request("9506000", start+minute, 0), "conflict: 9506000 is registered by ManufacturerMSP from 2026-11-20T08:00:00.000Z on")
	w.refused(carrier, "registry:Register", request("950600", start, 0), "conflict: 950600 overlaps 9506000, "+taken)
	w.refused(carrier, "registry:Register", request("95060001", start, start+minute), "conflict: 95060001 overlaps 9506000, "+taken)
	w.refused(carrier, "registry:Register", request("9506000134376", start, 0), "conflict: 9506000134376 overlaps 9506000, "+taken)
	w.must(maker, "registry:Register", request("9506000134376", start, start+5*minute))
	w.must(carrier, "registry:Register", request("9506000", start-9*minute, start)) // before

	w.refused(carrier, "registry:End", provenance.LicenceEnd{Key: "9506000", At: start + minute}, "conflict: CarrierMSP does not hold 9506000 at 2026-11-20T08:01:00.000Z")
	w.refused(regulator, "registry:End", provenance.LicenceEnd{Key: "9506000", At: start + minute}, "forbidden: RegulatorMSP has registered no term for 9506000")
	w.must(maker, "registry:End", provenance.LicenceEnd{Key: "9506000", At: start + 5*minute})
	w.mustKeep(maker, "registry:End", provenance.LicenceEnd{Key: "9506000", At: start + 5*minute})
	w.must(carrier, "registry:Register", request("9506000", start+5*minute, 0))
	licensee := func(id string, when provenance.Time) provenance.Licensee {
		return *answer[provenance.Licensee](w, w.mustKeep(regulator, "registry:Licensee", provenance.LicenseeRequest{ID: id, At: when}))
	}
	require.Equal(t, provenance.Licensee{Key: "9506000", Organisation: carrier}, licensee(thing(1), start-minute))
	require.Equal(t, provenance.Licensee{Key: "9506000", Organisation: maker}, licensee("urn:epc:id:sgtin:9506000.013435.1", start))
	require.Equal(t, provenance.Licensee{Key: "9506000", Organisation: carrier}, licensee(thing(1), start+5*minute))
	require.Equal(t, provenance.Licensee{Key: "9506000134376", Organisation: maker}, licensee(makerPlace, start), "the finest key decides")
	require.Equal(t, provenance.Licensee{}, licensee(thing(1), start-10*minute))
	require.Len(t, answer[provenance.Licence](w, w.mustKeep(regulator, "registry:Get", provenance.ByID{ID: "9506000"})).Terms, 3)
	require.Len(t, *answer[[]provenance.Licence](w, w.mustKeep(regulator, "registry:List", provenance.Page{After: "9506000"})), 1)

	w.refused(maker, "registry:Register", request("12345", start, 0), `invalid: "12345" is neither a GS1 company prefix (6 to 12 digits) nor a GLN (13)`)
	w.refused(maker, "registry:Register", request("12345x", start, 0), `invalid: "12345x" is neither a GS1 company prefix (6 to 12 digits) nor a GLN (13)`)
	w.refused(maker, "registry:Register", request("9506000134377", start, 0), `invalid: GLN "9506000134377": the check digit is wrong`)
	w.refused(maker, "registry:Register", request("1234567", start, start), "invalid: the time from 2026-11-20T08:00:00.000Z to 2026-11-20T08:00:00.000Z is empty or out of bounds")
	w.refused(maker, "registry:Register", request("1234567", 0, 0), "invalid: from: 0 is not a time in milliseconds since 1970")
	w.refused("StrangerMSP", "registry:Register", request("1234567", start, 0), "not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)")
	w.refused(maker, "registry:Get", provenance.ByID{ID: "1234567"}, "not-found: 1234567 is not registered on the ledger")
	w.refused(maker, "registry:Licensee", provenance.LicenseeRequest{ID: "urn:x:y", At: start}, `invalid: "urn:x:y" is no GS1 identifier`)
	for i := range maxTerms {
		w.must(maker, "registry:Register", request("1234567", start+provenance.Time(i)*minute, start+provenance.Time(i+1)*minute))
	}
	w.refused(maker, "registry:Register", request("1234567", start+100*minute, 0), "conflict: 1234567 has had 64 terms, no more are allowed")
}

func TestRolesHoldForATime(t *testing.T) {
	w := newTrade(t)
	w.must(regulator, "registry:DeclareRole", provenance.RoleRequest{Role: provenance.RoleRegulator, From: start})
	w.mustKeep(regulator, "registry:DeclareRole", provenance.RoleRequest{Role: provenance.RoleRegulator, From: start})
	w.refused(regulator, "registry:DeclareRole", provenance.RoleRequest{Role: provenance.RoleRegulator, From: start + minute}, "conflict: RegulatorMSP is regulator from 2026-11-20T08:00:00.000Z on already")
	w.refused(regulator, "registry:DeclareRole", provenance.RoleRequest{Role: "king", From: start}, `invalid: role "king" is unknown`)
	w.refused(regulator, "events:Capture", captureArgument(t, false, object("OBSERVE", "inspecting", start, thing(1))), "forbidden: RegulatorMSP is a regulator, and handles no goods")
	w.report(maker, object("ADD", "commissioning", start, thing(1)))
	w.refused(maker, "custody:Offer", provenance.OfferRequest{ID: "h", To: regulator, Goods: []string{thing(1)}}, "forbidden: RegulatorMSP is a regulator, and handles no goods")
	w.must(regulator, "registry:EndRole", provenance.RoleEnd{Role: provenance.RoleRegulator, At: start + minute})
	w.mustKeep(regulator, "registry:EndRole", provenance.RoleEnd{Role: provenance.RoleRegulator, At: start + minute})
	w.refused(regulator, "registry:EndRole", provenance.RoleEnd{Role: provenance.RoleRegulator, At: start + 2*minute}, `conflict: RegulatorMSP does not have the role "regulator" at 2026-11-20T08:02:00.000Z`)
	w.refused(regulator, "events:Capture", captureArgument(t, false, object("OBSERVE", "inspecting", start, thing(2))), "forbidden: RegulatorMSP is a regulator, and handles no goods")
	w.now += minute
	w.report(regulator, object("OBSERVE", "inspecting", start, thing(2))) // judged as of the act
	roles := answer[provenance.Roles](w, w.mustKeep(carrier, "registry:Roles", provenance.ByID{ID: regulator}))
	require.Equal(t, []string{provenance.RoleRegulator}, roles.At(start))
	require.Empty(t, roles.At(start+minute))
	require.Empty(t, answer[provenance.Roles](w, w.mustKeep(carrier, "registry:Roles", provenance.ByID{ID: maker})).Terms)
}

func TestAHandoverIsTwoSignatures(t *testing.T) {
	w := newTrade(t)
	w.report(maker, object("ADD", "commissioning", start, thing(1), thing(2), thing(3), thing(4)), packing("ADD", pallet(1), start, thing(1)), object("DELETE", "destroying", start, thing(4)),
		epcisEvent("ObjectEvent", "ADD", start, fields{"quantityList": quantities(lotA)}))
	offer := func(id, to string, goods ...string) provenance.OfferRequest {
		return provenance.OfferRequest{ID: id, To: to, Goods: goods, Comment: "dock 2"}
	}
	w.refused(maker, "custody:Offer", offer("h", maker, thing(1)), "invalid: handover h: ManufacturerMSP cannot receive from itself")
	w.refused(maker, "custody:Offer", offer("h", carrier), "invalid: handover h: want either a shipment or goods")
	w.refused(maker, "custody:Offer", offer("h", carrier, thing(77)), "not-found: "+thing(77)+" is not on the ledger")
	w.refused(maker, "custody:Offer", offer("h", "StrangerMSP", thing(2)), "not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)")
	w.refused(maker, "custody:Offer", offer("h", carrier, thing(1)), "conflict: "+thing(1)+" is packed in "+pallet(1)+"; hand that over, or unpack it")
	w.refused(maker, "custody:Offer", offer("h", carrier, lotA), "conflict: "+lotA+" is a lot; hand over the containers or the shipment that it is in")
	w.refused(maker, "custody:Offer", offer("h", carrier, thing(4)), fmt.Sprintf("conflict: %s is destroyed, by event %s", thing(4), w.item(thing(4)).LastEvent))
	w.refused(carrier, "custody:Offer", offer("h", maker, thing(2)), "forbidden: "+thing(2)+" is held by ManufacturerMSP")
	w.refused(maker, "custody:Offer", offer("h", carrier, make([]string, 257)...), "invalid: 257 goods, 1 to 256 are allowed")

	w.must(maker, "custody:Offer", offer("h1", carrier, pallet(1), thing(2), thing(2)))
	w.mustKeep(maker, "custody:Offer", offer("h1", carrier, thing(2), pallet(1)))
	w.refused(maker, "custody:Offer", offer("h1", carrier, thing(2)), "conflict: handover h1 stands with other content")
	w.refused(maker, "custody:Offer", offer("h2", regulator, thing(2)), "conflict: "+thing(2)+" is offered already, by handover h1")
	require.Equal(t, maker, w.holder(thing(1)), "until it is accepted the giver holds")
	w.refused(regulator, "custody:Accept", provenance.ByID{ID: "h1"}, "forbidden: handover h1 is offered to CarrierMSP")
	w.refused(maker, "custody:Accept", provenance.ByID{ID: "h1"}, "forbidden: handover h1 is offered to CarrierMSP")
	w.refused(carrier, "custody:Withdraw", provenance.RefuseRequest{ID: "h1", Reason: "x"}, "forbidden: handover h1 is offered by ManufacturerMSP")
	w.refused(maker, "custody:Refuse", provenance.RefuseRequest{ID: "h1", Reason: "x"}, "forbidden: handover h1 is offered to CarrierMSP")
	w.refused(carrier, "custody:Refuse", provenance.RefuseRequest{ID: "h1"}, "invalid: reason is missing")
	w.refused(carrier, "custody:Accept", provenance.ByID{ID: "h9"}, "not-found: handover h9 is not on the ledger")
	w.now += 2 * minute
	w.must(carrier, "custody:Accept", provenance.ByID{ID: "h1"})
	w.mustKeep(carrier, "custody:Accept", provenance.ByID{ID: "h1"})
	w.refused(carrier, "custody:Refuse", provenance.RefuseRequest{ID: "h1", Reason: "x"}, "conflict: handover h1 was accepted at 2026-11-20T08:02:00.000Z")
	heldAt := func(when provenance.Time) string {
		return answer[provenance.Holder](w, w.mustKeep(regulator, "custody:Holder", provenance.HolderRequest{Goods: thing(1), At: when})).Organisation
	}
	require.Equal(t, []string{"", maker, maker, carrier, carrier}, []string{heldAt(start - 1), heldAt(start), heldAt(start + 2*minute - 1), heldAt(start + 2*minute), heldAt(start + 9*minute)})
	holder := answer[provenance.Holder](w, w.mustKeep(regulator, "custody:Holder", provenance.HolderRequest{Goods: thing(1)}))
	require.Equal(t, []string{pallet(1)}, holder.Containers)
	require.Equal(t, "h1", holder.Custody.Terms[1].Handover)

	w.must(carrier, "custody:Offer", offer("h3", regulator, thing(2)))
	w.must(regulator, "custody:Refuse", provenance.RefuseRequest{ID: "h3", Reason: "seal broken"})
	w.mustKeep(regulator, "custody:Refuse", provenance.RefuseRequest{ID: "h3", Reason: "seal broken"})
	w.refused(regulator, "custody:Accept", provenance.ByID{ID: "h3"}, "conflict: handover h3 was refused at 2026-11-20T08:02:00.000Z")
	require.Equal(t, carrier, w.holder(thing(2)))
	require.Equal(t, "seal broken", answer[provenance.Handover](w, w.mustKeep(maker, "custody:Get", provenance.ByID{ID: "h3"})).Reason)
	w.must(carrier, "custody:Offer", offer("h4", regulator, thing(2)))
	w.must(carrier, "custody:Withdraw", provenance.RefuseRequest{ID: "h4", Reason: "wrong dock"})
	w.mustKeep(carrier, "custody:Withdraw", provenance.RefuseRequest{ID: "h4", Reason: "wrong dock"})
	w.refused(regulator, "custody:Accept", provenance.ByID{ID: "h4"}, "conflict: handover h4 was withdrawn at 2026-11-20T08:02:00.000Z")
	w.refused(maker, "custody:Holder", provenance.HolderRequest{}, "invalid: want either a shipment or goods")
	w.refused(maker, "custody:Holder", provenance.HolderRequest{Goods: lotA}, "invalid: "+lotA+" is a lot; parts of it are held by each of its holders")
	require.Equal(t, "h1", w.item(pallet(1)).Custody.Terms[1].Handover)

	for i := range provenance.MaxCustodyTerms {
		id, from, to := fmt.Sprintf("x%d", i), maker, carrier
		if i%2 == 0 {
			from, to = carrier, maker
		}
		w.handOver(id, from, to, thing(2))
	}
	terms := w.item(thing(2)).Custody.Terms
	require.Len(t, terms, provenance.MaxCustodyTerms, "older terms are in the ledger's history")
	require.Equal(t, "x0", terms[0].Handover)
}

func TestWhoHoldsAShipmentAnswersForItsTemperature(t *testing.T) {
	w := newTrade(t)
	w.must(maker, "shipments:Open", opening("ship", carrier))
	offer := provenance.OfferRequest{ID: "h1", To: carrier, Shipment: "ship"}
	heldAt := func(when provenance.Time) string {
		return answer[provenance.Holder](w, w.mustKeep(regulator, "custody:Holder", provenance.HolderRequest{Shipment: "ship", At: when})).Organisation
	}
	require.Equal(t, maker, heldAt(0))
	require.Equal(t, "", heldAt(start-61*minute))
	w.refused(carrier, "custody:Offer", provenance.OfferRequest{ID: "h1", To: maker, Shipment: "ship"}, "forbidden: shipment ship is held by ManufacturerMSP")
	w.refused(maker, "custody:Offer", provenance.OfferRequest{ID: "h1", To: regulator, Shipment: "ship"}, "conflict: RegulatorMSP is no party of shipment ship")
	w.refused(maker, "custody:Offer", provenance.OfferRequest{ID: "h1", To: carrier, Shipment: "none"}, "not-found: shipment none is not on the ledger")
	w.must(maker, "custody:Offer", offer)
	w.refused(maker, "custody:Offer", provenance.OfferRequest{ID: "h2", To: carrier, Shipment: "ship"}, "conflict: shipment ship is offered already, by handover h1")
	w.now += minute
	w.must(carrier, "custody:Accept", provenance.ByID{ID: "h1"})
	require.Equal(t, []string{maker, carrier}, []string{heldAt(start), heldAt(start + minute)})
	w.must(carrier, "custody:Offer", provenance.OfferRequest{ID: "h3", To: maker, Shipment: "ship"})
	w.must(maker, "shipments:Close", provenance.CloseRequest{Shipment: "ship", At: w.now})
	w.refused(maker, "custody:Accept", provenance.ByID{ID: "h3"}, "conflict: shipment ship was closed as of 2026-11-20T08:01:00.000Z")
	w.must(maker, "custody:Refuse", provenance.RefuseRequest{ID: "h3", Reason: "closed"})
	w.refused(carrier, "custody:Offer", provenance.OfferRequest{ID: "h4", To: maker, Shipment: "ship"}, "conflict: shipment ship was closed as of 2026-11-20T08:01:00.000Z")
}

func TestWhatWasClaimedInTheMeantimeIsNotHandedOver(t *testing.T) {
	w := newTrade(t)
	w.must(maker, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start - minute})
	w.report(carrier, object("OBSERVE", "storing", start, thing(1)))
	w.must(carrier, "custody:Offer", provenance.OfferRequest{ID: "h1", To: regulator, Goods: []string{thing(1)}})
	w.report(maker, object("ADD", "commissioning", start+minute, thing(1)))
	w.refused(regulator, "custody:Accept", provenance.ByID{ID: "h1"}, "conflict: "+thing(1)+" is held by ManufacturerMSP by now; refuse the handover")
	w.must(regulator, "custody:Refuse", provenance.RefuseRequest{ID: "h1", Reason: "not yours"})
	require.Equal(t, maker, w.holder(thing(1)))
}
