package contract

import (
	"slices"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// pack puts things and parts of lots into a container. A logistic unit may begin its life with it.
func (d *draft) pack(s *said) error {
	parent, err := d.item(s.parent)
	if err != nil {
		return err
	}
	if parent == nil {
		if parent, err = d.enter(s.parent); err != nil {
			return err
		}
		if known, ok := epcis.Identify(s.parent); ok && (known.Key == "SSCC" || known.Key == "GRAI" || known.Key == "GIAI") {
			parent.Born = d.event.Time
		} else {
			d.flag(parent, provenance.WithoutHistory)
		}
	} else {
		if err := d.mayAct(parent, false); err != nil {
			return err
		}
		if err := d.mustStay(parent); err != nil {
			return err
		}
		if parent, err = d.touch(parent); err != nil {
			return err
		}
	}
	around, err := d.around(parent)
	if err != nil {
		return err
	}
	if len(around) >= maxNesting {
		return provenance.Conflictf("%s is inside %d containers, no more are allowed", s.parent, len(around)-1)
	}
	for _, id := range s.whole.things {
		if slices.ContainsFunc(around, func(outer *provenance.Item) bool { return outer.ID == id }) {
			return provenance.Conflictf("%s is inside %s, which cannot be packed in it", s.parent, id)
		}
		if err := d.packOne(id, s.parent); err != nil {
			return err
		}
	}
	for _, id := range s.whole.lots {
		if err := d.lot(id, false); err != nil {
			return err
		}
		if err := d.connect(s.parent, id, provenance.Contains); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) packOne(id, parent string) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	if item == nil {
		item, err = d.unseen(id)
	} else {
		if item.Parent != "" && item.Parent != parent {
			return packedElsewhere(item)
		}
		if err := d.mayAct(item, false); err != nil {
			return err
		}
		if err := d.mustStay(item); err != nil {
			return err
		}
		item, err = d.touch(item)
	}
	if err != nil {
		return err
	}
	item.Parent = parent
	return d.connect(parent, id, provenance.Contains)
}

// unpack takes things out of a container, all of them where the event names none. A container that is no more may still be unpacked.
func (d *draft) unpack(s *said) error {
	parent, err := d.item(s.parent)
	if err != nil {
		return err
	}
	all := len(s.whole.things)+len(s.whole.lots) == 0 && len(s.Children)+len(s.ChildQuantities) == 0
	if parent == nil {
		if _, err = d.unseen(s.parent); err != nil {
			return err
		}
	} else {
		if err := d.mayUnpack(parent); err != nil {
			return err
		}
		if _, err = d.touch(parent); err != nil {
			return err
		}
	}
	things, lots := s.whole.things, s.whole.lots
	if all {
		if things, lots, err = d.everythingIn(s.parent); err != nil {
			return err
		}
	}
	for _, id := range things {
		if err := d.unpackOne(id, s.parent); err != nil {
			return err
		}
	}
	for _, id := range lots {
		if err := d.unpackLot(id, s.parent, all); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) mayUnpack(parent *provenance.Item) error {
	existing := *parent
	existing.Status = provenance.Present
	if err := d.mayAct(&existing, false); err != nil {
		return err
	}
	return d.mustStay(parent)
}

func (d *draft) everythingIn(container string) (things, lots []string, err error) {
	contents, err := d.contents(container)
	if err != nil {
		return nil, nil, err
	}
	if err := d.prefetch(contents); err != nil {
		return nil, nil, err
	}
	for _, id := range contents {
		item, err := d.item(id)
		switch {
		case err != nil:
			return nil, nil, err
		case item != nil && item.Lot:
			lots = append(lots, id)
		case item != nil:
			things = append(things, id)
		}
	}
	return things, lots, nil
}

func (d *draft) unpackOne(id, parent string) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	if item == nil {
		_, err = d.unseen(id)
		return err
	}
	if item.Parent != parent {
		return provenance.Conflictf("%s is not packed in %s", id, parent)
	}
	if item, err = d.touch(item); err != nil {
		return err
	}
	return d.takeOut(item)
}

// unpackLot takes some of a lot out. What is left is not known, so the link ends only when the container is emptied.
func (d *draft) unpackLot(id, parent string, all bool) error {
	lot, err := d.item(id)
	if err != nil {
		return err
	}
	if lot == nil {
		return d.lot(id, false)
	}
	link, err := d.link(parent, id)
	if err != nil {
		return err
	}
	if link == nil || link.Until != 0 {
		return provenance.Conflictf("%s is not packed in %s", id, parent)
	}
	d.hold(lot, d.tx.organisation) // it came with the container
	if all {
		return d.part(parent, id)
	}
	return d.lot(id, false)
}

// transform uses up inputs and brings forth outputs. A thing that is both stays.
func (d *draft) transform(s *said, node string) error {
	for _, id := range s.inputs.things {
		if slices.Contains(s.outputs.things, id) {
			if err := d.observe(id, false); err != nil {
				return err
			}
			continue
		}
		if err := d.useUp(id); err != nil {
			return err
		}
		if err := d.connect(id, node, provenance.Consumed); err != nil {
			return err
		}
	}
	for _, id := range s.inputs.lots {
		if err := d.lot(id, false); err != nil {
			return err
		}
		if err := d.connect(id, node, provenance.Consumed); err != nil {
			return err
		}
	}
	for _, id := range s.outputs.things {
		if !slices.Contains(s.inputs.things, id) {
			if err := d.bear(id, s.lot); err != nil {
				return err
			}
		}
		if err := d.connect(node, id, provenance.Produced); err != nil {
			return err
		}
	}
	for _, id := range s.outputs.lots {
		if err := d.lot(id, true); err != nil {
			return err
		}
		if err := d.connect(node, id, provenance.Produced); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) useUp(id string) error {
	item, err := d.item(id)
	if err != nil {
		return err
	}
	if item == nil {
		item, err = d.unseen(id)
	} else {
		item, err = d.leave(item)
	}
	if err == nil {
		item.Status = provenance.UsedUp
	}
	return err
}
