package readmodel

import (
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// targetPoints is how many points a chart has at most for each device where no resolution was asked for.
const targetPoints = 720

// steps are the resolutions that a chart chooses from, in ms.
var steps = []int64{
	1000, 5000, 10_000, 30_000, 60_000, 2 * 60_000, 5 * 60_000, 10 * 60_000, 15 * 60_000, 30 * 60_000,
	hourMs, 2 * hourMs, 3 * hourMs, 6 * hourMs, 12 * hourMs, dayMs, 2 * dayMs, 7 * dayMs, 14 * dayMs, 28 * dayMs, 91 * dayMs, 364 * dayMs,
}

// span is from ≤ t < to.
type span struct{ from, to provenance.Time }

func (s span) holds(t provenance.Time) bool { return t >= s.from && t < s.to }

const forever = provenance.Time(math.MaxInt64)

// attached is a device's time with a shipment, within what was asked for.
type attached struct {
	device   Device
	row      int64
	listed   []provenance.Attachment
	spans    []span // rising, apart from each other
	extent   span   // of the readings there, about: whole segments
	readings bool   // whether there are any
}

// Chart sums up a shipment's readings in buckets that begin at multiples of the resolution.
func (s *Store) Chart(ctx context.Context, q ChartQuery) (chart Chart, err error) {
	if q.To != 0 && q.From > q.To || q.Resolution < 0 || q.Resolution > 366*dayMs {
		return chart, provenance.Invalidf("a chart needs from ≤ to, and a resolution of at most 366 days")
	}
	err = s.read(ctx, func(v view) error {
		var blocks uint64
		if _, err := v.row(`SELECT blocks FROM position WHERE id = 1`, nil, &blocks); err != nil {
			return err
		}
		chart.AsOfBlock = max(blocks, 1) - 1
		if q.AsOfBlock != 0 {
			chart.AsOfBlock = min(chart.AsOfBlock, q.AsOfBlock)
		}
		devices, err := v.attachedTo(q.Shipment, q.Device, span{q.From, endOf(q.To)})
		if err != nil {
			return err
		}
		if err := chart.frame(q, devices); err != nil {
			return err
		}
		for i := range devices {
			series, err := v.series(&devices[i], &chart)
			if err != nil {
				return err
			}
			chart.Series = append(chart.Series, series)
		}
		return nil
	})
	return chart, err
}

func endOf(to provenance.Time) provenance.Time {
	if to == 0 {
		return forever
	}
	return to
}

// attachedTo finds the devices of a shipment by identifier, and when their readings count.
func (v view) attachedTo(shipment, only string, within span) (result []attached, err error) {
	goods, err := v.shipment(shipment)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for _, a := range goods.Attachments {
		if only != "" && a.Device != only {
			continue
		}
		i, known := at[a.Device]
		if !known {
			row, found, err := v.deviceRow(a.Device)
			if err != nil {
				return nil, err
			}
			if !found {
				continue // the contract attaches enrolled devices only
			}
			device, err := v.device(a.Device)
			if err != nil {
				return nil, err
			}
			i = len(result)
			at[a.Device] = i
			result = append(result, attached{device: device, row: row})
		}
		result[i].listed = append(result[i].listed, a)
		if s := (span{max(a.From, within.from), min(endOf(a.To), within.to)}); s.from < s.to {
			result[i].spans = append(result[i].spans, s)
		}
	}
	if only != "" && len(result) == 0 {
		return nil, provenance.NotFoundf("device %q was never attached to shipment %q", only, shipment)
	}
	slices.SortFunc(result, func(a, b attached) int { return compare(a.device.ID, b.device.ID) })
	for i := range result {
		result[i].spans = union(result[i].spans)
		if err := v.measureExtent(&result[i]); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func compare[T ~string | ~int64 | ~uint64 | ~uint32](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// union joins spans that touch, so that no reading counts twice.
func union(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return compare(int64(a.from), int64(b.from)) })
	result := spans[:0]
	for _, s := range spans {
		if n := len(result); n > 0 && s.from <= result[n-1].to {
			result[n-1].to = max(result[n-1].to, s.to)
			continue
		}
		result = append(result, s)
	}
	return result
}

// segmentsOf is the range of row ids that hold a device's readings of a span.
func segmentsOf(device int64, s span) (from, to int64) {
	last := int64(segmentDays - 1)
	if s.to != forever {
		last = min(last, int64(s.to-1)/dayMs)
	}
	return segmentID(device, min(max(int64(s.from), 0)/dayMs, segmentDays-1), 0), segmentID(device, max(last, 0), segmentParts-1)
}

// measureExtent finds from when to when there are readings in a device's spans; the ends are those of whole segments.
func (v view) measureExtent(a *attached) error {
	if len(a.spans) == 0 {
		return nil
	}
	for _, s := range a.spans {
		from, to := segmentsOf(a.row, s)
		var low, high sql.NullInt64
		if _, err := v.row(`SELECT (SELECT MIN(first_time) FROM segments WHERE id BETWEEN ? AND ? AND id < 8192 + (SELECT MIN(id) FROM segments WHERE id BETWEEN ? AND ?)),
			(SELECT MAX(last_time) FROM segments WHERE id BETWEEN ? AND ? AND id > (SELECT MAX(id) FROM segments WHERE id BETWEEN ? AND ?) - 8192)`,
			[]any{from, to, from, to, from, to, from, to}, &low, &high); err != nil {
			return err
		}
		if !low.Valid || !high.Valid {
			continue
		}
		found := span{max(s.from, provenance.Time(low.Int64)), min(s.to, provenance.Time(high.Int64)+1)}
		if found.from >= found.to {
			continue
		}
		if !a.readings {
			a.extent, a.readings = found, true
			continue
		}
		a.extent = span{min(a.extent.from, found.from), max(a.extent.to, found.to)}
	}
	return nil
}

// frame settles range and resolution of a chart.
func (c *Chart) frame(q ChartQuery, devices []attached) error {
	c.From, c.To = q.From, q.To
	var extent *span
	for i := range devices {
		if d := &devices[i]; d.readings {
			if extent == nil {
				extent = &span{d.extent.from, d.extent.to}
			}
			extent.from, extent.to = min(extent.from, d.extent.from), max(extent.to, d.extent.to)
		}
	}
	if extent != nil && q.From == 0 {
		c.From = extent.from
	}
	if extent != nil && q.To == 0 {
		c.To = extent.to
	}
	c.To = max(c.To, c.From)
	width := int64(c.To - c.From)
	if c.Resolution = q.Resolution; c.Resolution == 0 {
		c.Resolution = steps[len(steps)-1]
		for _, step := range steps {
			if width/step < targetPoints {
				c.Resolution = step
				break
			}
		}
	}
	if width/c.Resolution >= MaxPoints {
		return provenance.Invalidf("%d points a device at a resolution of %d ms, at most %d are given; ask for a shorter range or a coarser resolution", width/c.Resolution, c.Resolution, MaxPoints)
	}
	return nil
}

// buckets gathers the points of one device.
type buckets struct {
	begin, resolution int64
	tallies           []tally
}

func (b *buckets) at(t provenance.Time) *tally { return &b.tallies[(int64(t)-b.begin)/b.resolution] }

func (v view) series(a *attached, c *Chart) (Series, error) {
	d := &a.device
	series := Series{Device: d.ID, Quantity: d.Quantity, Unit: d.Unit, Attestation: d.Attestation, Attached: a.listed}
	b := &buckets{begin: int64(c.From) - (int64(c.From)%c.Resolution+c.Resolution)%c.Resolution, resolution: c.Resolution}
	b.tallies = make([]tally, (int64(c.To)-b.begin)/c.Resolution+1)
	for _, s := range a.spans {
		s = span{max(s.from, c.From), min(s.to, c.To)}
		if s.from >= s.to {
			continue
		}
		if err := v.fill(b, a.row, s, c.AsOfBlock); err != nil {
			return series, err
		}
	}
	for i := range b.tallies {
		if b.tallies[i].count > 0 {
			series.Points = append(series.Points, b.tallies[i].point(provenance.Time(b.begin+int64(i)*b.resolution)))
		}
	}
	gaps, err := v.gaps(d.ID, a.row)
	for _, g := range gaps {
		if g.After < c.To && (g.Before == 0 || g.Before >= c.From) {
			series.Gaps = append(series.Gaps, g)
		}
	}
	return series, err
}

// fill adds a device's readings in a span, from the hours' sums where these say enough.
func (v view) fill(b *buckets, device int64, s span, asOf uint64) error {
	from, to := segmentsOf(device, s)
	coarse := b.resolution%hourMs == 0
	var exact []any // segments whose readings have to be looked at one by one
	if coarse {
		var sums hours
		err := v.rows(`SELECT id, block, first_time, last_time, hours FROM segments WHERE id BETWEEN ? AND ? ORDER BY id`, []any{from, to}, func(r *sql.Rows) error {
			var id int64
			var block uint64
			var first, last provenance.Time
			var packed sql.RawBytes
			if err := r.Scan(&id, &block, &first, &last, &packed); err != nil {
				return err
			}
			if !s.holds(first) || !s.holds(last) || block > asOf {
				if first < s.to && last >= s.from {
					exact = append(exact, id)
				}
				return nil
			}
			if err := decodeHours(packed, &sums); err != nil {
				return err
			}
			for hour := range sums {
				if sums[hour].count > 0 {
					b.at(provenance.Time(segmentDay(id)*dayMs + int64(hour)*hourMs)).merge(&sums[hour])
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	add := func(r *sql.Rows) error {
		var id int64
		var data sql.RawBytes
		if err := r.Scan(&id, &data); err != nil {
			return err
		}
		return b.addRuns(data, segmentDay(id), s, asOf)
	}
	if !coarse {
		return v.rows(`SELECT id, data FROM segments WHERE id BETWEEN ? AND ? AND first_time < ? AND last_time >= ? ORDER BY id`,
			[]any{from, to, int64(s.to), int64(s.from)}, add)
	}
	for _, id := range exact {
		if err := v.rows(`SELECT id, data FROM segments WHERE id = ?`, []any{id}, add); err != nil {
			return err
		}
	}
	return nil
}

func (b *buckets) addRuns(data []byte, day int64, s span, asOf uint64) error {
	reader := segmentReader{data: data, day: day}
	for reader.next() {
		if reader.run.block > asOf {
			continue
		}
		for _, r := range reader.run.readings {
			if s.holds(r.Time) {
				b.at(r.Time).add(r.Value, reader.run.backfilled)
			}
		}
	}
	return reader.err
}
