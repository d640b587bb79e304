package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Errors that mean: not now. Acknowledge nothing and try again.
var (
	ErrFull    = errors.New("the spool has reached its configured size")
	ErrNoSpace = errors.New("no space left on the spool's disk")
)

// ErrDamaged means that frames which had been acknowledged cannot be read back. The log does not open, so that nothing more
// happens to it before somebody has looked.
var ErrDamaged = errors.New("the spool is damaged")

// Budget bounds several logs together, in bytes.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes a budget.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used tells how much is taken, Limit how much there is.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit is the size of the budget.
func (b *Budget) Limit() int64 { return b.limit }

// Options of a log.
type Options struct {
	Budget      *Budget
	SegmentSize int64 // a segment is closed when it has reached it
	Memory      int64 // bytes of unread frames kept in memory
	MaxArgument int   // largest batch argument
}

// Log is the spool of one lane. One goroutine appends, another reads and releases.
type Log struct {
	dir     string
	options Options
	slots   *slots
	arrived chan struct{} // capacity 1: something is there to read

	appending sync.Mutex // held while writing; active and buffer belong to it
	active    *os.File
	buffer    []byte

	mu       sync.Mutex
	segments []*segment // the last one is the active file, if there is one
	next     uint64     // sequence of the next frame appended
	read     uint64     // sequence of the next frame read
	released uint64     // every frame before it is gone
	tail     []Frame    // unread frames [read, next), unless spilled
	memory   int64      // their bytes
	spilled  bool       // unread frames are on disk only
	place    struct {   // where on disk frame number sequence begins
		segment  *segment
		offset   int64
		sequence uint64
	}
}

// Open opens the log in a folder, or makes it. A record that was being written when the process died is cut off; nobody had
// been told of it. Reading begins with the frames of the last prepared batch, see [Log.Prepared].
func Open(dir string, o Options) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making spool: %w", err)
	}
	slots, err := openSlots(dir, o.MaxArgument)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, options: o, slots: slots, arrived: make(chan struct{}, 1), next: 1}
	if err := l.recover(); err != nil {
		slots.file.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) recover() error {
	segments, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	if p := l.slots.current; p != nil {
		l.released, l.next = p.First, p.Last+1
	}
	for i, s := range segments {
		limit := ^uint64(0)
		if i+1 < len(segments) {
			limit = segments[i+1].first - s.first
		}
		if err := s.scan(limit); err != nil {
			return err
		}
		switch {
		case i+1 < len(segments) && s.count < limit && segments[i+1].first > l.released:
			return fmt.Errorf("%w: %s holds %d frames, there must be %d", ErrDamaged, s.path, s.count, limit)
		case s.count == 0 || s.end() <= l.released:
			if err := os.Remove(s.path); err != nil {
				return fmt.Errorf("clearing spool: %w", err)
			}
			continue
		case i+1 == len(segments):
			if err := os.Truncate(s.path, s.size); err != nil {
				return fmt.Errorf("cutting spool segment: %w", err)
			}
		}
		l.segments = append(l.segments, s)
		l.options.Budget.used.Add(s.size)
	}
	if len(l.segments) > 0 {
		l.next = max(l.next, l.segments[len(l.segments)-1].end())
		switch first, p := l.segments[0].first, l.slots.current; {
		case p == nil:
			l.released = first
		case first > p.Last+1:
			return fmt.Errorf("%w: frames %d to %d are missing", ErrDamaged, p.Last+1, first-1)
		case first > p.First:
			l.released = p.Last + 1 // some of its frames were released, so the batch is settled
		}
	} else {
		l.released = l.next
	}
	l.released = max(l.released, 1)
	l.read, l.spilled = l.released, l.released < l.next
	l.signal()
	return nil
}

// Arrived delivers when there may be something new to read.
func (l *Log) Arrived() <-chan struct{} { return l.arrived }

