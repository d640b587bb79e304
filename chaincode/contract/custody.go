package contract

import (
	"slices"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// custody passes goods and shipments from one organisation to another by two signatures: the giver's transaction offers, the
// receiver's accepts or refuses. Until then the giver holds.
type custody struct{ contractapi.Contract }

func (*custody) GetEvaluateTransactions() []string { return []string{"Get", "Holder"} }

// Offer offers a shipment, or goods with all that is in them.
func (*custody) Offer(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.OfferRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	handover, err := tx.newHandover(request)
	if err != nil {
		return "", err
	}
	key := provenance.HandoverKey(handover.ID)
	standing, err := load[provenance.Handover](tx, key)
	if err != nil {
		return "", err
	}
	if standing != nil {
		if standing.From == handover.From && standing.To == handover.To && standing.Shipment == handover.Shipment &&
			slices.Equal(standing.Goods, handover.Goods) && standing.Comment == handover.Comment {
			return reply(standing)
		}
		return "", provenance.Conflictf("handover %s stands with other content", handover.ID)
	}
	for _, organisation := range []string{handover.From, handover.To} {
		if err := tx.mustHandleGoods(organisation); err != nil {
			return "", err
		}
	}
	if handover.Shipment != "" {
		err = tx.offerShipment(handover)
	} else {
		err = tx.offerGoods(handover)
	}
	if err != nil {
		return "", err
	}
	if err := tx.put(key, handover); err != nil {
		return "", err
	}
	return reply(handover)
}

func (tx *transaction) newHandover(r *provenance.OfferRequest) (*provenance.Handover, error) {
	if err := checkIdentifiers("handover", r.ID, "to", r.To); err != nil {
		return nil, err
	}
	if err := checkText("comment", r.Comment, maxComment, true); err != nil {
		return nil, err
	}
	handover := &provenance.Handover{ID: r.ID, From: tx.organisation, To: r.To, Shipment: r.Shipment, Goods: []string{}, Comment: r.Comment, Offered: tx.now}
	switch {
	case r.To == tx.organisation:
		return nil, provenance.Invalidf("handover %s: %s cannot receive from itself", r.ID, r.To)
	case (r.Shipment == "") == (len(r.Goods) == 0):
		return nil, provenance.Invalidf("handover %s: want either a shipment or goods", r.ID)
	case r.Shipment != "":
		return handover, nil
	}
	var err error
	handover.Goods, err = goodsOf(r.Goods, provenance.MaxGoodsInHandover)
	return handover, err
}

func (tx *transaction) offerShipment(h *provenance.Handover) error {
	shipment, err := tx.opened(h.Shipment)
	if err != nil {
		return err
	}
	responsible, err := tx.shipmentCustody(shipment)
	if err != nil {
		return err
	}
	switch {
	case responsible.Custody.Holder() != h.From:
		return provenance.Forbiddenf("shipment %s is held by %s", shipment.ID, responsible.Custody.Holder())
	case responsible.Custody.Offer != "":
		return provenance.Conflictf("shipment %s is offered already, by handover %s", shipment.ID, responsible.Custody.Offer)
	case shipment.Closed != 0:
		return closed(shipment)
	case !shipment.IsParty(h.To):
		return provenance.Conflictf("%s is no party of shipment %s", h.To, shipment.ID)
	}
	responsible.Custody.Offer, responsible.Changed = h.ID, tx.now
	return tx.put(provenance.ShipmentCustodyKey(shipment.ID), responsible)
}

// shipmentCustody loads who answers for a shipment: its opener, until the first handover.
func (tx *transaction) shipmentCustody(shipment *provenance.Shipment) (*provenance.ShipmentCustody, error) {
	responsible, err := load[provenance.ShipmentCustody](tx, provenance.ShipmentCustodyKey(shipment.ID))
	if err == nil && responsible == nil {
		responsible = &provenance.ShipmentCustody{Shipment: shipment.ID}
		responsible.Custody.Pass(shipment.Organisation, shipment.Opened, "")
	}
	return responsible, err
}

func (tx *transaction) offerGoods(h *provenance.Handover) error {
	g := newGround(tx)
	if err := g.prefetch(h.Goods); err != nil {
		return err
	}
	d := g.draft(nil)
	for _, id := range h.Goods {
		item, err := g.knownGoods(id)
		if err != nil {
			return err
		}
		switch {
		case item.Lot:
			return provenance.Conflictf("%s is a lot; hand over the containers or the shipment that it is in", id)
		case item.Status != provenance.Present:
			return provenance.Conflictf("%s is %s, by event %s", id, item.Status, item.LastEvent)
		case item.Parent != "":
			return provenance.Conflictf("%s is packed in %s; hand that over, or unpack it", id, item.Parent)
		case item.Custody.Holder() != h.From:
			return provenance.Forbiddenf("%s is held by %s", id, item.Custody.Holder())
		case item.Custody.Offer != "":
			return provenance.Conflictf("%s is offered already, by handover %s", id, item.Custody.Offer)
		case item.Freeze != nil && item.Freeze.Organisation != h.To:
			return provenance.Conflictf("%s is frozen by recall %s; it may only go back to %s", id, item.Freeze.Recall, item.Freeze.Organisation)
		}
		d.mine(item).Custody.Offer = h.ID
	}
	d.keep()
	return g.write()
}

// Accept takes what was offered into the caller's custody.
func (*custody) Accept(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	handover, err := tx.handover(request.ID)
	if err != nil {
		return "", err
	}
	switch {
	case handover.To != tx.organisation:
		return "", provenance.Forbiddenf("handover %s is offered to %s", handover.ID, handover.To)
	case handover.Status == provenance.HandoverAccepted:
		return reply(handover)
	}
	if err := tx.mustHandleGoods(tx.organisation); err != nil {
		return "", err
	}
	return tx.answerHandover(handover, provenance.HandoverAccepted, "")
}

// Refuse leaves what was offered with the giver.
func (*custody) Refuse(tx *transaction, argument string) (string, error) {
	handover, reason, err := tx.refusal(argument)
	if err != nil {
		return "", err
	}
	switch {
	case handover.To != tx.organisation:
		return "", provenance.Forbiddenf("handover %s is offered to %s", handover.ID, handover.To)
	case handover.Status == provenance.HandoverRefused && handover.Reason == reason:
		return reply(handover)
	}
	return tx.answerHandover(handover, provenance.HandoverRefused, reason)
}

// Withdraw takes an offer back that nobody has answered.
func (*custody) Withdraw(tx *transaction, argument string) (string, error) {
	handover, reason, err := tx.refusal(argument)
	if err != nil {
		return "", err
	}
	switch {
	case handover.From != tx.organisation:
		return "", provenance.Forbiddenf("handover %s is offered by %s", handover.ID, handover.From)
	case handover.Status == provenance.Withdrawn && handover.Reason == reason:
		return reply(handover)
	}
	return tx.answerHandover(handover, provenance.Withdrawn, reason)
}

func (tx *transaction) refusal(argument string) (*provenance.Handover, string, error) {
	request, err := decode[provenance.RefuseRequest](argument, maxArgument)
	if err != nil {
		return nil, "", err
	}
	if err := checkText("reason", request.Reason, maxComment, false); err != nil {
		return nil, "", err
	}
	handover, err := tx.handover(request.ID)
	return handover, request.Reason, err
}

// answerHandover closes an offer, and passes custody if it was accepted.
func (tx *transaction) answerHandover(h *provenance.Handover, status provenance.HandoverStatus, reason string) (string, error) {
	if h.Status != provenance.Offered {
		return "", provenance.Conflictf("handover %s was %s at %s", h.ID, h.Status, h.Answered)
	}
	h.Status, h.Reason, h.Answered = status, reason, tx.now
	var err error
	if h.Shipment != "" {
		err = tx.settleShipment(h)
	} else {
		err = tx.settleGoods(h)
	}
	if err != nil {
		return "", err
	}
	if err := tx.put(provenance.HandoverKey(h.ID), h); err != nil {
		return "", err
	}
	return reply(h)
}

func (tx *transaction) settleShipment(h *provenance.Handover) error {
	shipment, err := tx.opened(h.Shipment)
	if err != nil {
		return err
	}
	responsible, err := tx.shipmentCustody(shipment)
	if err != nil {
		return err
	}
	if h.Status == provenance.HandoverAccepted {
		if shipment.Closed != 0 {
			return closed(shipment)
		}
		if !shipment.IsParty(h.To) {
			return provenance.Conflictf("%s is no party of shipment %s any more", h.To, shipment.ID)
		}
	}
	settle(&responsible.Custody, h)
	responsible.Changed = tx.now
	return tx.put(provenance.ShipmentCustodyKey(shipment.ID), responsible)
}

func (tx *transaction) settleGoods(h *provenance.Handover) error {
	g := newGround(tx)
	if err := g.prefetch(h.Goods); err != nil {
		return err
	}
	d := g.draft(nil)
	for _, id := range h.Goods {
		item, err := g.knownGoods(id)
		switch {
		case err != nil:
			return err
		case item.Custody.Offer == h.ID:
			settle(&d.mine(item).Custody, h)
		case h.Status == provenance.HandoverAccepted: // its issuer has claimed it in the meantime
			return provenance.Conflictf("%s is held by %s by now; refuse the handover", id, item.Custody.Holder())
		}
	}
	d.keep()
	return g.write()
}

func settle(c *provenance.Custody, h *provenance.Handover) {
	c.Offer = ""
	if h.Status == provenance.HandoverAccepted {
		c.Pass(h.To, h.Answered, h.ID)
	}
}

// handover loads one that must be on the ledger.
func (tx *transaction) handover(id string) (*provenance.Handover, error) {
	if err := checkIdentifiers("handover", id); err != nil {
		return nil, err
	}
	handover, err := load[provenance.Handover](tx, provenance.HandoverKey(id))
	if err == nil && handover == nil {
		err = provenance.NotFoundf("handover %s is not on the ledger", id)
	}
	return handover, err
}

// Get answers with a handover.
func (*custody) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	handover, err := tx.handover(request.ID)
	if err != nil {
		return "", err
	}
	return reply(handover)
}

