package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// Prepared is a batch whose bytes stand on disk: a retry after a crash sends the same.
type Prepared struct {
	Number      uint64 // of the batch in its lane
	Fence       uint64
	First, Last uint64 // sequences of its frames, both included
	Argument    []byte
}

// A slot is a header (magic uint32, CRC-32C of all that follows uint32, generation, number, fence, first, last uint64,
// argument's length uint32), then the argument. The higher generation counts.
const (
	slotMagic  = 0x746d6231
	slotHeader = 4 + 4 + 5*8 + 4
)

// ErrTooLarge means that a batch does not fit its slot: make a smaller one.
var ErrTooLarge = fmt.Errorf("batch is larger than its slot in the spool")

type slots struct {
	file       *os.File
	size       int64 // of one slot
	generation uint64
	current    *Prepared
	buffer     []byte
}

func openSlots(dir string, maxArgument int) (*slots, error) {
	path := filepath.Join(dir, "batch")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening batch slots: %w", err)
	}
	s := &slots{file: file, size: int64(slotHeader + maxArgument)}
	if err := s.allocate(); err != nil {
		file.Close()
		return nil, err
	}
	for i := range int64(2) {
		if err := s.load(i); err != nil {
			file.Close()
			return nil, err
		}
	}
	return s, nil
}

// allocate fills the file with zeros once, so that later writes need no new space. A file made with another slot size keeps
// its batch: it is written anew.
func (s *slots) allocate() error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("looking at batch slots: %w", err)
	}
	if info.Size() == 2*s.size {
		return nil
	}
	if info.Size() > 0 {
		if kept := info.Size() / 2; info.Size()%2 == 0 && kept > slotHeader && kept > s.size {
			s.size = kept // never shrink below what a stored batch may need
			return nil
		} else if kept < s.size && kept > slotHeader && info.Size()%2 == 0 {
			old := &slots{file: s.file, size: kept}
			for i := range int64(2) {
				if err := old.load(i); err != nil {
					return err
				}
			}
			if err := s.zero(); err != nil || old.current == nil {
				return err
			}
			s.generation = old.generation
			return s.store(old.current)
		}
	}
	return s.zero()
}

func (s *slots) zero() error {
	if _, err := s.file.WriteAt(make([]byte, 2*s.size), 0); err != nil {
		return fmt.Errorf("allocating batch slots: %w", err)
	}
	if err := s.file.Truncate(2 * s.size); err != nil {
		return fmt.Errorf("allocating batch slots: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("allocating batch slots: %w", err)
	}
	return nil
}

func (s *slots) load(i int64) error {
	data := make([]byte, s.size)
	if _, err := s.file.ReadAt(data, i*s.size); err != nil {
		return fmt.Errorf("reading batch slot: %w", err)
	}
	generation, p, ok := parseSlot(data)
	if ok && generation > s.generation {
		s.generation, s.current = generation, p
	}
	return nil
}

func parseSlot(data []byte) (generation uint64, p *Prepared, ok bool) {
	if len(data) < slotHeader || binary.BigEndian.Uint32(data) != slotMagic {
		return 0, nil, false
	}
	n := int64(binary.BigEndian.Uint32(data[slotHeader-4:]))
	if slotHeader+n > int64(len(data)) || crc32.Checksum(data[8:slotHeader+n], castagnoli) != binary.BigEndian.Uint32(data[4:]) {
		return 0, nil, false
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(data[8+8*i:]) }
	return word(0), &Prepared{
		Number: word(1), Fence: word(2), First: word(3), Last: word(4), Argument: data[slotHeader : slotHeader+n],
	}, true
}

func (s *slots) store(p *Prepared) error {
	if int64(slotHeader+len(p.Argument)) > s.size {
		return ErrTooLarge
	}
	generation := s.generation + 1
	b := append(s.buffer[:0], make([]byte, 8)...)
	for _, v := range [...]uint64{generation, p.Number, p.Fence, p.First, p.Last} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Argument)))
	b = append(b, p.Argument...)
	binary.BigEndian.PutUint32(b, slotMagic)
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	s.buffer = b
	if _, err := s.file.WriteAt(b, int64(generation%2)*s.size); err != nil {
		return fmt.Errorf("writing batch slot: %w", spaceError(err))
	}
	if err := datasync(s.file); err != nil {
		return fmt.Errorf("syncing batch slot: %w", spaceError(err))
	}
	s.generation, s.current = generation, p
	return nil
}
