package readmodel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Readings are kept as segments: parts of a device's day (UTC), each a few kilobytes of runs. A run is what one frame has of
// that day. How runs fall into segments depends on their order on the ledger alone, so a rebuilt read model is the same bytes.
//
// A run is a sequence of variable-length integers: epoch, sequence, count and flags, block, the time of its first reading in
// the day, published − last, received − last, [index of its first reading in the frame,] exponent and time step, first value,
// then for each further reading [time step,] value step. Values are divided by 10^exponent, which all of them allow.
const (
	dayMs        = 24 * 3600 * 1000
	hourMs       = 3600 * 1000
	segmentBytes = 3600 // a segment that has reached this is not added to any more
	segmentParts = 1 << 13
	segmentDays  = 1 << 26
	maxDevices   = 1 << 24
	maxExponent  = 6
)

const (
	runBackfilled = 1 << iota // the frame came late
	runOffset                 // it began on the day before
	runUneven                 // its times are not evenly spaced
	runFlagBits   = 3
)

// segmentID is a row's key: readings of a device lie in the order of their days.
func segmentID(device int64, day int64, part int64) int64 { return device<<39 | day<<13 | part }

func segmentDay(id int64) int64 { return id >> 13 & (segmentDays - 1) }

// FrameReadings is a frame as the projection hands it over.
type FrameReadings struct {
	ID         provenance.FrameID
	Leaf       uint32 // in the manifest's tree
	First      provenance.Time
	Last       provenance.Time
	Published  provenance.Time
	Received   provenance.Time
	Backfilled bool
	Count      uint32               // of readings
	Readings   []provenance.Reading // by rising time; nil where confidential
}

// run is a run's head and where its readings are.
type run struct {
	epoch      uint32
	sequence   uint64
	block      uint64
	offset     uint32
	backfilled bool
	published  provenance.Time
	received   provenance.Time
	readings   []provenance.Reading
}

// appendRun encodes a run of readings that all lie in the day; last is the frame's last acquisition time.
func appendRun(b []byte, day int64, r *run, last provenance.Time) []byte {
	flags, step := uint64(0), int64(0)
	if r.backfilled {
		flags |= runBackfilled
	}
	if r.offset > 0 {
		flags |= runOffset
	}
	if len(r.readings) > 1 {
		step = int64(r.readings[1].Time - r.readings[0].Time)
	}
	exponent := uint64(maxExponent)
	for i, reading := range r.readings {
		for ; exponent > 0 && int64(reading.Value)%powers[exponent] != 0; exponent-- {
			continue
		}
		if i > 0 && int64(reading.Time-r.readings[i-1].Time) != step {
			flags |= runUneven
		}
	}
	b = binary.AppendUvarint(b, uint64(r.epoch))
	b = binary.AppendUvarint(b, r.sequence)
	b = binary.AppendUvarint(b, uint64(len(r.readings))<<runFlagBits|flags)
	b = binary.AppendUvarint(b, r.block)
	b = binary.AppendUvarint(b, uint64(int64(r.readings[0].Time)-day*dayMs))
	b = binary.AppendVarint(b, int64(r.published-last))
	b = binary.AppendVarint(b, int64(r.received-last))
	b = binary.AppendVarint(b, int64(last)-day*dayMs)
	if flags&runOffset != 0 {
		b = binary.AppendUvarint(b, uint64(r.offset))
	}
	b = binary.AppendUvarint(b, exponent)
	if flags&runUneven == 0 {
		b = binary.AppendUvarint(b, uint64(step))
	}
	scale, value, at := powers[exponent], int64(0), int64(0)
	for i, reading := range r.readings {
		if flags&runUneven != 0 && i > 0 {
			b = binary.AppendUvarint(b, uint64(int64(reading.Time)-at))
		}
		next := int64(reading.Value) / scale
		b = binary.AppendVarint(b, next-value)
		value, at = next, int64(reading.Time)
	}
	return b
}

var powers = [maxExponent + 1]int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}

var errSegment = errors.New("a segment of readings is damaged; rebuild the read model")

// segmentReader walks over a segment's runs.
type segmentReader struct {
	data []byte
	day  int64
	run  run // the current one; its readings are reused by next
	err  error
}

func (s *segmentReader) unsigned() uint64 {
	v, n := binary.Uvarint(s.data)
	if n <= 0 {
		s.err = errSegment
		s.data = nil
		return 0
	}
	s.data = s.data[n:]
	return v
}

func (s *segmentReader) signed() int64 {
	u := s.unsigned()
	return int64(u>>1) ^ -int64(u&1)
}

