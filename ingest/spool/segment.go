package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// A segment is a run of records: length uint32, CRC-32C of the body uint32, body. The body is the received time int64, the
// envelope's length uint16, envelope, payload; all big endian. The file is named by the sequence of its first record.
const (
	recordHeader = 8
	bodyHeader   = 10
	maxBody      = bodyHeader + provenance.MaxMessage
	segmentExt   = ".segment"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frame is an accepted frame in the spool.
type Frame struct {
	Sequence uint64 // position in the lane's log
	Received provenance.Time
	Envelope []byte
	Payload  []byte
}

// Size is what a frame takes on disk.
func (f *Frame) Size() int { return recordHeader + bodyHeader + len(f.Envelope) + len(f.Payload) }

func appendRecord(b []byte, f *Frame) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(bodyHeader+len(f.Envelope)+len(f.Payload)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Received))
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Envelope)))
	b = append(b, f.Envelope...)
	b = append(b, f.Payload...)
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+recordHeader:], castagnoli))
	return b
}

var errTorn = errors.New("incomplete or damaged record")

// parseRecord reads the first record of b; the frame's slices point into it.
func parseRecord(b []byte) (f Frame, size int, err error) {
	if len(b) < recordHeader {
		return f, 0, errTorn
	}
	n := int(binary.BigEndian.Uint32(b))
	if n < bodyHeader || n > maxBody || len(b) < recordHeader+n {
		return f, 0, errTorn
	}
	body := b[recordHeader : recordHeader+n : recordHeader+n]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return f, 0, errTorn
	}
	envelope := bodyHeader + int(binary.BigEndian.Uint16(body[8:]))
	if envelope > n {
		return f, 0, errTorn
	}
	f.Received = provenance.Time(binary.BigEndian.Uint64(body))
	f.Envelope, f.Payload = body[bodyHeader:envelope:envelope], body[envelope:]
	return f, recordHeader + n, nil
}

type segment struct {
	path  string
	first uint64
	count uint64
	size  int64 // bytes of its good records
}

func (s *segment) end() uint64 { return s.first + s.count }

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentExt))
}

// listSegments finds the segments of a folder, oldest first, without looking into them.
func listSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing spool: %w", err)
	}
	var found []*segment
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), segmentExt)
		first, err := strconv.ParseUint(name, 10, 64)
		if ok && err == nil {
			found = append(found, &segment{path: filepath.Join(dir, entry.Name()), first: first})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].first < found[j].first })
	return found, nil
}

// scan counts the good records of a segment, at most limit of them.
func (s *segment) scan(limit uint64) error {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("reading spool segment: %w", err)
	}
	s.count, s.size = 0, 0
	for s.count < limit {
		_, n, err := parseRecord(data[s.size:])
		if err != nil {
			return nil //nolint:nilerr // how many there must be is for the caller to say
		}
		s.count++
		s.size += int64(n)
	}
	return nil
}

// read returns up to maxBytes of a segment from an offset on.
func (s *segment) read(offset int64, maxBytes int) ([]byte, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("opening spool segment: %w", err)
	}
	defer file.Close()
	data := make([]byte, min(int64(maxBytes), s.size-offset))
	if _, err := file.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading spool segment: %w", err)
	}
	return data, nil
}
