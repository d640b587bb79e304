package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// judged is a shipment with what was judged about it.
type judged struct {
	*facts
	*judgement
	summary ShipmentSummary
}

func (s *server) moment() moment {
	speed, simulated := s.Clock.Simulated()
	if !simulated {
		speed = 1
	}
	return moment{s.Clock.Now(), speed}
}

// ready makes sure that the board has heard of all changes.
func (s *server) ready(ctx context.Context) error {
	switch {
	case s.board == nil:
		return errNoGateway
	case s.live != nil:
		s.live.start()
		return s.live.caughtUp(ctx)
	default:
		s.board.invalidate()
	}
	return nil
}

func (s *server) judge(f *facts, n names, at moment) *judged {
	j := &judged{facts: f, judgement: judge(f, at)}
	r := &f.shipment
	j.summary = ShipmentSummary{
		Id: r.ID, Organisation: n.of(r.Organisation), Parties: n.all(r.Parties), Description: inALine(r.Goods), Origin: r.Origin, Destination: r.Destination,
		Profile: r.Profile, Limits: limitsOf(r.Limits), Opened: r.Opened.Time(), Closed: whenSet(r.Closed), State: j.state, Sentence: j.sentence,
		OutOfBandMinutes: j.outMinutes, OpenAlerts: int32(r.OpenAlerts), Alerts: int32(r.Alerts), Prediction: j.prediction, Devices: int32(j.attached), Readings: j.readings,
	}
	if len(r.Goods) > 0 {
		j.summary.Lot = textSet(r.Goods[0].Lot)
	}
	if d := j.latest; d != nil {
		last := d.course.last
		inBand, out := side(last.Value, &r.Limits) == 0, j.outNow
		j.summary.Latest = &Latest{Device: d.ID, Time: last.Time.Time(), Value: last.Value.Float(), Unit: d.Unit, InBand: &inBand}
		j.summary.OutOfBandNow = &out
	}
	return j
}

func inALine(goods []provenance.Goods) string {
	switch len(goods) {
	case 0:
		return ""
	case 1:
		return goods[0].Description
	}
	return fmt.Sprintf("%s and %d more", goods[0].Description, len(goods)-1)
}

// judgeOne judges one shipment.
func (s *server) judgeOne(ctx context.Context, id string) (*judged, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.board.facts(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.judge(f, n, s.moment()), nil
}

// ListShipments implements listShipments.
func (s *server) ListShipments(ctx context.Context, r ListShipmentsRequestObject) (ListShipmentsResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.board.all(ctx)
	if err != nil {
		return nil, err
	}
	page := ListShipments200JSONResponse{Items: []ShipmentSummary{}, States: []StateCount{}}
	order := newOrder(r.Params.Sort, r.Params.Order)
	after, err := order.resume(value(r.Params.After))
	if err != nil {
		return nil, err
	}
	counts, at := map[ShipmentState]int64{}, s.moment()
	var matching []*judged
	for _, f := range all {
		j := s.judge(f, n, at)
		counts[j.state]++
		if matches(j, &r.Params) {
			matching = append(matching, j)
		}
	}
	for _, state := range []ShipmentState{Act, Watch, InBand, NoData, Decided} {
		if counts[state] > 0 {
			page.States = append(page.States, StateCount{State: state, Count: counts[state]})
		}
	}
	page.Total = int64(len(matching))
	slices.SortFunc(matching, func(a, b *judged) int { return order.compare(order.place(&a.summary), order.place(&b.summary)) })
	for _, j := range matching {
		here := order.place(&j.summary)
		if after != nil && order.compare(here, *after) <= 0 {
			continue
		}
		if len(page.Items) == limit(r.Params.Limit) {
			next := order.place(&page.Items[len(page.Items)-1]).token()
			page.Next = &next
			break
		}
		page.Items = append(page.Items, j.summary)
	}
	return page, nil
}

func matches(j *judged, p *ListShipmentsParams) bool {
	if p.Open != nil && *p.Open != (j.shipment.Closed == 0) {
		return false
	}
	if p.State != nil && !slices.Contains(*p.State, j.state) {
		return false
	}
	if value(p.Search) == "" {
		return true
	}
	wanted := strings.ToLower(*p.Search)
	texts := []string{j.shipment.ID, j.shipment.Origin, j.shipment.Destination}
	for _, g := range j.shipment.Goods {
		texts = append(texts, g.Lot, g.GTIN, g.Description)
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), wanted) })
}