func (l *Log) signal() {
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// Append makes frames durable, in order, with one sync. It sets their Sequence. On an error none of them is there.
func (l *Log) Append(frames []Frame) error {
	if len(frames) == 0 {
		return nil
	}
	l.appending.Lock()
	defer l.appending.Unlock()
	b := l.buffer[:0]
	for i := range frames {
		b = appendRecord(b, &frames[i])
	}
	l.buffer = b
	if l.options.Budget.used.Load()+int64(len(b)) > l.options.Budget.limit {
		return ErrFull
	}
	s, err := l.writable()
	if err != nil {
		return err
	}
	if err := l.write(s, b); err != nil {
		return err
	}
	if cap(l.buffer) > 4<<20 {
		l.buffer = nil
	}
	l.options.Budget.used.Add(int64(len(b)))
	l.mu.Lock()
	for i := range frames {
		frames[i].Sequence = l.next
		l.next++
	}
	s.count += uint64(len(frames))
	s.size += int64(len(b))
	l.keep(frames, int64(len(b)))
	l.mu.Unlock()
	l.signal()
	return nil
}

// keep holds new frames in memory as long as there is room and nothing unread was left to the disk.
func (l *Log) keep(frames []Frame, size int64) {
	if l.spilled {
		return
	}
	if l.memory+size > l.options.Memory {
		l.tail, l.memory, l.spilled = nil, 0, true
		return
	}
	l.tail = append(l.tail, frames...)
	l.memory += size
}

// writable returns the segment to append to, opening a new one where needed.
func (l *Log) writable() (*segment, error) {
	l.mu.Lock()
	next := l.next
	var last *segment
	if n := len(l.segments); n > 0 {
		last = l.segments[n-1]
	}
	l.mu.Unlock()
	if l.active != nil && last != nil && last.size < l.options.SegmentSize {
		return last, nil
	}
	if l.active != nil {
		if err := l.active.Close(); err != nil {
			return nil, fmt.Errorf("closing spool segment: %w", err)
		}
		l.active = nil
	}
	path := segmentPath(l.dir, next)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making spool segment: %w", spaceError(err))
	}
	if err := syncDir(l.dir); err != nil {
		file.Close()
		return nil, fmt.Errorf("syncing spool folder: %w", spaceError(err))
	}
	s := &segment{path: path, first: next}
	l.active = file
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	return s, nil
}

// write appends and syncs, or leaves the segment as it was and closes it: after a failed sync nobody knows what the kernel
// still holds, so the next group goes to a new file.
func (l *Log) write(s *segment, b []byte) error {
	_, err := l.active.WriteAt(b, s.size)
	if err == nil {
		err = datasync(l.active)
	}
	if err == nil {
		return nil
	}
	cut := l.active.Truncate(s.size)
	_ = l.active.Close()
	l.active = nil
	if s.count == 0 {
		l.mu.Lock()
		l.segments = l.segments[:len(l.segments)-1]
		l.mu.Unlock()
		cut = errors.Join(cut, os.Remove(s.path))
	}
	return errors.Join(fmt.Errorf("writing spool: %w", spaceError(err)), cut)
}

// Read returns the next unread frames in order, at most maxFrames and about maxBytes of them; none if there are none.
func (l *Log) Read(maxFrames, maxBytes int) ([]Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spilled {
		return l.readDisk(maxFrames, maxBytes)
	}
	n, size := 0, 0
	for n < len(l.tail) && n < maxFrames && size < maxBytes {
		size += l.tail[n].Size()
		n++
	}
	frames := l.tail[:n:n]
	l.tail = l.tail[n:]
	if len(l.tail) == 0 {
		l.tail = nil
	}
	l.memory -= int64(size)
	l.read += uint64(n)
	return frames, nil
}

func (l *Log) readDisk(maxFrames, maxBytes int) ([]Frame, error) {
	var frames []Frame
	for size := 0; l.read < l.next && len(frames) < maxFrames && size < maxBytes; {
		if err := l.seek(); err != nil {
			return nil, err
		}
		at := &l.place
		data, err := at.segment.read(at.offset, max(maxBytes-size, recordHeader+maxBody))
		if err != nil {
			return nil, err
		}
		progress := false
		for l.read < at.segment.end() && len(frames) < maxFrames && size < maxBytes {
			f, n, err := parseRecord(data)
			if err != nil {
				break // the rest of the record is beyond what was read
			}
			f.Sequence = l.read
			frames = append(frames, f)
			data, size, progress = data[n:], size+n, true
			at.offset += int64(n)
			at.sequence++
			l.read++
		}
		if !progress {
			return nil, fmt.Errorf("%w: frame %d in %s cannot be read", ErrDamaged, l.read, at.segment.path)
		}
	}
	if l.read == l.next {
		l.spilled = false
		l.place.segment = nil
	}
	return frames, nil
}

