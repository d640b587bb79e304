package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// ListDevices implements listDevices.
func (s *server) ListDevices(ctx context.Context, r ListDevicesRequestObject) (ListDevicesResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	filter := readmodel.DeviceFilter{
		Paging: readmodel.Paging{After: value(r.Params.After), Limit: limit(r.Params.Limit)}, Organisation: value(r.Params.Organisation), Text: value(r.Params.Search),
	}
	if r.Params.Status != nil {
		status := map[DeviceStatus]provenance.Status{Active: provenance.Active, Suspended: provenance.Suspended, Revoked: provenance.Revoked}[*r.Params.Status]
		filter.Status = &status
	}
	if r.Params.DueBefore != nil {
		filter.DueBefore = max(provenance.TimeOf(*r.Params.DueBefore), 1) // 0 would be any
	}
	found, err := s.Store.Devices(ctx, filter)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	page := ListDevices200JSONResponse{Items: []Device{}, Next: textSet(found.Next)}
	for i := range found.Items {
		shown, err := s.deviceOf(ctx, &found.Items[i], n)
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, shown)
	}
	page.Total, err = s.totals.of(ctx, s.Store, key("devices", filter.Organisation, filter.Text, value(r.Params.Status), filter.DueBefore), found.Next == "" && filter.After == "", len(found.Items), func(p readmodel.Paging) (int, string, error) {
		filter.Paging = p
		found, err := s.Store.Devices(ctx, filter)
		return len(found.Items), found.Next, err
	})
	return page, err
}

// GetDevice implements getDevice.
func (s *server) GetDevice(ctx context.Context, r GetDeviceRequestObject) (GetDeviceResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	found, err := s.Store.Device(ctx, r.Device)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	detail := GetDevice200JSONResponse{Keys: []DeviceKey{}, Gaps: []SequenceGap{}, Attachments: []Attachment{}}
	if detail.Device, err = s.deviceOf(ctx, &found, n); err != nil {
		return nil, err
	}
	for _, k := range found.Keys {
		shown, err := keyOf(k)
		if err != nil {
			return nil, fmt.Errorf("reading a key of device %q: %w", found.ID, err)
		}
		detail.Keys = append(detail.Keys, shown)
	}
	gaps, err := s.Store.Gaps(ctx, found.ID)
	if err != nil {
		return nil, err
	}
	for _, g := range gaps {
		detail.Gaps = append(detail.Gaps, SequenceGap{Epoch: int64(g.Epoch), From: int64(min(g.From, 1<<63-1)), To: int64(min(g.To, 1<<63-1))})
	}
	attachments, err := s.Store.Attachments(ctx, found.ID)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(attachments, func(a, b readmodel.ShipmentAttachment) int { return cmp.Compare(b.From, a.From) })
	for _, a := range attachments {
		detail.Attachments = append(detail.Attachments, attachmentOf(a.Attachment, a.Shipment))
	}
	if detail.LastSequence, err = s.lastSequence(ctx, found.ID, found.Epoch); err != nil {
		return nil, err
	}
	proven, err := s.vouchers(n).of(ctx, found.Stamp.Leaf)
	detail.Provenance = provenanceOf(found.Stamp, proven)
	return detail, err
}

// lastSequence reads the device's head; nil where the epoch has brought nothing yet.
func (s *server) lastSequence(ctx context.Context, device string, epoch uint32) (*int64, error) {
	name := provenance.HeadKey(device, epoch)
	versions, err := s.Store.History(ctx, name, readmodel.Paging{Limit: 1})
	if err != nil {
		if refused := (*provenance.Error)(nil); asRefusal(err, &refused) && refused.Code == provenance.NotFound {
			return nil, nil
		}
		return nil, err
	}
	if len(versions.Items) == 0 || len(versions.Items[0].Value) == 0 {
		return nil, nil
	}
	state, err := evidence.DecodeState(name, versions.Items[0].Value)
	if err != nil {
		return nil, err
	}
	head, ok := state.(*provenance.Head)
	if !ok {
		return nil, fmt.Errorf("the record %q is a %T", name, state)
	}
	last := int64(min(head.Last, 1<<63-1))
	return &last, nil
}

// GetReadingReceipt implements getReadingReceipt.
func (s *server) GetReadingReceipt(ctx context.Context, r GetReadingReceiptRequestObject) (GetReadingReceiptResponseObject, error) {
	if s.Receipts == nil {
		return nil, errNoGateway
	}
	data, err := s.Receipts.Reading(ctx, provenance.FrameID{Device: r.Device, Epoch: uint32(r.Epoch), Sequence: uint64(r.Sequence)}, uint32(r.Index))
	if err != nil {
		return nil, err
	}
	return GetReadingReceipt200ApplicationcborResponse{receiptFile(data, fmt.Sprintf("%s-%d-%d-%d", r.Device, r.Epoch, r.Sequence, r.Index))}, nil
}

// ListModels implements listModels.
func (s *server) ListModels(ctx context.Context, _ ListModelsRequestObject) (ListModelsResponseObject, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	found, err := s.Store.Models(ctx)
	if err != nil {
		return nil, err
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b readmodel.Model) int { return cmp.Compare(b.Stamp.Leaf, a.Stamp.Leaf) })
	list := ListModels200JSONResponse{Items: []Model{}}
	for _, m := range found {
		list.Items = append(list.Items, Model{
			Name: m.Name, Version: m.Version, Hash: m.Hash.String(), Kernel: m.Kernel, Training: m.TrainingRoot.String(), Organisation: n.of(m.Organisation), Registered: m.Registered.Time(),
		})
	}
	return list, nil
}
