package evidence

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestBatchRoundTrip(t *testing.T) {
	b := &Batch{Organisation: "Carrier", Lane: 3, Number: 17, Fence: 2}
	for i := range 20 {
		raw, payload, err := SplitMessage(signed(t, fmt.Sprintf("truck-%d", i), 1, i+1))
		require.NoError(t, err)
		if i%5 == 4 {
			payload = nil // confidential
		}
		b.Frames = append(b.Frames, BatchFrame{Received: start + provenance.Time(i*i), Raw: raw, Payload: payload})
	}
	argument, err := EncodeBatch(b)
	require.NoError(t, err)
	got, err := DecodeBatch(argument)
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func TestBatchRefusesAPayloadThatIsNotTheFrames(t *testing.T) {
	raw, _, err := SplitMessage(signed(t, "truck-1", 1, 3))
	require.NoError(t, err)
	_, err = EncodeBatch(&Batch{Organisation: "C", Frames: []BatchFrame{{Raw: raw, Payload: []byte{1}}}})
	require.Error(t, err)
}

func FuzzDecodeBatch(f *testing.F) {
	raw, payload, err := SplitMessage(signed(f, "truck-1", 1, 3))
	require.NoError(f, err)
	argument, err := EncodeBatch(&Batch{Organisation: "C", Number: 1, Frames: []BatchFrame{{Received: start, Raw: raw, Payload: payload}}})
	require.NoError(f, err)
	f.Add(argument)
	f.Fuzz(func(t *testing.T, argument []byte) {
		b, err := DecodeBatch(argument)
		if err == nil {
			require.NotEmpty(t, b.Frames)
		}
	})
}

// noisy makes a message as a real probe would: a temperature a minute with noise, at 0.1 °C.
func noisy(t testing.TB, r *rand.Rand, device string, sequence uint64, n int) []byte {
	p := &Pack{Device: device, Unit: "Cel"}
	at := start + provenance.Time(r.Int64N(1e7))
	for range n {
		p.Readings = append(p.Readings, provenance.Reading{Time: at, Value: provenance.Micro(4_000_000 + int64(r.NormFloat64()*10)*100_000)})
		at += 60_000
	}
	message, err := SignFrame(fixedSigner(7), 1, sequence, p, at)
	require.NoError(t, err)
	return message
}

// The size that a reading takes in a batch: the greater part of what it takes in a block.
func TestBatchBytesPerReading(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := &Batch{Organisation: "Carrier", Lane: 3, Number: 1, Fence: 1}
	for i := range 400 {
		raw, payload, err := SplitMessage(noisy(t, r, fmt.Sprintf("truck-%04d-a", i), 1+r.Uint64N(1000), 60))
		require.NoError(t, err)
		b.Frames = append(b.Frames, BatchFrame{Received: start + provenance.Time(i), Raw: raw, Payload: payload})
	}
	argument, err := EncodeBatch(b)
	require.NoError(t, err)
	perReading := float64(len(argument)) / 400 / 60
	t.Logf("%.2f bytes a reading", perReading)
	require.Less(t, perReading, 5.0)
}

func BenchmarkBatch(b *testing.B) {
	for _, n := range []int{1, 60} {
		r := rand.New(rand.NewPCG(1, 2))
		batch := &Batch{Organisation: "Carrier", Lane: 3, Number: 1, Fence: 1}
		for i := range 400 {
			raw, payload, err := SplitMessage(noisy(b, r, fmt.Sprintf("truck-%04d-a", i), 1, n))
			require.NoError(b, err)
			batch.Frames = append(batch.Frames, BatchFrame{Received: start, Raw: raw, Payload: payload})
		}
		argument, err := EncodeBatch(batch)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("encode/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = EncodeBatch(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/400, "ns/frame")
			b.ReportMetric(float64(len(argument))/400, "B/frame")
		})
		b.Run(fmt.Sprintf("decode/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = DecodeBatch(argument)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/400, "ns/frame")
		})
	}
}