// seek makes place point to frame number read.
func (l *Log) seek() error {
	at := &l.place
	if at.segment != nil && at.sequence == l.read && l.read < at.segment.end() {
		return nil
	}
	at.segment = nil
	for _, s := range l.segments {
		if l.read >= s.first && l.read < s.end() {
			at.segment, at.offset, at.sequence = s, 0, s.first
		}
	}
	if at.segment == nil {
		return fmt.Errorf("%w: frame %d is in no segment", ErrDamaged, l.read)
	}
	if at.sequence == l.read {
		return nil
	}
	data, err := at.segment.read(0, int(at.segment.size))
	if err != nil {
		return err
	}
	for at.sequence < l.read {
		_, n, err := parseRecord(data[at.offset:])
		if err != nil {
			return fmt.Errorf("%w: frame %d in %s cannot be read", ErrDamaged, at.sequence, at.segment.path)
		}
		at.offset += int64(n)
		at.sequence++
	}
	return nil
}

// Rewind goes back to the oldest frame that was not released.
func (l *Log) Rewind() { l.RewindTo(0) }

// RewindTo goes back to a frame, or to the oldest that was not released if that is later.
func (l *Log) RewindTo(sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = min(max(sequence, l.released), l.next)
	l.tail, l.memory, l.place.segment = nil, 0, nil
	l.spilled = l.read < l.next
	l.signal()
}

// Skip makes reading go on after a sequence.
func (l *Log) Skip(through uint64) { l.RewindTo(through + 1) }

// Release forgets every frame up to and including a sequence. Until the next batch is prepared a crash may bring the last
// ones back.
func (l *Log) Release(through uint64) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = min(max(l.released, through+1), l.next)
	drained := l.released == l.next && l.active != nil && l.segments[len(l.segments)-1].size > l.options.SegmentSize/4
	if drained {
		if err := l.active.Close(); err != nil {
			return fmt.Errorf("closing spool segment: %w", err)
		}
		l.active = nil
	}
	for len(l.segments) > 0 && l.segments[0].end() <= l.released && (len(l.segments) > 1 || l.active == nil) {
		s := l.segments[0]
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("deleting spool segment: %w", err)
		}
		l.segments = l.segments[1:]
		l.options.Budget.used.Add(-s.size)
	}
	return nil
}

// Prepare makes a batch durable before it is first submitted. It takes the place of the one before, which must be settled.
func (l *Log) Prepare(p *Prepared) error { return l.slots.store(p) }

// Prepared is the batch prepared last, nil if there is none. Whether it is settled the ledger knows.
func (l *Log) Prepared() *Prepared {
	if p := l.slots.current; p != nil && len(p.Argument) > 0 {
		return p
	}
	return nil
}

// Forget releases frames, durably, that no batch carried: they went to the quarantine or to another owner. It takes the place
// of the batch prepared last, which must be settled.
func (l *Log) Forget(through uint64) error {
	if err := l.slots.store(&Prepared{First: through + 1, Last: through}); err != nil {
		return err
	}
	return l.Release(through)
}

// Pending counts the frames that were not released, and tells when the oldest of those not yet read arrived (0: none, or
// it is on disk only).
func (l *Log) Pending() (frames uint64, oldest provenance.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) > 0 {
		oldest = l.tail[0].Received
	}
	return l.next - l.released, oldest
}

// Unread counts the frames that [Log.Read] has still to return, and their bytes as far as they are in memory.
func (l *Log) Unread() (frames uint64, bytes int64, spilled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - l.read, l.memory, l.spilled
}

// Close closes the files. Nothing is lost by not calling it.
func (l *Log) Close() error {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.active != nil {
		err = l.active.Close()
		l.active = nil
	}
	for _, s := range l.segments {
		l.options.Budget.used.Add(-s.size)
	}
	l.segments = nil
	return errors.Join(err, l.slots.file.Close())
}

// Lock keeps a second process out of a spool folder; closing the file unlocks it.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making spool: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening spool lock: %w", err)
	}
	for range 20 { // a predecessor that was just killed may need a moment
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return file, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	file.Close()
	return nil, fmt.Errorf("locking spool %s, is another ingest using it: %w", dir, err)
}

func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
