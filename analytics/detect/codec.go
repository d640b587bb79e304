package detect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// A snapshot is a magic, the fields in order (unsigned varints for counts, eight bytes little-endian for numbers that
// are not), and a CRC-32 of all that. It holds everything that is remembered, so a Detector that is restored gives the
// bits the original would have given. What can be rebuilt (sorted copies) is left out.
const (
	snapshotMagic = "trailmark-detect/1\n"
	snapshotMost  = 1 << 30
)

// ErrSnapshot says that bytes are not a snapshot of a Detector.
var ErrSnapshot = errors.New("detect: not a snapshot of a detector")

// MarshalBinary implements encoding.BinaryMarshaler.
func (d *Detector) MarshalBinary() ([]byte, error) {
	w := &writer{b: []byte(snapshotMagic)}
	c := d.config
	w.count(c.Channels)
	w.count(c.Memory)
	w.count(c.Refractory)
	w.float(c.FalseAlarms)
	w.event(d.quiet)
	w.event(d.alarms)
	w.floats(d.past)
	w.tail(&d.history)
	for _, ch := range d.channels {
		w.floats(ch.recent)
		w.clock(&ch.clock)
		for i := range ch.shapes {
			w.shape(&ch.shapes[i])
		}
		for i := range ch.tails {
			w.tail(&ch.tails[i])
		}
	}
	if j := d.joint; j != nil {
		w.float(j.n)
		w.floats(j.mean)
		w.floats(j.cov)
		w.tail(&j.tail)
	}
	return binary.LittleEndian.AppendUint32(w.b, crc32.ChecksumIEEE(w.b)), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. On an error the Detector is left as it was.
func (d *Detector) UnmarshalBinary(data []byte) error {
	if len(data) < len(snapshotMagic)+4 || len(data) > snapshotMost || !bytes.HasPrefix(data, []byte(snapshotMagic)) {
		return ErrSnapshot
	}
	body := data[:len(data)-4]
	if binary.LittleEndian.Uint32(data[len(body):]) != crc32.ChecksumIEEE(body) {
		return fmt.Errorf("%w: checksum does not match", ErrSnapshot)
	}
	r := &reader{b: body[len(snapshotMagic):]}
	c := Config{
		Channels: r.count(maxChannels), Memory: r.count(maxMemory), Refractory: r.count(maxRefractory),
		FalseAlarms: r.float(),
	}
	if r.err == nil && (c.Channels == 0 || c.Memory == 0 || c.Refractory == 0 || c.FalseAlarms == 0) {
		r.fail("configuration has a zero")
	}
	if r.err == nil {
		if err := c.Validate(); err != nil {
			r.fail(err.Error())
		}
	}
	if r.err != nil {
		return r.err
	}
	n := New(c)
	n.quiet = r.event(c.Refractory)
	n.alarms = r.event(c.Refractory)
	n.past = r.floats(pastMost)
	r.tail(&n.history)
	for _, ch := range n.channels {
		ch.recent = append(ch.recent, r.floats(longest)...)
		r.clock(&ch.clock)
		for i := range ch.shapes {
			r.shape(&ch.shapes[i])
		}
		for i := range ch.tails {
			r.tail(&ch.tails[i])
		}
	}
	if j := n.joint; j != nil {
		j.n = r.float()
		mean, cov := r.floats(c.Channels), r.floats(c.Channels*c.Channels)
		if len(mean) != c.Channels || len(cov) != c.Channels*c.Channels || j.n < 0 {
			r.fail("covariance of another size")
		} else {
			j.mean, j.cov = mean, cov
		}
		for i := range c.Channels {
			if r.err == nil && cov[i*c.Channels+i] < 0 {
				r.fail("negative variance")
			}
		}
		r.tail(&j.tail)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes left over")
	}
	if r.err != nil {
		return r.err
	}
	*d = *n
	return nil
}

type writer struct{ b []byte }

func (w *writer) count(n int)     { w.b = binary.AppendUvarint(w.b, uint64(n)) }
func (w *writer) float(x float64) { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(x)) }

func (w *writer) floats(list []float64) {
	w.count(len(list))
	for _, x := range list {
		w.float(x)
	}
}

func (w *writer) event(e event) {
	w.float(e.level)
	w.count(e.age)
}

func (w *writer) tail(t *tail) {
	w.floats(t.ring)
	w.count(t.next)
}

func (w *writer) shape(s *shape) {
	w.count(s.seen)
	w.count(len(s.ring))
	for i := range s.ring {
		for _, x := range s.ring[i] {
			w.float(x)
		}
	}
	w.count(s.next)
}

func (w *writer) clock(c *clock) {
	for i := range c.slots {
		w.count(len(c.slots[i]))
		for _, s := range c.slots[i] {
			w.b = binary.AppendVarint(w.b, s.at)
			w.float(s.value)
		}
	}
	w.b = binary.AppendVarint(w.b, c.last)
	w.float(c.step)
	started := 0
	if c.started {
		started = 1
	}
	w.count(started)
}

// reader keeps its first error and gives zeros from then on.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrSnapshot, why)
	}
	r.b = nil
}

func (r *reader) count(most int) int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(most) {
		r.fail("count out of bounds")
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail("cut short")
		return 0
	}
	r.b = r.b[size:]
	return n
}

// float reads a finite number.
func (r *reader) float() float64 {
	if len(r.b) < 8 {
		r.fail("cut short")
		return 0
	}
	x := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	if math.IsNaN(x) || math.IsInf(x, 0) {
		r.fail("number is not finite")
		return 0
	}
	return x
}

func (r *reader) floats(most int) []float64 {
	n := r.count(most)
	if n > len(r.b)/8 {
		r.fail("cut short")
		return nil
	}
	list := make([]float64, n)
	for i := range list {
		list[i] = r.float()
	}
	return list
}

// index of the oldest in a ring: zero until it is full.
func (r *reader) index(length, limit int) int {
	i := r.count(limit)
	if (length < limit && i != 0) || (i != 0 && i >= limit) {
		r.fail("ring index out of bounds")
		return 0
	}
	return i
}

func (r *reader) event(refractory int) event {
	return event{level: r.float(), age: r.count(refractory)}
}

func (r *reader) tail(t *tail) {
	t.ring = r.floats(t.limit)
	t.next = r.index(len(t.ring), t.limit)
	t.sorted = slices.Clone(t.ring)
	slices.Sort(t.sorted)
}

func (r *reader) shape(s *shape) {
	s.seen = r.count(s.stride)
	n := r.count(s.limit)
	if n > len(r.b)/(8*blocks) {
		r.fail("cut short")
		return
	}
	s.ring = make([][blocks]float64, n)
	for i := range s.ring {
		for k := range s.ring[i] {
			s.ring[i][k] = r.float()
		}
	}
	s.next = r.index(n, s.limit)
}

func (r *reader) clock(c *clock) {
	for i := range c.slots {
		n := r.count(slotDepth)
		if r.err != nil {
			return
		}
		c.slots[i] = make([]stamped, n)
		for k := range c.slots[i] {
			c.slots[i][k] = stamped{r.varint(), r.float()}
		}
	}
	c.last = r.varint()
	if c.step = r.float(); c.step < 0 || c.step > daySeconds {
		r.fail("sampling interval out of bounds")
	}
	c.started = r.count(1) == 1
}
