package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestOpenWritesAShipmentOnce(t *testing.T) {
	w := newTrade(t)
	request := opening("ship", regulator, carrier, carrier)
	shipment := answer[provenance.Shipment](w, w.must(maker, "shipments:Open", request))
	require.Equal(t, &provenance.Shipment{
		ID: "ship", Organisation: maker, Parties: []string{carrier, maker, regulator}, Goods: request.Goods, Profile: request.Profile,
		Limits: request.Limits, Attachments: []provenance.Attachment{}, Opened: request.Opened, Changed: start, Origin: "Graz", Destination: "Vienna",
	}, shipment)
	require.Equal(t, shipment, at[provenance.Shipment](w, "s/ship"))
	w.mustKeep(maker, "shipments:Open", request)
	w.enrol(carrier, 0, "c1")
	w.must(carrier, "shipments:Attach", provenance.AttachRequest{Shipment: "ship", Device: "c1", From: start})
	w.mustKeep(maker, "shipments:Open", request) // whatever happened since
	w.refused(carrier, "shipments:Open", request, "conflict: shipment ship was opened by ManufacturerMSP with other content")
	request.Limits.Max++
	w.refused(maker, "shipments:Open", request, "conflict: shipment ship was opened by ManufacturerMSP with other content")
	require.Len(t, *answer[[]provenance.Shipment](w, w.mustKeep(carrier, "shipments:List", provenance.Page{})), 1)
}

func TestOpenRefusals(t *testing.T) {
	w := newTrade(t)
	for want, change := range map[string]func(*provenance.Opening){
		"invalid: shipment: an identifier is missing":                                                             func(o *provenance.Opening) { o.ID = "" },
		"invalid: profile: an identifier is missing":                                                              func(o *provenance.Opening) { o.Profile = "" },
		"invalid: opened: 0 is not a time in milliseconds since 1970":                                             func(o *provenance.Opening) { o.Opened = 0 },
		"invalid: shipment n: 0 kinds of goods, 1 to 100 are allowed":                                             func(o *provenance.Opening) { o.Goods = nil },
		`invalid: GTIN "123": want 8, 12, 13 or 14 digits`:                                                        func(o *provenance.Opening) { o.Goods[0].GTIN = "123" },
		`invalid: GTIN "0401234512345x": want digits only`:                                                        func(o *provenance.Opening) { o.Goods[0].GTIN = "0401234512345x" },
		`invalid: GTIN "04012345123457": the check digit is wrong`:                                                func(o *provenance.Opening) { o.Goods[0].GTIN = "04012345123457" },
		"invalid: description of goods is missing":                                                                func(o *provenance.Opening) { o.Goods[0].Description = "" },
		"invalid: lot of 65 bytes, at most 64 are allowed":                                                        func(o *provenance.Opening) { o.Goods[0].Lot = string(make([]byte, 65)) },
		"invalid: origin holds the control character U+0007":                                                      func(o *provenance.Opening) { o.Origin = "\a" },
		"invalid: destination of 257 bytes, at most 256 are allowed":                                              func(o *provenance.Opening) { o.Destination = string(make([]byte, 257)) },
		"invalid: shipment n: the temperature band from 8 to 8 is empty":                                          func(o *provenance.Opening) { o.Limits.Min = o.Limits.Max },
		"not-found: organisation CarrrierMSP is not registered on the ledger (organisations:Register, by itself)": func(o *provenance.Opening) { o.Parties = []string{"CarrrierMSP"} },
		"invalid: party: an identifier is missing":                                                                func(o *provenance.Opening) { o.Parties = []string{""} },
		"invalid: 33 parties, at most 32 are allowed":                                                             func(o *provenance.Opening) { o.Parties = make([]string, 33) },
	} {
		request := opening("n", carrier)
		change(&request)
		w.refused(maker, "shipments:Open", request, want)
	}
	w.refused("StrangerMSP", "shipments:Open", opening("n"), "not-found: organisation StrangerMSP is not registered on the ledger (organisations:Register, by itself)")
	w.refused(maker, "shipments:Get", provenance.ByID{ID: "n"}, "not-found: shipment n is not on the ledger")
}

