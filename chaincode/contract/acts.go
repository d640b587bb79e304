package contract

import (
	"slices"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// What an event says is held against what the ledger knows of the goods. It is refused where the two cannot both be true, or where
// the organisation does not hold what it speaks of; what is odd but possible is flagged. Events are judged in the order in which they
// are captured: one that happened earlier is told from the others by a flag.

// apply judges the event and makes its changes in the draft.
func (d *draft) apply(s *said) error {
	if s.Type == "TransformationEvent" {
		return d.transform(s, s.node(d.event.Hash, d.tx.organisation))
	}
	switch {
	case s.Type == "AggregationEvent" && s.Action == "ADD" && s.parent != "":
		return d.pack(s)
	case s.Type == "AggregationEvent" && s.Action == "DELETE" && s.parent != "":
		return d.unpack(s)
	}
	for _, id := range s.whole.things {
		if err := d.happened(s, id); err != nil {
			return err
		}
	}
	for _, id := range s.whole.lots {
		if err := d.lot(id, s.Type == "ObjectEvent" && s.Action == "ADD"); err != nil {
			return err
		}
	}
	if s.parent == "" {
		return nil
	}
	return d.observe(s.parent, s.Action == "OBSERVE")
}

// happened applies an event other than of packing to one of its things.
func (d *draft) happened(s *said, id string) error {
	switch {
	case s.Type == "ObjectEvent" && s.Action == "ADD":
		return d.bear(id, s.lot)
	case s.Type == "ObjectEvent" && s.Action == "DELETE":
		return d.end(id, s)
	case s.Type == "AggregationEvent" && s.parent != "":
		item, err := d.item(id)
		if err != nil {
			return err
		}
		switch {
		case item == nil || item.Parent == s.parent:
		case item.Parent != "":
			return packedElsewhere(item)
		default:
			d.flag(d.mine(item), provenance.ContainerUnclear)
		}
	}
	return d.observe(id, s.Action == "OBSERVE")
}

func (d *draft) flag(item *provenance.Item, flags provenance.Flags) {
	item.Flags |= flags
	d.event.Flags |= flags
}

// enter makes the record of something that the ledger has none of.
func (d *draft) enter(id string) (*provenance.Item, error) {
	item := d.mine(&provenance.Item{
		ID: id, Issuer: d.tx.organisation, Disposition: d.event.Disposition, Place: d.event.ReadPoint, LastEvent: d.event.Hash, LastTime: d.event.Time,
	})
	item.Custody.Pass(d.tx.organisation, min(d.event.Time, d.tx.now), "")
	if known, ok := epcis.Identify(id); ok {
		_, issuer, err := d.tx.licensee(known, d.event.Time)
		if err != nil {
			return nil, err
		}
		if issuer != "" && issuer != d.tx.organisation {
			d.flag(item, provenance.ForeignIssuer)
		}
	}
	return item, nil
}

// unseen enters something that an event takes for known.
func (d *draft) unseen(id string) (*provenance.Item, error) {
	item, err := d.enter(id)
	if err == nil {
		d.flag(item, provenance.WithoutHistory)
	}
	return item, err
}

// mayAct refuses what happens to things that are no more, or are held by another. Whoever a thing is offered to may observe it.
func (d *draft) mayAct(item *provenance.Item, observing bool) error {
	if item.Lot {
		return provenance.Conflictf("%s is a lot on the ledger, and no thing", item.ID)
	}
	if item.Status != provenance.Present {
		return provenance.Conflictf("%s is %s, by event %s; nothing can happen to it", item.ID, item.Status, item.LastEvent)
	}
	outermost, holder, err := d.holder(item)
	if err != nil || holder == d.tx.organisation {
		return err
	}
	if observing && outermost.Custody.Offer != "" {
		handover, err := load[provenance.Handover](d.tx, provenance.HandoverKey(outermost.Custody.Offer))
		if err != nil {
			return err
		}
		if handover != nil && handover.To == d.tx.organisation {
			return nil
		}
	}
	return provenance.Forbiddenf("%s is held by %s", item.ID, holder)
}

// mustStay refuses changes to what is offered to another organisation.
func (d *draft) mustStay(item *provenance.Item) error {
	outermost, _, err := d.holder(item)
	if err != nil || outermost.Custody.Offer == "" {
		return err
	}
	return provenance.Conflictf("%s is offered to another organisation (handover %s), and must stay as it is until that is answered", outermost.ID, outermost.Custody.Offer)
}

// touch records that an event happened to a thing.
func (d *draft) touch(item *provenance.Item) (*provenance.Item, error) {
	if item.LastEvent == d.event.Hash {
		return d.mine(item), nil
	}
	if item.Freeze != nil && moves(d.event) {
		return nil, provenance.Conflictf("%s is frozen by recall %s of %s", item.ID, item.Freeze.Recall, item.Freeze.Organisation)
	}
	if item.LastTime == d.event.Time && item.Place != "" && d.event.ReadPoint != "" && elsewhere(item.Place, d.event.ReadPoint) {
		return nil, provenance.Conflictf("%s was at %s at %s, by event %s", item.ID, item.Place, item.LastTime, item.LastEvent)
	}
	item = d.mine(item)
	item.LastEvent = d.event.Hash
	if d.event.Time < item.LastTime {
		d.flag(item, provenance.OutOfOrder)
		return item, nil
	}
	item.LastTime = d.event.Time
	if d.event.Disposition != "" {
		item.Disposition = d.event.Disposition
	}
	if d.event.ReadPoint != "" {
		item.Place = d.event.ReadPoint
	}
	return item, nil
}

// elsewhere tells whether two places are at different locations, as far as that is known: parts of one location are one place, and a
// coordinate may well lie in a location.
func elsewhere(a, b string) bool {
	one, first := epcis.Identify(a)
	other, second := epcis.Identify(b)
	return first && second && one.Value != other.Value
}

// moves tells whether an event takes goods further down their way: under a recall they may only go back, or to their end.
func moves(e *provenance.Event) bool {
	switch e.Disposition {
	case "recalled", "returned", "destroyed", "disposed", "non_sellable_other":
		return false
	}
	switch e.BizStep {
	case "shipping", "departing", "consigning", "loading", "transporting", "staging_outbound", "retail_selling", "dispensing":
		return true
	}
	return e.Type == "TransformationEvent"
}

func (d *draft) observe(id string, observing bool) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	if item == nil {
		_, err = d.unseen(id)
		return err
	}
	if err := d.mayAct(item, observing); err != nil {
		return err
	}
	_, err = d.touch(item)
	return err
}

