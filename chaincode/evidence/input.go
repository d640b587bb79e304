package evidence

import (
	"cmp"
	"slices"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// InputReading is a reading as a score saw it.
type InputReading struct {
	Device string
	Time   provenance.Time
	Value  provenance.Micro
}

// InputRoot is the RFC 6962 root over the readings that a score saw, ordered by (time, device, value).
func InputRoot(readings []InputReading) provenance.Hash {
	sorted := slices.Clone(readings)
	slices.SortFunc(sorted, func(a, b InputReading) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Value, b.Value))
	})
	leaves := make([]provenance.Hash, len(sorted))
	var b []byte
	for i, r := range sorted {
		b = appendBytes(appendHead(b[:0], majorArray, 3), majorText, r.Device)
		b = appendInteger(appendInteger(b, int64(r.Time)), int64(r.Value))
		leaves[i] = LeafHash(b)
	}
	return Root(leaves)
}