// order is how a list of shipments is sorted.
type order struct {
	by   ShipmentSort
	sign int
}

// place is where a shipment stands in an order.
type place struct {
	By    ShipmentSort
	Value float64
	Then  float64 // among equals the one that was opened last comes first
	ID    string
}

func newOrder(by *ShipmentSort, direction *SortOrder) order {
	o := order{ShipmentSortState, -1}
	if by != nil {
		o.by = *by
	}
	if o.by == ShipmentSortId {
		o.sign = 1
	}
	if direction != nil {
		o.sign = map[SortOrder]int{Asc: 1, Desc: -1}[*direction]
	}
	return o
}

// needs ranks states by how much they need somebody.
var needs = map[ShipmentState]float64{Act: 4, Watch: 3, NoData: 2, InBand: 1, Decided: 0}

func (o order) place(s *ShipmentSummary) place {
	p := place{By: o.by, ID: s.Id, Then: float64(s.Opened.UnixMilli())}
	switch o.by {
	case ShipmentSortState:
		p.Value = needs[s.State]
	case ShipmentSortLatest:
		if s.Latest != nil {
			p.Value = float64(s.Latest.Time.UnixMilli())
		}
	case ShipmentSortOpened:
		p.Value = float64(s.Opened.UnixMilli())
	case ShipmentSortOutOfBand:
		p.Value = s.OutOfBandMinutes
	case ShipmentSortAlerts:
		p.Value = float64(s.OpenAlerts)*1e9 + float64(s.Alerts)
	}
	return p
}

func (o order) compare(a, b place) int {
	if o.by == ShipmentSortId {
		return o.sign * cmp.Compare(a.ID, b.ID)
	}
	return cmp.Or(o.sign*cmp.Compare(a.Value, b.Value), cmp.Compare(b.Then, a.Then), cmp.Compare(a.ID, b.ID))
}

func (p place) token() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // finite numbers and strings
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func (o order) resume(token string) (*place, error) {
	if token == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	var p place
	if err != nil || json.Unmarshal(text, &p) != nil || p.By != o.by {
		return nil, invalid(`Parameter "after": it is not one that was given out for this order.`)
	}
	return &p, nil
}

const alertsOfShipment = 100

// GetShipment implements getShipment.
func (s *server) GetShipment(ctx context.Context, r GetShipmentRequestObject) (GetShipmentResponseObject, error) {
	j, err := s.judgeOne(ctx, r.Shipment)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	detail := GetShipment200JSONResponse{
		Summary: j.summary, Action: j.action, Goods: []Goods{}, Confidential: j.shipment.Confidential, Changed: j.shipment.Changed.Time(),
		Attachments: []Attachment{}, Devices: []Device{}, Excursions: listed(j.excursions),
	}
	if j.shipment.Initial != 0 {
		initial := j.shipment.Initial.Float()
		detail.InitialContamination = &initial
	}
	for _, g := range j.shipment.Goods {
		detail.Goods = append(detail.Goods, Goods{Gtin: textSet(g.GTIN), Lot: textSet(g.Lot), Description: g.Description, Quantity: int64(min(g.Quantity, 1<<63-1))})
	}
	for _, a := range j.shipment.Attachments {
		detail.Attachments = append(detail.Attachments, attachmentOf(a, ""))
	}
	for i := range j.devices {
		record, err := s.Store.Device(ctx, j.devices[i].ID) // the board's is not current in its newest reading
		if err != nil {
			return nil, err
		}
		shown, err := s.deviceOf(ctx, &record, n)
		if err != nil {
			return nil, err
		}
		detail.Devices = append(detail.Devices, shown)
	}
	detail.Alerts, err = s.alertsOf(ctx, j.alerts[:min(len(j.alerts), alertsOfShipment)], n)
	return detail, err
}

func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// touching keeps the excursions that touch from ≤ t < to.
func touching(excursions []Excursion, from, to time.Time) []Excursion {
	kept := []Excursion{}
	for _, e := range excursions {
		if e.From.Before(to) && !e.To.Before(from) {
			kept = append(kept, e)
		}
	}
	return kept
}
