package contract

import (
	"bytes"
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of a shipment.
const (
	maxParties     = 32
	maxGoods       = 100
	maxAttachments = 1000
)

// shipments holds goods under one plan. Only its parties change a shipment, and only its opener says who they are.
type shipments struct{ contractapi.Contract }

func (*shipments) GetEvaluateTransactions() []string { return []string{"Get", "List"} }

// Open begins a shipment; the caller becomes its opener, and a party.
func (*shipments) Open(tx *transaction, argument string) (string, error) {
	opening, err := decode[provenance.Opening](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkOpening(opening); err != nil {
		return "", err
	}
	parties, err := tx.partiesOf(tx.organisation, opening.Parties)
	if err != nil {
		return "", err
	}
	shipment := &provenance.Shipment{
		ID: opening.ID, Organisation: tx.organisation, Parties: parties, Goods: opening.Goods, Profile: opening.Profile,
		Limits: opening.Limits, Initial: opening.Initial, Attachments: []provenance.Attachment{}, Opened: opening.Opened,
		Changed: tx.now, Origin: opening.Origin, Destination: opening.Destination, Confidential: opening.Confidential,
	}
	key := provenance.ShipmentKey(opening.ID)
	standing, err := load[provenance.Shipment](tx, key)
	if err != nil {
		return "", err
	}
	if standing == nil {
		if err := tx.put(key, shipment); err != nil {
			return "", err
		}
		return reply(shipment)
	}
	same, err := openedAlike(standing, shipment)
	if err != nil {
		return "", err
	}
	if !same {
		return "", provenance.Conflictf("shipment %s was opened by %s with other content", shipment.ID, standing.Organisation)
	}
	return reply(standing)
}

func checkOpening(o *provenance.Opening) error {
	if err := checkIdentifiers("shipment", o.ID, "profile", o.Profile); err != nil {
		return err
	}
	if err := checkTime("opened", o.Opened); err != nil {
		return err
	}
	if n := len(o.Goods); n == 0 || n > maxGoods {
		return provenance.Invalidf("shipment %s: %d kinds of goods, 1 to %d are allowed", o.ID, n, maxGoods)
	}
	for _, goods := range o.Goods {
		if err := checkGTIN(goods.GTIN); err != nil {
			return err
		}
		if err := checkText("lot", goods.Lot, provenance.MaxIdentifier, true); err != nil {
			return err
		}
		if err := checkText("description of goods", goods.Description, maxText, false); err != nil {
			return err
		}
	}
	if o.Limits.Min >= o.Limits.Max {
		return provenance.Invalidf("shipment %s: the temperature band from %s to %s is empty", o.ID, o.Limits.Min, o.Limits.Max)
	}
	if err := checkText("origin", o.Origin, maxText, true); err != nil {
		return err
	}
	return checkText("destination", o.Destination, maxText, true)
}

// checkGTIN accepts a GTIN of 8, 12, 13 or 14 digits, the last of them the check digit (GS1 General Specifications, 7.9), or none.
func checkGTIN(gtin string) error {
	if gtin == "" {
		return nil
	}
	if n := len(gtin); n != 8 && n != 12 && n != 13 && n != 14 {
		return provenance.Invalidf("GTIN %q: want 8, 12, 13 or 14 digits", gtin)
	}
	sum, weight := 0, 1
	for i := len(gtin) - 1; i >= 0; i-- {
		if gtin[i] < '0' || gtin[i] > '9' {
			return provenance.Invalidf("GTIN %q: want digits only", gtin)
		}
		sum += weight * int(gtin[i]-'0')
		weight = 4 - weight
	}
	if sum%10 != 0 {
		return provenance.Invalidf("GTIN %q: the check digit is wrong", gtin)
	}
	return nil
}

// openedAlike compares what two shipments were opened with, whatever happened since.
func openedAlike(a, b *provenance.Shipment) (bool, error) {
	var encoded [2][]byte
	for i, s := range []*provenance.Shipment{a, b} {
		opened := *s
		opened.Attachments, opened.Closed, opened.Changed = nil, 0, 0
		var err error
		if encoded[i], err = evidence.Marshal(opened); err != nil {
			return false, err
		}
	}
	return bytes.Equal(encoded[0], encoded[1]), nil
}

// partiesOf gives the parties in their order, the opener among them. All must be registered, so that a name mistyped is found
// before somebody cannot act.
func (tx *transaction) partiesOf(opener string, named []string) ([]string, error) {
	if len(named) > maxParties {
		return nil, provenance.Invalidf("%d parties, at most %d are allowed", len(named), maxParties)
	}
	parties := append([]string{opener}, named...)
	slices.Sort(parties)
	parties = slices.Compact(parties)
	keys := make([]string, len(parties))
	for i, party := range parties {
		if err := checkIdentifiers("party", party); err != nil {
			return nil, err
		}
		keys[i] = provenance.OrganisationKey(party)
	}
	if err := tx.prefetch(keys); err != nil {
		return nil, err
	}
	for _, party := range parties {
		if _, err := tx.registered(party); err != nil {
			return nil, err
		}
	}
	return parties, nil
}

// SetParties replaces the parties. Who owns an attached device stays one.
func (*shipments) SetParties(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.PartiesRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	return tx.changeShipment(request.Shipment, func(shipment *provenance.Shipment) (bool, error) {
		if shipment.Organisation != tx.organisation {
			return false, provenance.Forbiddenf("shipment %s was opened by %s, who alone names its parties", shipment.ID, shipment.Organisation)
		}
		parties, err := tx.partiesOf(shipment.Organisation, request.Parties)
		if err != nil || slices.Equal(parties, shipment.Parties) {
			return false, err
		}
		if shipment.Closed != 0 {
			return false, closed(shipment)
		}
		shipment.Parties = parties
		for _, attachment := range shipment.Attachments {
			device, err := tx.enrolled(attachment.Device)
			if err != nil {
				return false, err
			}
			if !shipment.IsParty(device.Organisation) {
				return false, provenance.Conflictf("%s must stay a party of shipment %s: its device %s is attached", device.Organisation, shipment.ID, device.ID)
			}
		}
		return true, nil
	})
}

// Attach ties a device to the shipment for an interval of acquisition time.
func (*shipments) Attach(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.AttachRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	attachment := provenance.Attachment{Device: request.Device, From: request.From, To: request.To}
	return tx.changeShipment(request.Shipment, func(shipment *provenance.Shipment) (bool, error) {
		return tx.attach(shipment, attachment)
	})
}

// Detach ends an attachment.
func (*shipments) Detach(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.DetachRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	return tx.changeShipment(request.Shipment, func(shipment *provenance.Shipment) (bool, error) {
		_, changed, err := detach(shipment, request.Device, request.At)
		return changed, err
	})
}

// Replace lets one device take another's place for what is left of its interval.
func (*shipments) Replace(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ReplaceRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if request.Device == request.With {
		return "", provenance.Invalidf("device %s cannot replace itself", request.Device)
	}
	return tx.changeShipment(request.Shipment, func(shipment *provenance.Shipment) (bool, error) {
		to, changed, err := detach(shipment, request.Device, request.At)
		if err != nil {
			return false, err
		}
		begins := func(a provenance.Attachment) bool { return a.Device == request.With && a.From == request.At }
		if !changed && slices.ContainsFunc(shipment.Attachments, begins) {
			return false, nil // a retry
		}
		return tx.attach(shipment, provenance.Attachment{Device: request.With, From: request.At, To: to})
	})
}

// Close ends the shipment and what is still attached.
func (*shipments) Close(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.CloseRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkTime("at", request.At); err != nil {
		return "", err
	}
	return tx.changeShipment(request.Shipment, func(shipment *provenance.Shipment) (bool, error) {
		switch {
		case shipment.Closed == request.At:
			return false, nil
		case shipment.Closed != 0:
			return false, closed(shipment)
		case request.At < shipment.Opened:
			return false, provenance.Conflictf("shipment %s was opened as of %s, it cannot be closed as of %s", shipment.ID, shipment.Opened, request.At)
		}
		for i := range shipment.Attachments {
			attachment := &shipment.Attachments[i]
			if attachment.From >= request.At {
				return false, provenance.Conflictf("device %s is attached to shipment %s from %s on, after it would close", attachment.Device, shipment.ID, attachment.From)
			}
			if attachment.To == 0 || attachment.To > request.At {
				attachment.To = request.At
			}
		}
		shipment.Closed = request.At
		return true, nil
	})
}

// attach adds an attachment. Devices of one shipment may overlap each other, and a device may serve several shipments (a
// truck's sensor does), but no device is attached twice to the same one at a time.
func (tx *transaction) attach(shipment *provenance.Shipment, a provenance.Attachment) (changed bool, err error) {
	device, err := tx.enrolled(a.Device)
	if err != nil {
		return false, err
	}
	if err := checkTime("from", a.From); err != nil {
		return false, err
	}
	if a.To != 0 && (a.To <= a.From || a.To > maxTime) {
		return false, provenance.Invalidf("the attachment's interval from %s to %s is empty or out of bounds", a.From, a.To)
	}
	if slices.Contains(shipment.Attachments, a) {
		return false, nil
	}
	switch {
	case shipment.Closed != 0:
		return false, closed(shipment)
	case !shipment.IsParty(device.Organisation):
		return false, provenance.Conflictf("device %s belongs to %s, who is no party of shipment %s", device.ID, device.Organisation, shipment.ID)
	case device.Status == provenance.Revoked && a.To == 0:
		return false, provenance.Conflictf("device %s is revoked; it may be attached only for an interval that has ended", device.ID)
	case a.From < shipment.Opened:
		return false, provenance.Conflictf("shipment %s was opened as of %s, nothing can be attached from %s on", shipment.ID, shipment.Opened, a.From)
	case len(shipment.Attachments) >= maxAttachments:
		return false, provenance.Conflictf("shipment %s has had %d attachments, no more are allowed", shipment.ID, maxAttachments)
	}
	for _, other := range shipment.Attachments {
		if other.Device == a.Device && (other.To == 0 || a.From < other.To) && (a.To == 0 || other.From < a.To) {
			return false, provenance.Conflictf("device %s is attached to shipment %s from %s on already", a.Device, shipment.ID, other.From)
		}
	}
	shipment.Attachments = append(shipment.Attachments, a)
	return true, nil
}

// detach ends a device's attachment at a time within it, and returns when it would have ended.
func detach(shipment *provenance.Shipment, device string, at provenance.Time) (end provenance.Time, changed bool, err error) {
	if err := checkIdentifiers("device", device); err != nil {
		return 0, false, err
	}
	if err := checkTime("at", at); err != nil {
		return 0, false, err
	}
	for i := range shipment.Attachments {
		a := &shipment.Attachments[i]
		switch {
		case a.Device != device:
		case a.To == at:
			return 0, false, nil
		case a.From < at && a.Holds(at):
			if shipment.Closed != 0 {
				return 0, false, closed(shipment)
			}
			end, a.To = a.To, at
			return end, true, nil
		}
	}
	return 0, false, provenance.Conflictf("device %s is not attached to shipment %s until %s", device, shipment.ID, at)
}

func closed(shipment *provenance.Shipment) error {
	return provenance.Conflictf("shipment %s was closed as of %s", shipment.ID, shipment.Closed)
}

// changeShipment applies a rule to a shipment that the caller's organisation is a party of.
func (tx *transaction) changeShipment(id string, rule func(*provenance.Shipment) (changed bool, err error)) (string, error) {
	shipment, err := tx.opened(id)
	if err != nil {
		return "", err
	}
	if !shipment.IsParty(tx.organisation) {
		return "", provenance.Forbiddenf("%s is no party of shipment %s", tx.organisation, id)
	}
	changed, err := rule(shipment)
	if err != nil {
		return "", err
	}
	if changed {
		shipment.Changed = tx.now
		if err := tx.put(provenance.ShipmentKey(id), shipment); err != nil {
			return "", err
		}
	}
	return reply(shipment)
}

// opened loads a shipment that must be on the ledger.
func (tx *transaction) opened(id string) (*provenance.Shipment, error) {
	if err := checkIdentifiers("shipment", id); err != nil {
		return nil, err
	}
	shipment, err := load[provenance.Shipment](tx, provenance.ShipmentKey(id))
	if err == nil && shipment == nil {
		err = provenance.NotFoundf("shipment %s is not on the ledger", id)
	}
	return shipment, err
}

// Get answers with a shipment.
func (*shipments) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	shipment, err := tx.opened(request.ID)
	if err != nil {
		return "", err
	}
	return reply(shipment)
}

// List answers with a page of shipments.
func (*shipments) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Shipment](tx, provenance.ShipmentKey(""), argument)
}
