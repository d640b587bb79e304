package readmodel

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func drawRun(t *rapid.T, day int64) (run, provenance.Time) {
	at := day*dayMs + int64(rapid.IntRange(0, dayMs-1).Draw(t, "first"))
	step := int64(rapid.IntRange(1, 100_000).Draw(t, "step"))
	even := rapid.Bool().Draw(t, "even")
	unit := rapid.SampledFrom([]int64{1, 10_000, 1_000_000}).Draw(t, "unit")
	r := run{
		epoch: rapid.Uint32Range(1, 1<<31).Draw(t, "epoch"), sequence: rapid.Uint64Range(1, 1<<53).Draw(t, "sequence"), block: rapid.Uint64().Draw(t, "block"),
		offset: rapid.Uint32Range(0, 1000).Draw(t, "offset"), backfilled: rapid.Bool().Draw(t, "late"),
	}
	for i := range rapid.IntRange(1, 100).Draw(t, "count") {
		if at >= (day+1)*dayMs {
			break
		}
		value := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "value") * unit
		r.readings = append(r.readings, provenance.Reading{Time: provenance.Time(at), Value: provenance.Micro(value)})
		at += step
		if !even {
			at += int64(i % 3)
		}
	}
	last := r.readings[len(r.readings)-1].Time + provenance.Time(rapid.IntRange(0, 1e6).Draw(t, "rest"))
	r.published = last + provenance.Time(rapid.IntRange(-1e6, 1e6).Draw(t, "published"))
	r.received = last + provenance.Time(rapid.IntRange(-1e6, 1e9).Draw(t, "received"))
	return r, last
}

func TestSegmentsKeepWhatTheyAreGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := int64(rapid.IntRange(3200, 60_000).Draw(t, "day"))
		s := &segment{id: segmentID(7, day, 0)}
		var runs []run
		var all tally
		for range rapid.IntRange(1, 10).Draw(t, "runs") {
			r, last := drawRun(t, day)
			s.add(day, &r, last)
			for _, reading := range r.readings {
				all.add(reading.Value, r.backfilled)
			}
			runs = append(runs, r)
		}
		reader := segmentReader{data: s.data, day: day}
		for _, want := range runs {
			require.True(t, reader.next(), "%v", reader.err)
			got := reader.run
			got.readings = slices.Clone(got.readings)
			require.Equal(t, want, got)
		}
		require.False(t, reader.next())
		require.NoError(t, reader.err)

		var sums hours
		require.NoError(t, decodeHours(s.hours.encode(), &sums))
		require.Equal(t, s.hours, sums)
		var total tally
		for i := range sums {
			total.merge(&sums[i])
		}
		require.Equal(t, all.count, total.count)
		require.Equal(t, all.backfilled, total.backfilled)
		require.Equal(t, all.min, total.min)
		require.Equal(t, all.max, total.max)
		require.Equal(t, day, segmentDay(s.id))
	})
}

func FuzzSegment(f *testing.F) {
	r := run{epoch: 1, sequence: 2, block: 3, readings: []provenance.Reading{{Time: 20_000 * dayMs, Value: 5_000_000}, {Time: 20_000*dayMs + 60_000, Value: 5_100_000}}}
	s := &segment{}
	s.add(20_000, &r, r.readings[1].Time)
	f.Add(s.data)
	f.Add(s.hours.encode())
	f.Fuzz(func(_ *testing.T, data []byte) {
		reader := segmentReader{data: data, day: 20_000}
		for n := 0; reader.next(); n++ {
			if n > len(data) {
				panic("more runs than bytes")
			}
		}
		_ = decodeHours(data, new(hours))
	})
}

func TestAcceptedPosition(t *testing.T) {
	m := &provenance.Manifest{Refused: []provenance.Refusal{{Position: 0}, {Position: 2}, {Position: 3}, {Position: 7}}}
	for leaf, want := range []uint32{1, 4, 5, 6, 8, 9} {
		require.Equal(t, want, acceptedPosition(m, uint32(leaf)))
	}
}