// next reads the next run; false at the end or at damage, see err.
func (s *segmentReader) next() bool {
	if s.err != nil || len(s.data) == 0 {
		return false
	}
	s.run.epoch, s.run.sequence = uint32(s.unsigned()), s.unsigned()
	counted := s.unsigned()
	count, flags := counted>>runFlagBits, counted&(1<<runFlagBits-1)
	s.run.block = s.unsigned()
	at := s.day*dayMs + int64(s.unsigned())
	published, received := s.signed(), s.signed()
	last := s.day*dayMs + s.signed()
	s.run.published, s.run.received = provenance.Time(last+published), provenance.Time(last+received)
	s.run.backfilled, s.run.offset = flags&runBackfilled != 0, 0
	if flags&runOffset != 0 {
		s.run.offset = uint32(s.unsigned())
	}
	exponent, step := s.unsigned(), int64(0)
	if flags&runUneven == 0 {
		step = int64(s.unsigned())
	}
	if s.err != nil || exponent > maxExponent || count == 0 || count > provenance.MaxReadingsInFrame {
		s.err = errSegment
		return false
	}
	scale, value := powers[exponent], int64(0)
	s.run.readings = s.run.readings[:0]
	for i := range count {
		if i > 0 {
			if flags&runUneven != 0 {
				step = int64(s.unsigned())
			}
			at += step
		}
		value += s.signed()
		s.run.readings = append(s.run.readings, provenance.Reading{Time: provenance.Time(at), Value: provenance.Micro(value * scale)})
	}
	return s.err == nil
}

// tally sums up readings.
type tally struct {
	count      uint32
	backfilled uint32
	min, max   provenance.Micro
	sum        float64 // exact up to 2^53 millionths, and never out of bounds
}

func (t *tally) add(value provenance.Micro, backfilled bool) {
	if t.count == 0 || value < t.min {
		t.min = value
	}
	if t.count == 0 || value > t.max {
		t.max = value
	}
	t.count++
	if backfilled {
		t.backfilled++
	}
	t.sum += float64(value)
}

func (t *tally) merge(other *tally) {
	if other.count == 0 {
		return
	}
	if t.count == 0 {
		*t = *other
		return
	}
	t.min, t.max = min(t.min, other.min), max(t.max, other.max)
	t.count += other.count
	t.backfilled += other.backfilled
	t.sum += other.sum
}

func (t *tally) point(at provenance.Time) Point {
	mean := min(max(math.Round(t.sum/float64(t.count)), float64(t.min)), float64(t.max))
	return Point{Time: at, Min: t.min, Mean: provenance.Micro(mean), Max: t.max, Count: t.count, Backfilled: t.backfilled}
}

// hours sums up a segment for each hour of its day.
type hours [24]tally

func (h *hours) encode() []byte {
	b := make([]byte, 0, 64)
	for i := range h {
		if t := &h[i]; t.count > 0 {
			b = append(b, byte(i))
			b = binary.AppendUvarint(b, uint64(t.count))
			b = binary.AppendUvarint(b, uint64(t.backfilled))
			b = binary.AppendVarint(b, int64(t.min))
			b = binary.AppendUvarint(b, uint64(t.max)-uint64(t.min))
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(t.sum))
		}
	}
	return b
}

func decodeHours(data []byte, h *hours) error {
	*h = hours{}
	s := segmentReader{data: data}
	for len(s.data) > 0 {
		hour := s.data[0]
		s.data = s.data[1:]
		if int(hour) >= len(h) {
			return errSegment
		}
		t := &h[hour]
		t.count, t.backfilled = uint32(s.unsigned()), uint32(s.unsigned())
		t.min = provenance.Micro(s.signed())
		t.max = provenance.Micro(uint64(t.min) + s.unsigned())
		if s.err != nil || len(s.data) < 8 {
			return errSegment
		}
		t.sum = math.Float64frombits(binary.BigEndian.Uint64(s.data))
		s.data = s.data[8:]
	}
	return nil
}

// segment is the row that a device's day is being written to.
type segment struct {
	id        int64
	block     uint64
	first     provenance.Time
	last      provenance.Time
	lastValue provenance.Micro
	hours     hours
	data      []byte
	dirty     bool
}

// add puts a run into the segment.
func (s *segment) add(day int64, r *run, last provenance.Time) {
	if len(s.data) == 0 || r.readings[0].Time < s.first {
		s.first = r.readings[0].Time
	}
	if newest := r.readings[len(r.readings)-1]; len(s.data) == 0 || newest.Time > s.last {
		s.last, s.lastValue = newest.Time, newest.Value
	}
	for _, reading := range r.readings {
		s.hours[(int64(reading.Time)-day*dayMs)/hourMs].add(reading.Value, r.backfilled)
	}
	s.data = appendRun(s.data, day, r, last)
	s.block, s.dirty = r.block, true
}

// splitDays cuts a frame's readings at midnights (UTC) and calls f for the part of each day.
func splitDays(readings []provenance.Reading, f func(day int64, offset int, part []provenance.Reading) error) error {
	for start := 0; start < len(readings); {
		day := int64(readings[start].Time) / dayMs
		if readings[start].Time < 0 || day >= segmentDays {
			return &ContentError{fmt.Sprintf("acquisition time %d lies out of bounds", readings[start].Time)}
		}
		end := start + 1
		for end < len(readings) && int64(readings[end].Time)/dayMs == day {
			end++
		}
		if err := f(day, start, readings[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}
