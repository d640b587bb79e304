package api

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// vouchers tells which organisations have an anchored checkpoint that holds a leaf.
type vouchers struct {
	server *server
	names  names
	least  uint64 // every organisation vouches for leaves below this
	known  map[uint64][]Organisation
	all    []Organisation
}

func (s *server) vouchers(n names) *vouchers {
	return &vouchers{server: s, names: n, known: map[uint64][]Organisation{}}
}

func (v *vouchers) of(ctx context.Context, leaf uint64) ([]Organisation, error) {
	if leaf < v.least {
		return v.all, nil
	}
	if found, known := v.known[leaf]; known {
		return found, nil
	}
	covering, err := v.server.Store.Covering(ctx, leaf+1)
	if err != nil {
		return nil, err
	}
	found := make([]Organisation, 0, len(covering))
	for i := range covering {
		found = append(found, v.names.of(covering[i].Organisation))
	}
	v.known[leaf] = found
	if len(found) > 0 && len(found) == len(v.names) {
		v.least, v.all = leaf+1, found
	}
	return found, nil
}

// alertsOf shows alerts in the order given.
func (s *server) alertsOf(ctx context.Context, alerts []readmodel.Alert, n names) ([]Alert, error) {
	byLeaf := make([]int, len(alerts)) // the newest first: who vouches for it vouches for the older ones
	for i := range byLeaf {
		byLeaf[i] = i
	}
	slices.SortFunc(byLeaf, func(a, b int) int { return cmp.Compare(alerts[b].Stamp.Leaf, alerts[a].Stamp.Leaf) })
	shown, v := make([]Alert, len(alerts)), s.vouchers(n)
	for _, i := range byLeaf {
		proven, err := v.of(ctx, alerts[i].Stamp.Leaf)
		if err != nil {
			return nil, err
		}
		shown[i] = alertOf(&alerts[i], n, proven)
	}
	return shown, nil
}

// ListAlerts implements listAlerts.
func (s *server) ListAlerts(ctx context.Context, r ListAlertsRequestObject) (ListAlertsResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	filter := readmodel.AlertFilter{
		Paging: readmodel.Paging{After: value(r.Params.After), Limit: limit(r.Params.Limit)}, Shipment: value(r.Params.Shipment),
		Kind: string(value(r.Params.Kind)), Acknowledged: r.Params.Acknowledged,
	}
	found, err := s.Store.Alerts(ctx, filter)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	page := ListAlerts200JSONResponse{Next: textSet(found.Next)}
	if page.Items, err = s.alertsOf(ctx, found.Items, n); err != nil {
		return nil, err
	}
	page.Total, err = s.totals.of(ctx, s.Store, key("alerts", filter.Shipment, filter.Kind, filter.Acknowledged), found.Next == "" && filter.After == "", len(found.Items), func(p readmodel.Paging) (int, string, error) {
		filter.Paging = p
		found, err := s.Store.Alerts(ctx, filter)
		return len(found.Items), found.Next, err
	})
	return page, err
}

func (s *server) alert(ctx context.Context, shipment, id string) (Alert, error) {
	if err := s.ready(ctx); err != nil {
		return Alert{}, err
	}
	found, err := s.Store.Alert(ctx, shipment, id)
	if err != nil {
		return Alert{}, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return Alert{}, err
	}
	shown, err := s.alertsOf(ctx, []readmodel.Alert{found}, n)
	if err != nil {
		return Alert{}, err
	}
	return shown[0], nil
}

// GetAlert implements getAlert.
func (s *server) GetAlert(ctx context.Context, r GetAlertRequestObject) (GetAlertResponseObject, error) {
	shown, err := s.alert(ctx, r.Shipment, r.Alert)
	return GetAlert200JSONResponse(shown), err
}

// AcknowledgeAlert implements acknowledgeAlert.
func (s *server) AcknowledgeAlert(ctx context.Context, r AcknowledgeAlertRequestObject) (AcknowledgeAlertResponseObject, error) {
	who := person(ctx)
	switch {
	case !who.MayAcknowledge:
		return nil, &failure{Forbidden, "Your token does not allow acknowledging alerts.", "Ask whoever runs this node to let you (mayAcknowledge in people.json)."}
	case s.Acknowledge == nil:
		return nil, unavailable("This node does not write to the ledger.", "Ask a node that is connected to a peer.")
	case len(strings.TrimSpace(r.Body.Comment)) < 3:
		return nil, invalid("The body: the comment must say something.")
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if known, err := s.Store.Alert(ctx, r.Shipment, r.Alert); err != nil {
		return nil, err
	} else if known.Acknowledgement != nil {
		return nil, provenance.Conflictf("%s acknowledged this alert before, on %s; that stands", known.Acknowledgement.Person, clockTime(known.Acknowledgement.Time))
	}
	written, err := s.Acknowledge(ctx, provenance.AcknowledgeRequest{Shipment: r.Shipment, ID: r.Alert, Person: who.Name, Comment: strings.TrimSpace(r.Body.Comment)})
	if err != nil {
		return nil, err
	}
	// The block that holds it may not have been projected yet: the ledger's word, beside what is known of the version before.
	stands, err := s.Store.Alert(ctx, r.Shipment, r.Alert)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	if stands.Acknowledgement == nil {
		stands.Alert = written
		return AcknowledgeAlert200JSONResponse(alertOf(&stands, n, []Organisation{})), nil
	}
	shown, err := s.alertsOf(ctx, []readmodel.Alert{stands}, n)
	if err != nil {
		return nil, err
	}
	return AcknowledgeAlert200JSONResponse(shown[0]), nil
}

func receiptFile(data []byte, name string) ReceiptFileApplicationcborResponse {
	disposition := `attachment; filename="` + strings.ReplaceAll(name, ":", "_") + `.receipt"` // identifiers hold no quotes
	return ReceiptFileApplicationcborResponse{Body: bytes.NewReader(data), ContentLength: int64(len(data)), Headers: ReceiptFileResponseHeaders{ContentDisposition: &disposition}}
}

// GetAlertReceipt implements getAlertReceipt.
func (s *server) GetAlertReceipt(ctx context.Context, r GetAlertReceiptRequestObject) (GetAlertReceiptResponseObject, error) {
	if s.Receipts == nil {
		return nil, errNoGateway
	}
	data, err := s.Receipts.Alert(ctx, r.Shipment, r.Alert)
	if err != nil {
		return nil, err
	}
	return GetAlertReceipt200ApplicationcborResponse{receiptFile(data, r.Shipment+"-"+r.Alert)}, nil
}