func TestAttachments(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1", "s2", "dead")
	w.enrol(carrier, 0, "c1")
	w.enrol(regulator, 0, "r1")
	w.must(maker, "devices:Revoke", provenance.ByID{ID: "dead"})
	w.must(maker, "shipments:Open", opening("ship", carrier))
	attach := func(device string, from, to provenance.Time) provenance.AttachRequest {
		return provenance.AttachRequest{Shipment: "ship", Device: device, From: from, To: to}
	}
	detach := func(device string, when provenance.Time) provenance.DetachRequest {
		return provenance.DetachRequest{Shipment: "ship", Device: device, At: when}
	}
	replace := func(device, with string, when provenance.Time) provenance.ReplaceRequest {
		return provenance.ReplaceRequest{Shipment: "ship", Device: device, With: with, At: when}
	}
	attachments := func() []provenance.Attachment { return at[provenance.Shipment](w, "s/ship").Attachments }

	w.must(carrier, "shipments:Attach", attach("s1", start, 0))
	w.mustKeep(maker, "shipments:Attach", attach("s1", start, 0))
	w.refused(maker, "shipments:Attach", attach("s1", start+minute, 0), "conflict: device s1 is attached to shipment ship from 2026-11-20T08:00:00.000Z on already")
	w.refused(maker, "shipments:Attach", attach("s1", start-minute, start+1), "conflict: device s1 is attached to shipment ship from 2026-11-20T08:00:00.000Z on already")
	w.must(maker, "shipments:Attach", attach("s1", start-minute, start)) // touches, does not overlap
	w.refused(maker, "shipments:Attach", attach("s2", start-61*minute, 0), "conflict: shipment ship was opened as of 2026-11-20T07:00:00.000Z, nothing can be attached from 2026-11-20T06:59:00.000Z on")
	w.refused(maker, "shipments:Attach", attach("s2", start, start), "invalid: the attachment's interval from 2026-11-20T08:00:00.000Z to 2026-11-20T08:00:00.000Z is empty or out of bounds")
	w.refused(maker, "shipments:Attach", attach("s2", 0, 0), "invalid: from: 0 is not a time in milliseconds since 1970")
	w.refused(maker, "shipments:Attach", attach("r1", start, 0), "conflict: device r1 belongs to RegulatorMSP, who is no party of shipment ship")
	w.refused(maker, "shipments:Attach", attach("none", start, 0), "not-found: device none is not enrolled")
	w.refused(maker, "shipments:Attach", attach("dead", start, 0), "conflict: device dead is revoked; it may be attached only for an interval that has ended")
	w.must(maker, "shipments:Attach", attach("dead", start-2*minute, start))
	w.refused(regulator, "shipments:Attach", attach("s2", start, 0), "forbidden: RegulatorMSP is no party of shipment ship")

	w.refused(maker, "shipments:Detach", detach("s2", start), "conflict: device s2 is not attached to shipment ship until 2026-11-20T08:00:00.000Z")
	w.refused(maker, "shipments:Detach", detach("s1", 0), "invalid: at: 0 is not a time in milliseconds since 1970")
	w.must(carrier, "shipments:Detach", detach("s1", start+5*minute))
	w.mustKeep(carrier, "shipments:Detach", detach("s1", start+5*minute))
	w.must(maker, "shipments:Attach", attach("s1", start+5*minute, 0)) // touches the end of the one before
	w.must(maker, "shipments:Replace", replace("s1", "c1", start+7*minute))
	w.mustKeep(maker, "shipments:Replace", replace("s1", "c1", start+7*minute))
	w.refused(maker, "shipments:Replace", replace("s1", "s1", start), "invalid: device s1 cannot replace itself")
	require.Equal(t, []provenance.Attachment{
		{Device: "s1", From: start, To: start + 5*minute},
		{Device: "s1", From: start - minute, To: start},
		{Device: "dead", From: start - 2*minute, To: start},
		{Device: "s1", From: start + 5*minute, To: start + 7*minute},
		{Device: "c1", From: start + 7*minute},
	}, attachments())

	w.refused(maker, "shipments:SetParties", provenance.PartiesRequest{Shipment: "ship"}, "conflict: CarrierMSP must stay a party of shipment ship: its device c1 is attached")
	w.refused(carrier, "shipments:SetParties", provenance.PartiesRequest{Shipment: "ship"}, "forbidden: shipment ship was opened by ManufacturerMSP, who alone names its parties")
	w.mustKeep(maker, "shipments:SetParties", provenance.PartiesRequest{Shipment: "ship", Parties: []string{carrier}})
	w.must(maker, "shipments:SetParties", provenance.PartiesRequest{Shipment: "ship", Parties: []string{carrier, regulator}})
	w.must(regulator, "shipments:Attach", attach("r1", start, 0))

	closing := func(when provenance.Time) provenance.CloseRequest {
		return provenance.CloseRequest{Shipment: "ship", At: when}
	}
	w.refused(carrier, "shipments:Close", closing(start-100*minute), "conflict: shipment ship was opened as of 2026-11-20T07:00:00.000Z, it cannot be closed as of 2026-11-20T06:20:00.000Z")
	w.refused(carrier, "shipments:Close", closing(start+minute), "conflict: device s1 is attached to shipment ship from 2026-11-20T08:05:00.000Z on, after it would close")
	w.must(carrier, "shipments:Close", closing(start+9*minute))
	w.mustKeep(carrier, "shipments:Close", closing(start+9*minute))
	for _, a := range attachments() {
		require.NotZero(t, a.To)
		require.LessOrEqual(t, a.To, start+9*minute)
	}
	const closed = "conflict: shipment ship was closed as of 2026-11-20T08:09:00.000Z"
	w.refused(carrier, "shipments:Close", closing(start+10*minute), closed)
	w.refused(carrier, "shipments:Attach", attach("s2", start, 0), closed)
	w.refused(carrier, "shipments:Detach", detach("c1", start+8*minute), closed)
	w.refused(maker, "shipments:SetParties", provenance.PartiesRequest{Shipment: "ship", Parties: []string{carrier}}, closed)
}

func TestReplaceEndsWhenTheReplacedWouldHave(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1", "s2")
	w.must(maker, "shipments:Open", opening("ship"))
	w.must(maker, "shipments:Attach", provenance.AttachRequest{Shipment: "ship", Device: "s1", From: start, To: start + 9*minute})
	w.must(maker, "shipments:Replace", provenance.ReplaceRequest{Shipment: "ship", Device: "s1", With: "s2", At: start + minute})
	require.Equal(t, []provenance.Attachment{{Device: "s1", From: start, To: start + minute}, {Device: "s2", From: start + minute, To: start + 9*minute}},
		at[provenance.Shipment](w, "s/ship").Attachments)
}