// bear commissions a thing. One that was seen before it was commissioned belongs to whose company prefix it has.
func (d *draft) bear(id, lot string) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	switch {
	case item == nil:
		if item, err = d.enter(id); err != nil {
			return err
		}
	case item.Status != provenance.Present || item.Born != 0:
		return provenance.Conflictf("%s was commissioned before; the last event about it is %s", id, item.LastEvent)
	default:
		if item, err = d.claim(item); err != nil {
			return err
		}
	}
	item.Born = d.event.Time
	if lot == "" {
		return nil
	}
	item.MemberOf = lot
	if err := d.lot(lot, true); err != nil {
		return err
	}
	return d.connect(lot, id, provenance.Member)
}

func (d *draft) claim(item *provenance.Item) (*provenance.Item, error) {
	if item.Lot {
		return nil, provenance.Conflictf("%s is a lot on the ledger, and no thing", item.ID)
	}
	_, holder, err := d.holder(item)
	if err != nil {
		return nil, err
	}
	if holder != d.tx.organisation {
		known, _ := epcis.Identify(item.ID)
		_, issuer, err := d.tx.licensee(known, d.event.Time)
		if err != nil {
			return nil, err
		}
		if issuer != d.tx.organisation {
			return nil, provenance.Forbiddenf("%s is held by %s", item.ID, holder)
		}
	}
	item, err = d.touch(item)
	if err != nil {
		return nil, err
	}
	if item.Parent != "" {
		if err := d.takeOut(item); err != nil {
			return nil, err
		}
	}
	if item.Custody.Holder() != d.tx.organisation {
		item.Custody.Pass(d.tx.organisation, d.tx.now, "")
		item.Custody.Offer = ""
	}
	d.flag(item, provenance.SeenBefore)
	return item, nil
}

// end takes a thing out of the world.
func (d *draft) end(id string, s *said) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	if item == nil {
		item, err = d.unseen(id)
	} else {
		item, err = d.leave(item)
	}
	if err != nil {
		return err
	}
	item.Status = provenance.Decommissioned
	if s.BizStep == "destroying" || s.Disposition == "destroyed" {
		item.Status = provenance.Destroyed
	}
	return nil
}

// leave prepares a thing that is about to be no more: it is nobody's offer, and in no container.
func (d *draft) leave(item *provenance.Item) (*provenance.Item, error) {
	if err := d.mayAct(item, false); err != nil {
		return nil, err
	}
	if err := d.mustStay(item); err != nil {
		return nil, err
	}
	item, err := d.touch(item)
	if err != nil || item.Parent == "" {
		return item, err
	}
	d.flag(item, provenance.ContainerUnclear)
	return item, d.takeOut(item)
}

// takeOut takes a thing out of its container; who held the container holds it.
func (d *draft) takeOut(item *provenance.Item) error {
	custody, err := d.custodyOf(item)
	if err != nil {
		return err
	}
	if err := d.part(item.Parent, item.ID); err != nil {
		return err
	}
	item.Parent, item.Custody.Terms = "", custody.Terms
	return nil
}

// lot notes a lot, and that the organisation holds some of it.
func (d *draft) lot(id string, born bool) error {
	lot, err := d.item(id)
	if err != nil {
		return err
	}
	if lot == nil {
		if born {
			lot, err = d.enter(id)
		} else {
			lot, err = d.unseen(id)
		}
		if err != nil {
			return err
		}
		// Much happens to parts of a lot at once: its record keeps only what stays.
		lot.Lot, lot.Custody, lot.Disposition, lot.Place, lot.Holders = true, provenance.Custody{}, "", "", []string{d.tx.organisation}
	}
	if !lot.Lot {
		return provenance.Conflictf("%s is a thing on the ledger, and no lot", lot.ID)
	}
	if lot.Freeze != nil && moves(d.event) {
		return provenance.Conflictf("%s is frozen by recall %s of %s", lot.ID, lot.Freeze.Recall, lot.Freeze.Organisation)
	}
	if born && lot.Born == 0 {
		if lot.LastEvent != d.event.Hash {
			d.flag(d.mine(lot), provenance.SeenBefore)
		}
		d.mine(lot).Born = d.event.Time
	}
	if lot, err = d.item(id); err != nil || slices.Contains(lot.Holders, d.tx.organisation) {
		return err
	}
	d.event.Flags |= provenance.NoCustody
	d.hold(lot, d.tx.organisation)
	return nil
}

// hold notes that an organisation holds some of a lot.
func (d *draft) hold(lot *provenance.Item, organisation string) {
	if slices.Contains(lot.Holders, organisation) || len(lot.Holders) >= maxHolders {
		return
	}
	own := d.mine(lot)
	own.Holders = append(slices.Clone(own.Holders), organisation)
	slices.Sort(own.Holders)
}

func packedElsewhere(item *provenance.Item) error {
	return provenance.Conflictf("%s is packed in %s", item.ID, item.Parent)
}
