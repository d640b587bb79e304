package contract

import (
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// maxVocabulary is how many bytes a word or a place of an event may have.
const maxVocabulary = 256

// heard is an event of a capture on its way to its verdict.
type heard struct {
	said
	record  *provenance.Event
	refusal error
}

// listen reads an event and checks all that needs no ledger.
func (h *heard) listen(captured evidence.CapturedEvent) error {
	event, err := epcis.NewEvent(captured.Fields, captured.Context)
	if err != nil {
		return provenance.Invalidf("%v", err)
	}
	if problems := event.Validate(); len(problems) > 0 {
		return provenance.Invalidf("%v (%d problems)", problems[0], len(problems))
	}
	pre, err := event.PreHash(epcis.CBV20)
	if err != nil {
		return provenance.Invalidf("%v", err)
	}
	h.Facts = event.Facts()
	h.record = &provenance.Event{
		Hash: sha256.Sum256([]byte(pre)), Digest: captured.Digest(), Time: provenance.TimeOf(h.EventTime), Type: h.Type, Action: h.Action,
		BizStep: h.BizStep, Disposition: h.Disposition, ReadPoint: h.ReadPoint, BizLocation: h.BizLocation,
	}
	if err := checkTime("eventTime", h.record.Time); err != nil {
		return err
	}
	for _, word := range []string{h.Type, h.Action, h.BizStep, h.Disposition, h.ReadPoint, h.BizLocation} {
		if len(word) > maxVocabulary {
			return provenance.Invalidf("%.40s… has %d bytes, at most %d are allowed", word, len(word), maxVocabulary)
		}
	}
	if err := h.listGoods(event.Fields()); err != nil {
		return err
	}
	if n := h.size(); n > provenance.MaxObjectsInEvent {
		return provenance.Invalidf("the event is about %d things and lots, at most %d are allowed", n, provenance.MaxObjectsInEvent)
	}
	h.record.Parent = h.Parent
	h.record.Objects = uint32(len(h.EPCs) + len(h.Quantities) + len(h.Children) + len(h.ChildQuantities) +
		len(h.Inputs) + len(h.InputQuantities) + len(h.Outputs) + len(h.OutputQuantities))
	return nil
}

func (h *heard) listGoods(fields []byte) (err error) {
	if h.whole, err = objectsOf(slices.Concat(h.EPCs, h.Children), slices.Concat(h.Quantities, h.ChildQuantities)); err != nil {
		return err
	}
	if h.inputs, err = objectsOf(h.Inputs, h.InputQuantities); err != nil {
		return err
	}
	if h.outputs, err = objectsOf(h.Outputs, h.OutputQuantities); err != nil {
		return err
	}
	if h.Parent != "" {
		if _, err := checkGoods(h.Parent); err != nil {
			return err
		}
		if known, ok := epcis.Identify(h.Parent); !ok || !isPlace(known) {
			h.parent = h.Parent
		}
	}
	if h.TransformationID != "" {
		if _, err := checkGoods(h.TransformationID); err != nil {
			return err
		}
	}
	h.lot = lotOf(fields, slices.Concat(h.whole.things, h.outputs.things))
	return nil
}

// lotOf is the lot that an event's master data put its things in: those must be of one trade item.
func lotOf(fields []byte, things []string) string {
	if len(things) == 0 {
		return ""
	}
	event := map[string]json.RawMessage{}
	data := map[string]json.RawMessage{}
	if json.Unmarshal(fields, &event) != nil || json.Unmarshal(event["ilmd"], &data) != nil {
		return ""
	}
	var number string
	for name, value := range data {
		if name[strings.LastIndexAny(name, ":#/")+1:] == "lotNumber" {
			var text string
			if json.Unmarshal(value, &text) == nil && (number == "" || text < number) { // one, whatever the order
				number = text
			}
		}
	}
	first, ok := epcis.Identify(things[0])
	if !ok || first.Key != "GTIN" || number == "" {
		return ""
	}
	for _, thing := range things[1:] {
		if other, ok := epcis.Identify(thing); !ok || other.Key != first.Key || other.Value != first.Value {
			return ""
		}
	}
	lot := epcis.Canonical("https://id.gs1.org/01/" + first.Value + "/10/" + url.PathEscape(number))
	if known, ok := epcis.Identify(lot); !ok || known.Lot == "" {
		return ""
	}
	return lot
}
