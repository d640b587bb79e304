package evidence

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestGoldenGoods(t *testing.T) {
	const item, pallet = "https://id.gs1.org/01/09506000134352/21/7", "https://id.gs1.org/00/195060001343520003"
	custody := provenance.Custody{Terms: []provenance.CustodyTerm{{Organisation: "Manufacturer", From: start}, {Organisation: "Carrier", From: start + 9, Handover: "h1"}}, Offer: "h2"}
	states := map[string]any{
		"licence": &provenance.Licence{Key: "9506000", Terms: []provenance.LicenceTerm{{Organisation: "Manufacturer", From: start, To: start + 5, Registered: start}}},
		"roles":   &provenance.Roles{Organisation: "Carrier", Terms: []provenance.RoleTerm{{Role: provenance.RoleCarrier, From: start, Declared: start}}},
		"capture": &provenance.Capture{Organisation: "Carrier", ID: "job-1", Argument: provenance.Hash{1}, Captured: start, Events: 2, Recorded: 1, Refused: []provenance.EventRefusal{{Position: 1, Code: provenance.Conflict, Message: "duplicate: it stands"}}},
		"event": &provenance.Event{
			Hash: provenance.Hash{2}, Organisation: "Carrier", Capture: "job-1", Digest: provenance.Hash{3}, Captured: start, Time: start - 5, Type: "ObjectEvent", Action: "OBSERVE",
			BizStep: "shipping", Disposition: "in_transit", ReadPoint: "https://id.gs1.org/414/9506000134376", Objects: 1, Flags: provenance.WithoutHistory | provenance.DeclaredWrong,
			Error: &provenance.EventDeclaration{Capture: "job-2", Digest: provenance.Hash{4}, Reason: "did_not_occur", Recorded: start + 5},
		},
		"item": &provenance.Item{
			ID: item, Issuer: "Manufacturer", Born: start, Custody: custody, Parent: pallet, Status: provenance.Destroyed, Disposition: "destroyed", Place: "urn:x:y", MemberOf: "https://id.gs1.org/01/09506000134352/10/A1",
			LastEvent: provenance.Hash{2}, LastTime: start, Flags: provenance.OutOfOrder, Freeze: &provenance.Freeze{Recall: "r1", Organisation: "Manufacturer", Since: start}, Changed: start,
		},
		"lot":      &provenance.Item{ID: "https://id.gs1.org/01/09506000134352/10/A1", Lot: true, Issuer: "Manufacturer", Holders: []string{"Carrier", "Manufacturer"}, Changed: start},
		"link":     &provenance.Link{From: pallet, To: item, Kind: provenance.Contains, Event: provenance.Hash{2}, Since: start, Until: start + 1, Recorded: start + 2},
		"handover": &provenance.Handover{ID: "h1", From: "Manufacturer", To: "Carrier", Goods: []string{pallet}, Comment: "dock 2", Offered: start, Status: provenance.HandoverRefused, Answered: start + 9, Reason: "seal broken"},
		"custody":  &provenance.ShipmentCustody{Shipment: "106141412345678908", Custody: custody, Changed: start},
		"recall":   &provenance.Recall{ID: "r1", Organisation: "Manufacturer", Goods: []string{item}, Reason: "glass", Drill: true, Opened: start, Closed: start + 9, Conclusion: "done", Totals: &provenance.RecallTotals{Things: 3, Answered: 2, Quarantined: 1, Destroyed: 1, Sold: 1, NotFound: 1, Partial: true}},
		"recalled": &provenance.Recalled{Recall: "r1", ID: item, Via: pallet, Kind: provenance.Contains, Event: provenance.Hash{2}, Asked: []string{"Carrier"}, Added: start, Answers: []provenance.RecallAnswer{{Organisation: "Carrier", Answer: provenance.AnswerSold, Person: "P", Comment: "c", Time: start + 1}}},
	}
	for name, state := range states {
		value, err := Marshal(state)
		require.NoError(t, err)
		golden(t, "goods-"+name, value)
		key := stateKey(state)
		golden(t, "goods-"+name+"-key", []byte(key))
		decoded, err := DecodeState(key, value)
		require.NoError(t, err)
		again, err := Marshal(decoded)
		require.NoError(t, err)
		require.Equal(t, value, again)
		_, err = DecodeState(key+"0", value)
		require.ErrorContains(t, err, "holds the value of")
	}
}

func TestIdentifiersDoNotShareKeys(t *testing.T) {
	require.Equal(t, "i/01/09506000134352/21/7", provenance.ItemKey("https://id.gs1.org/01/09506000134352/21/7"))
	require.NotEqual(t, provenance.ItemKey("urn:x"), provenance.ItemKey("https://id.gs1.org/urn:x"))
	require.NotEqual(t, provenance.LinkKey("a/b", "c"), provenance.LinkKey("a", "b/c"))
}

func captureOf(n int) *Capture {
	c := &Capture{ID: "job-1", Proceed: true}
	for range n {
		c.Events = append(c.Events, CapturedEvent{Fields: []byte(`{"type":"ObjectEvent"}`), Context: []byte(`"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"`)})
	}
	return c
}

func TestGoldenCapture(t *testing.T) {
	c := captureOf(2)
	c.Events[1].Context = []byte{}
	if *update {
		argument, err := EncodeCapture(c)
		require.NoError(t, err)
		golden(t, "capture", argument)
	}
	got, err := DecodeCapture(vector(t, "capture"))
	require.NoError(t, err)
	require.Equal(t, c, got)
	digest := c.Events[0].Digest()
	golden(t, "capture-event-digest", digest[:])
}

func TestCapturesAreBounded(t *testing.T) {
	_, err := EncodeCapture(captureOf(0))
	require.EqualError(t, err, "invalid: capture of 0 events, 1 to 1000 are allowed")
	_, err = EncodeCapture(captureOf(1001))
	require.EqualError(t, err, "invalid: capture of 1001 events, 1 to 1000 are allowed")
	big := captureOf(1)
	big.Events[0].Fields = []byte(strings.Repeat("x", provenance.MaxCaptureRaw))
	_, err = EncodeCapture(big)
	require.ErrorContains(t, err, "before compression, at most 4194304 are allowed")
	bomb := mustMarshal(captureArgument{Version: 1, ID: "x", RawSize: 10, Body: compressor.EncodeAll(make([]byte, 1<<20), nil)})
	_, err = DecodeCapture(bomb)
	require.ErrorContains(t, err, "invalid: decompressing capture: ")
	for _, a := range []captureArgument{{Version: 2}, {Version: 1, RawSize: provenance.MaxCaptureRaw + 1}, {Version: 1, RawSize: 1, Body: compressor.EncodeAll([]byte{0x80}, nil)}} {
		_, err = DecodeCapture(mustMarshal(a))
		require.ErrorContains(t, err, "invalid: ")
	}
}

func FuzzDecodeCapture(f *testing.F) {
	argument, err := EncodeCapture(captureOf(3))
	require.NoError(f, err)
	f.Add(argument)
	f.Fuzz(func(t *testing.T, argument []byte) {
		c, err := DecodeCapture(argument)
		if err != nil {
			require.NotNil(t, provenance.ParseError(err.Error()))
			return
		}
		require.NotEmpty(t, c.Events)
		require.LessOrEqual(t, len(c.Events), provenance.MaxEventsInCapture)
	})
}
