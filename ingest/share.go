package ingest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// share deals the lanes to the instances that serve them, the same on every instance that sees the same ones. Rendezvous
// hashing with a bound: each lane goes to the instance that scores highest among those with room, room being an even part of
// all lanes; so few lanes move when an instance comes or goes, and nobody gets more than its part. A lane that only instances
// without room serve goes to the highest of them; one that nobody serves gets "".
func share(lanes uint32, serve map[string][]uint32) []string {
	names := slices.Sorted(maps.Keys(serve))
	room, load := (int(lanes)+len(names)-1)/max(len(names), 1), map[string]int{}
	owners := make([]string, lanes)
	for lane := range lanes {
		willing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(serve[name], lane) })
		slices.SortFunc(willing, func(x, y string) int {
			return cmp.Or(cmp.Compare(load[x]/room, load[y]/room), -cmp.Compare(score(x, lane), score(y, lane)), cmp.Compare(x, y))
		})
		if len(willing) > 0 {
			owners[lane] = willing[0]
			load[willing[0]]++
		}
	}
	return owners
}

func score(name string, lane uint32) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", name, lane))
	return binary.BigEndian.Uint64(sum[:])
}
