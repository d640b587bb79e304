package contract

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of events.
const (
	maxRefusalText   = 400 // bytes of a refusal that is recorded
	maxRefusalsNamed = 10  // in the refusal of a whole capture
)

// events records what happened to goods.
type events struct{ contractapi.Contract }

func (*events) GetEvaluateTransactions() []string { return []string{"Get", "Job", "Item"} }

// Capture records the events of one transaction, in their order. The argument is what evidence.EncodeCapture writes. A capture that
// stands, with the same bytes, is not recorded again.
func (*events) Capture(tx *transaction) (string, error) {
	argument := tx.stub.GetArgs()[1]
	capture, err := evidence.DecodeCapture(argument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("capture", capture.ID); err != nil {
		return "", err
	}
	key := provenance.CaptureKey(tx.organisation, capture.ID)
	standing, err := load[provenance.Capture](tx, key)
	if err != nil {
		return "", err
	}
	digest := provenance.Hash(sha256.Sum256(argument))
	switch {
	case standing != nil && standing.Argument == digest:
		return reply(standing)
	case standing != nil:
		return "", provenance.Conflictf("capture %s of %s stands with other content", capture.ID, tx.organisation)
	}
	if err := tx.mustHandleGoods(tx.organisation); err != nil {
		return "", err
	}
	record := &provenance.Capture{Organisation: tx.organisation, ID: capture.ID, Argument: digest, Captured: tx.now, Events: uint32(len(capture.Events)), Refused: []provenance.EventRefusal{}}
	if err := tx.recordEvents(capture, record); err != nil {
		return "", err
	}
	if len(record.Refused) > 0 && !capture.Proceed {
		return "", refusedWhole(record)
	}
	if err := tx.put(key, record); err != nil {
		return "", err
	}
	return reply(record)
}

// recordEvents gives each event its verdict, and records what is good.
func (tx *transaction) recordEvents(capture *evidence.Capture, record *provenance.Capture) error {
	all := make([]heard, len(capture.Events))
	parallel(len(all), func(i int) { all[i].refusal = all[i].listen(capture.Events[i]) })
	g := newGround(tx)
	if err := g.prefetchEvents(all); err != nil {
		return err
	}
	for i := range all {
		h := &all[i]
		err := h.refusal
		if err == nil {
			h.record.Organisation, h.record.Capture, h.record.Position, h.record.Captured = tx.organisation, capture.ID, uint32(i), tx.now
			err = g.capture(h)
		}
		refusal := new(provenance.Error)
		switch {
		case err == nil:
			record.Recorded++
		case errors.As(err, &refusal):
			text := strings.ToValidUTF8(refusal.Message[:min(len(refusal.Message), maxRefusalText)], "")
			record.Refused = append(record.Refused, provenance.EventRefusal{Position: uint32(i), Code: refusal.Code, Message: text})
		default:
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return g.write()
}

// refusedWhole refuses a capture that is to be recorded as a whole, and names its events.
func refusedWhole(record *provenance.Capture) error {
	parts := []string{}
	for _, r := range record.Refused[:min(len(record.Refused), maxRefusalsNamed)] {
		parts = append(parts, fmt.Sprintf("event %d: %s: %s", r.Position, r.Code, r.Message))
	}
	if more := len(record.Refused) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return &provenance.Error{Code: record.Refused[0].Code, Message: strings.Join(parts, "; ")}
}

// prefetchEvents reads what judging the events will ask for, in few exchanges with the peer.
func (g *ground) prefetchEvents(all []heard) error {
	keys, goods := []string{}, []string{}
	for i := range all {
		h := &all[i]
		if h.refusal != nil {
			continue
		}
		keys = append(append(keys, provenance.EventKey(h.record.Hash)), h.links(g.tx.organisation)...)
		goods = append(goods, h.goods()...)
		if h.lot != "" {
			goods = append(goods, h.lot)
		}
	}
	if len(goods) > provenance.MaxObjectsInCapture {
		return provenance.Invalidf("the events are about %d things and lots, at most %d are allowed in one capture", len(goods), provenance.MaxObjectsInCapture)
	}
	slices.Sort(keys)
	if err := g.tx.prefetch(slices.Compact(keys)); err != nil {
		return err
	}
	if err := g.prefetch(goods); err != nil {
		return err
	}
	return g.prefetchLicences(all, goods)
}

// links gives the keys of the links that the event may make or end.
func (h *heard) links(organisation string) []string {
	keys := []string{}
	if h.parent != "" {
		for _, id := range slices.Concat(h.whole.things, h.whole.lots) {
			keys = append(keys, provenance.LinkKey(h.parent, id))
		}
	}
	if h.lot != "" {
		for _, id := range slices.Concat(h.whole.things, h.outputs.things) {
			keys = append(keys, provenance.LinkKey(h.lot, id))
		}
	}
	node := h.node(h.record.Hash, organisation)
	for _, id := range slices.Concat(h.inputs.things, h.inputs.lots) {
		keys = append(keys, provenance.LinkKey(id, node))
	}
	for _, id := range slices.Concat(h.outputs.things, h.outputs.lots) {
		keys = append(keys, provenance.LinkKey(node, id))
	}
	return keys
}

// prefetchLicences reads whose the goods are that are new, and the places.
func (g *ground) prefetchLicences(all []heard, goods []string) error {
	keys, asked := []string{}, map[string]bool{}
	ask := func(id string) {
		if known, ok := epcis.Identify(id); ok && !asked[known.Value] {
			asked[known.Value] = true
			keys = append(keys, licenceKeys(known.OwnerDigits())...)
		}
	}
	for i := range all {
		if h := &all[i]; h.refusal == nil && h.record.ReadPoint != "" {
			ask(h.record.ReadPoint)
		}
	}
	for _, id := range goods {
		if item, err := g.item(id); err != nil {
			return err
		} else if item == nil {
			ask(id)
		}
	}
	slices.Sort(keys)
	return g.tx.prefetch(slices.Compact(keys))
}

// capture judges one event and records it.
func (g *ground) capture(h *heard) error {
	key := provenance.EventKey(h.record.Hash)
	standing, err := load[provenance.Event](g.tx, key)
	if err != nil {
		return err
	}
	d := g.draft(h.record)
	switch {
	case standing != nil:
		if err := d.declare(standing, h); err != nil {
			return err
		}
	case h.Error != nil: // of an event that the ledger never had
		h.record.Error = declaration(h)
	default:
		if err := d.place(); err != nil {
			return err
		}
		if err := d.apply(&h.said); err != nil {
			return err
		}
	}
	if standing != nil {
		h.record = standing
	}
	if err := g.tx.put(key, h.record); err != nil {
		return err
	}
	d.keep()
	return nil
}

// place flags an event by when and where it happened.
func (d *draft) place() error {
	if d.event.Time > d.tx.now+provenance.MaxClockSkew {
		d.event.Flags |= provenance.FutureEvent
	}
	known, ok := epcis.Identify(d.event.ReadPoint)
	if !ok {
		return nil
	}
	_, owner, err := d.tx.licensee(known, d.event.Time)
	if err == nil && owner != "" && owner != d.tx.organisation {
		d.event.Flags |= provenance.ForeignPlace
	}
	return err
}

// declare notes that an event which stands was declared to be wrong. What it did to the goods stays: corrections add.
func (d *draft) declare(standing *provenance.Event, h *heard) error {
	switch {
	case h.Error == nil || standing.Error != nil:
		return provenance.Conflictf("%s: event %s was captured by %s (capture %s, event %d)", provenance.DuplicateEvent, standing.Hash, standing.Organisation, standing.Capture, standing.Position)
	case standing.Organisation != d.tx.organisation:
		return provenance.Forbiddenf("event %s was captured by %s, who alone declares it to be wrong", standing.Hash, standing.Organisation)
	}
	for _, id := range h.goods() {
		item, err := d.item(id)
		if err != nil {
			return err
		}
		if item != nil && !item.Lot {
			d.mine(item).Flags |= provenance.DeclaredWrong
		}
	}
	standing.Flags |= provenance.DeclaredWrong
	standing.Error = declaration(h)
	return nil
}

func declaration(h *heard) *provenance.EventDeclaration {
	return &provenance.EventDeclaration{
		Capture: h.record.Capture, Position: h.record.Position, Digest: h.record.Digest,
		Reason: h.Error.Reason[:min(len(h.Error.Reason), maxVocabulary)], Recorded: h.record.Captured,
	}
}

// Get answers with an event.
func (*events) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.EventName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	event, err := load[provenance.Event](tx, provenance.EventKey(request.Hash))
	return found(event, err, fmt.Sprintf("event %s is not on the ledger", request.Hash))
}

// Job answers with what became of a capture.
func (*events) Job(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.CaptureName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkIdentifiers("organisation", request.Organisation, "capture", request.ID); err != nil {
		return "", err
	}
	capture, err := load[provenance.Capture](tx, provenance.CaptureKey(request.Organisation, request.ID))
	return found(capture, err, fmt.Sprintf("capture %s of %s is not on the ledger", request.ID, request.Organisation))
}

// Item answers with what the ledger knows of an item or a lot.
func (*events) Item(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.GoodsName](argument, maxArgument)
	if err != nil {
		return "", err
	}
	item, err := newGround(tx).knownGoods(request.ID)
	if err != nil {
		return "", err
	}
	return reply(item)
}
