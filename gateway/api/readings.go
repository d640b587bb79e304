package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

const (
	mostPoints   = 1000   // of a series, where no resolution was asked for
	mostReadings = 20_000 // at resolution 0
	gapFactor    = 3      // a gap is longer than this many usual distances
)

// steps are the resolutions that are chosen from, in seconds.
var steps = []int64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400}

// span is from ≤ t < to.
type span struct{ from, to provenance.Time }

// GetShipmentReadings implements getShipmentReadings.
func (s *server) GetShipmentReadings(ctx context.Context, r GetShipmentReadingsRequestObject) (GetShipmentReadingsResponseObject, error) {
	j, err := s.judgeOne(ctx, r.Shipment)
	if err != nil {
		return nil, err
	}
	within, err := rangeOf(j.facts, r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	resolution := fitting(within)
	if r.Params.Resolution != nil {
		resolution = int64(*r.Params.Resolution)
	}
	answer := GetShipmentReadings200JSONResponse{
		Shipment: j.shipment.ID, From: within.from.Time(), To: within.to.Time(), Resolution: int32(resolution), Limits: limitsOf(j.shipment.Limits),
		Series: []Series{}, Excursions: touching(j.excursions, within.from.Time(), within.to.Time()),
	}
	for i := range j.devices {
		d := &j.devices[i]
		answer.Series = append(answer.Series, Series{
			Device: d.ID, Quantity: d.Quantity, Unit: d.Unit, Attestation: Attestation(d.Attestation.String()), Points: []Point{}, Gaps: []Gap{},
		})
	}
	if within.from == within.to || len(j.devices) == 0 {
		return answer, nil
	}
	if resolution == 0 {
		err = s.single(ctx, &answer, within)
	} else {
		err = s.grouped(ctx, &answer, within, resolution)
	}
	if err != nil {
		return nil, err
	}
	for i := range answer.Series {
		if answer.Series[i].Gaps, err = s.gapsOf(ctx, &j.devices[i], within); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// rangeOf settles which readings are asked for.
func rangeOf(f *facts, from, to *time.Time) (span, error) {
	within, any := span{}, false
	for i := range f.devices {
		c := &f.devices[i].course
		if c.readings == 0 {
			continue
		}
		if !any {
			within, any = span{c.first.Time, c.last.Time + 1}, true
		}
		within.from, within.to = min(within.from, c.first.Time), max(within.to, c.last.Time+1)
	}
	if !any {
		within = span{f.shipment.Opened, f.shipment.Opened}
	}
	earliest, latest := provenance.Time(0), provenance.TimeOf(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	if from != nil {
		within.from = min(max(provenance.TimeOf(*from), earliest), latest)
		within.to = max(within.to, within.from)
	}
	if to != nil {
		within.to = min(max(provenance.TimeOf(to.Add(time.Millisecond-1)), earliest), latest)
		if from == nil {
			within.from = min(within.from, within.to)
		}
	}
	if within.from > within.to {
		return within, invalid(`Parameter "from": it lies after "to".`)
	}
	return within, nil
}

// fitting is the finest step that gives at most mostPoints points.
func fitting(within span) int64 {
	for _, step := range steps {
		if int64(within.to-1)/(step*1000)-int64(within.from)/(step*1000) < mostPoints {
			return step
		}
	}
	return steps[len(steps)-1]
}

func (s *server) grouped(ctx context.Context, answer *GetShipmentReadings200JSONResponse, within span, resolution int64) error {
	chart, err := s.Store.Chart(ctx, readmodel.ChartQuery{Shipment: answer.Shipment, From: within.from, To: within.to, Resolution: resolution * 1000})
	if err != nil {
		return err
	}
	for _, found := range chart.Series {
		i := slices.IndexFunc(answer.Series, func(s Series) bool { return s.Device == found.Device })
		if i < 0 {
			continue // attached since
		}
		points := make([]Point, len(found.Points))
		for k, p := range found.Points {
			points[k] = Point{T: p.Time.Time(), Min: p.Min.Float(), Mean: p.Mean.Float(), Max: p.Max.Float(), Count: int32(p.Count), Backfilled: p.Backfilled > 0}
		}
		answer.Series[i].Points = points
	}
	return nil
}

func (s *server) single(ctx context.Context, answer *GetShipmentReadings200JSONResponse, within span) error {
	page, err := s.Store.RawReadings(ctx, readmodel.RawQuery{
		Paging: readmodel.Paging{Limit: mostReadings}, Shipment: answer.Shipment, From: within.from, To: within.to,
	})
	if err != nil {
		return err
	}
	if page.Next != "" {
		return invalid(fmt.Sprintf("There are more than %d readings in this range; ask for a shorter one, or for a resolution above 0.", mostReadings))
	}
	at := map[string]*Series{}
	for i := range answer.Series {
		at[answer.Series[i].Device] = &answer.Series[i]
	}
	for i := range page.Items {
		r := &page.Items[i]
		series, known := at[r.Device]
		if !known {
			continue // attached since
		}
		v := r.Value.Float()
		series.Points = append(series.Points, Point{
			T: r.Time.Time(), Min: v, Mean: v, Max: v, Count: 1, Backfilled: r.Backfilled,
			Reading: &ReadingReference{Epoch: int64(r.Epoch), Sequence: int64(min(r.Sequence, 1<<63-1)), Index: int32(r.Index)},
		})
	}
	return nil
}

// gapsOf lists the spans without a reading, with how many frames are known to be missing there.
func (s *server) gapsOf(ctx context.Context, d *deviceFacts, within span) ([]Gap, error) {
	list := []Gap{}
	var missing []readmodel.Gap
	for _, quiet := range d.course.silences {
		if float64(quiet.to-quiet.from) <= gapFactor*d.usual || quiet.from >= within.to || quiet.to <= within.from {
			continue
		}
		if missing == nil {
			var err error
			if missing, err = s.Store.Gaps(ctx, d.ID); err != nil {
				return nil, err
			}
		}
		g := Gap{From: quiet.from.Time(), To: quiet.to.Time()}
		frames := int64(0)
		for _, m := range missing {
			if m.After < quiet.to && (m.Before == 0 || m.Before > quiet.from) {
				frames += int64(min(m.To-m.From+1, 1<<62))
			}
		}
		if frames > 0 {
			g.MissingFrames = &frames
		}
		list = append(list, g)
	}
	return list, nil
}
