package api

import (
	"math"
	"math/bits"
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// course is what a device's readings within a shipment come to, in the order of acquisition. It is a value: a copy of it is what stood
// then, since its lists are only ever appended to.
type course struct {
	readings    int64
	first, last provenance.Reading
	run         excursion   // goes on if its side is not 0
	excursions  []excursion // that ended, by time
	dropped     int64       // ms spent in excursions that are no longer listed
	silences    []silence   // candidates for gaps, by time
}

// excursion is a run of readings on one side of the band.
type excursion struct {
	side        int // 1: above, -1: below
	from, to    provenance.Time
	extreme     provenance.Micro
	extremeTime provenance.Time
}

// silence is the span between two readings that lie far apart.
type silence struct{ from, to provenance.Time }

// Limits of what is kept of a device.
const (
	maxExcursions = 1000
	maxSilences   = 500
	maxSnapshots  = 16
)

func side(v provenance.Micro, band *provenance.Limits) int {
	switch {
	case v > band.Max:
		return 1
	case v < band.Min:
		return -1
	}
	return 0
}

// add takes the next reading; band is nil where the device measures something else. continued: it came under the same attachment as
// the one before.
func (c *course) add(r provenance.Reading, band *provenance.Limits, continued bool, usual *distances) {
	if c.readings > 0 && continued {
		distance := int64(r.Time - c.last.Time)
		if float64(distance) > 2*usual.middle {
			c.silences = appendBounded(c.silences, silence{c.last.Time, r.Time}, maxSilences)
		}
		usual.add(distance)
	}
	if band != nil {
		at := side(r.Value, band)
		if c.run.side != 0 && (at != c.run.side || !continued) {
			if continued {
				c.run.to = r.Time
			}
			c.end()
		}
		switch {
		case at == 0:
		case c.run.side == 0:
			c.run = excursion{at, r.Time, r.Time, r.Value, r.Time}
		default:
			c.run.to = r.Time
			if int64(at)*int64(r.Value-c.run.extreme) > 0 {
				c.run.extreme, c.run.extremeTime = r.Value, r.Time
			}
		}
	}
	if c.readings == 0 {
		c.first = r
	}
	c.last = r
	c.readings++
}

func (c *course) end() {
	if len(c.excursions) >= maxExcursions {
		for _, e := range c.excursions[:maxExcursions/2] {
			c.dropped += int64(e.to - e.from)
		}
	}
	c.excursions = appendBounded(c.excursions, c.run, maxExcursions)
	c.run = excursion{}
}

// appendBounded appends; a full list first loses its older half, in a copy.
func appendBounded[T any](list []T, item T, most int) []T {
	if len(list) >= most {
		list = slices.Clone(list[most/2:])
	}
	return append(list, item)
}

// all lists the excursions, the one that goes on last.
func (c *course) all() []excursion {
	if c.run.side == 0 {
		return c.excursions
	}
	return append(slices.Clip(c.excursions), c.run)
}

// distances counts the distances between a device's readings, in sixteenths of an octave.
type distances struct {
	counts [512]uint32
	total  uint32
	middle float64 // the median, as of a while ago
}

func (d *distances) add(ms int64) {
	if d.total == math.MaxUint32 {
		return
	}
	d.counts[bucketOf(ms)]++
	d.total++
	if d.total < 32 || d.total%256 == 0 {
		d.middle = d.median()
	}
}

func bucketOf(ms int64) int {
	ms = min(max(ms, 1), math.MaxInt32)
	octave := bits.Len64(uint64(ms)) - 1
	return octave*16 + int((ms<<4>>octave)&15)
}

// median gives about the usual distance in ms, 0 where nothing is known.
func (d *distances) median() float64 {
	seen := uint32(0)
	for i, n := range d.counts {
		if seen += n; 2*uint64(seen) > uint64(d.total) {
			return math.Ldexp(1+float64(i%16)/16+1.0/32, i/16)
		}
	}
	return 0
}

// deviceCourse follows a device's readings within a shipment, and can go back to take in what came late.
type deviceCourse struct {
	now       course
	snapshots []course // before the first reading of a day
	usual     distances
}

const dayMs = 24 * 3600 * 1000

func (d *deviceCourse) add(r provenance.Reading, band *provenance.Limits, attachments []provenance.Attachment) {
	if d.now.readings > 0 && r.Time/dayMs != d.now.last.Time/dayMs {
		if len(d.snapshots) == maxSnapshots {
			d.snapshots = append(d.snapshots[:0:0], d.snapshots[1:]...)
		}
		s := d.now
		s.excursions, s.silences = slices.Clip(s.excursions), slices.Clip(s.silences)
		d.snapshots = append(d.snapshots, s)
		d.now.excursions, d.now.silences = s.excursions, s.silences
	}
	d.now.add(r, band, sameAttachment(attachments, d.now.last.Time, r.Time), &d.usual)
}

func sameAttachment(attachments []provenance.Attachment, a, b provenance.Time) bool {
	for _, at := range attachments {
		if at.Holds(a) && at.Holds(b) {
			return true
		}
	}
	return false
}

// rewind goes back to before a moment, and tells from when on readings have to be taken in again.
func (d *deviceCourse) rewind(before provenance.Time) (from provenance.Time) {
	for len(d.snapshots) > 0 && d.snapshots[len(d.snapshots)-1].last.Time >= before {
		d.snapshots = d.snapshots[:len(d.snapshots)-1]
	}
	if len(d.snapshots) == 0 {
		*d = deviceCourse{}
		return 0
	}
	d.now = d.snapshots[len(d.snapshots)-1]
	d.snapshots = d.snapshots[:len(d.snapshots)-1]
	return d.now.last.Time + 1
}