// Holder answers with who holds, or held, a shipment or an item.
func (*custody) Holder(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.HolderRequest](argument, maxArgument)
	if err != nil {
		return "", err
	}
	holder := provenance.Holder{Containers: []string{}}
	switch {
	case (request.Shipment == "") == (request.Goods == ""):
		return "", provenance.Invalidf("want either a shipment or goods")
	case request.Shipment != "":
		shipment, err := tx.opened(request.Shipment)
		if err != nil {
			return "", err
		}
		responsible, err := tx.shipmentCustody(shipment)
		if err != nil {
			return "", err
		}
		holder.Custody = responsible.Custody
	default:
		d := newGround(tx).draft(nil)
		item, err := d.knownGoods(request.Goods)
		if err != nil {
			return "", err
		}
		if item.Lot {
			return "", provenance.Invalidf("%s is a lot; parts of it are held by each of its holders", item.ID)
		}
		if holder.Custody, err = d.custodyOf(item); err != nil {
			return "", err
		}
		around, err := d.around(item)
		if err != nil {
			return "", err
		}
		for _, container := range around[1:] {
			holder.Containers = append(holder.Containers, container.ID)
		}
	}
	holder.Organisation = holder.Custody.Holder()
	if request.At != 0 {
		if err := checkTime("at", request.At); err != nil {
			return "", err
		}
		holder.Organisation = holder.Custody.HolderAt(request.At)
	}
	return reply(holder)
}
