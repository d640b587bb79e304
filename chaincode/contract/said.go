package contract

import (
	"slices"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// objects are the goods of one list of an event: things, and lots. Classes without a lot, and places, have no record.
type objects struct{ things, lots []string }

func objectsOf(epcs []string, quantities []epcis.Quantity) (o objects, err error) {
	for _, id := range epcs {
		err = o.add(id, false, err)
	}
	for _, q := range quantities {
		err = o.add(q.Class, true, err)
	}
	for _, list := range []*[]string{&o.things, &o.lots} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return o, err
}

func (o *objects) add(id string, class bool, err error) error {
	if err != nil {
		return err
	}
	if _, err := checkGoods(id); err != nil {
		return err
	}
	if provenance.IsNode(id) {
		return provenance.Invalidf("%s names a transformation, and no goods", id)
	}
	switch known, ok := epcis.Identify(id); {
	case ok && isPlace(known):
	case ok && known.IsInstance(), !ok && !class:
		o.things = append(o.things, id)
	case ok && known.Lot != "", !ok:
		o.lots = append(o.lots, id)
	}
	return nil
}

func isPlace(id epcis.Identifier) bool { return id.Key == "GLN" || id.Key == "party GLN" }

// said is an event made ready to be judged.
type said struct {
	epcis.Facts
	whole   objects // an object or transaction event's; an aggregation's children
	inputs  objects
	outputs objects
	parent  string // "" where there is none, or it is a place
	lot     string // of the things commissioned, by their master data
}

func (s *said) size() int {
	n := 0
	for _, o := range []objects{s.whole, s.inputs, s.outputs} {
		n += len(o.things) + len(o.lots)
	}
	return n
}

// node is the identifier under which a transformation is linked.
func (s *said) node(event provenance.Hash, organisation string) string {
	if s.TransformationID != "" {
		return provenance.TransformationNode(organisation, s.TransformationID)
	}
	return provenance.EventNode(event)
}

// goods lists all that the event speaks of.
func (s *said) goods() []string {
	all := slices.Concat(s.whole.things, s.whole.lots, s.inputs.things, s.inputs.lots, s.outputs.things, s.outputs.lots)
	if s.parent != "" {
		all = append(all, s.parent)
	}
	return all
}
