package evidence

import "github.com/trailmark/trailmark/chaincode/provenance"

// goodsKinds are the kinds of state of goods and of who answers for them, by their keys' prefix.
var goodsKinds = map[string]func() any{
	"k": func() any { return new(provenance.Licence) },
	"w": func() any { return new(provenance.Roles) },
	"j": func() any { return new(provenance.Capture) },
	"e": func() any { return new(provenance.Event) },
	"i": func() any { return new(provenance.Item) },
	"g": func() any { return new(provenance.Link) },
	"v": func() any { return new(provenance.Handover) },
	"t": func() any { return new(provenance.ShipmentCustody) },
	"r": func() any { return new(provenance.Recall) },
	"f": func() any { return new(provenance.Recalled) },
}

// goodsKey is stateKey for those.
func goodsKey(state any) string {
	switch s := state.(type) {
	case *provenance.Licence:
		return provenance.LicenceKey(s.Key)
	case *provenance.Roles:
		return provenance.RolesKey(s.Organisation)
	case *provenance.Capture:
		return provenance.CaptureKey(s.Organisation, s.ID)
	case *provenance.Event:
		return provenance.EventKey(s.Hash)
	case *provenance.Item:
		return provenance.ItemKey(s.ID)
	case *provenance.Link:
		return provenance.LinkKey(s.From, s.To)
	case *provenance.Handover:
		return provenance.HandoverKey(s.ID)
	case *provenance.ShipmentCustody:
		return provenance.ShipmentCustodyKey(s.Shipment)
	case *provenance.Recall:
		return provenance.RecallKey(s.ID)
	case *provenance.Recalled:
		return provenance.RecalledKey(s.Recall, s.ID)
	}
	return ""
}
