package contract

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/trailmark/trailmark/chaincode/evidence"
)

// BenchmarkCommit endorses one batch of 300 frames, each of a device of its own, again and again. Verify is the part of it that
// nobody can save: the signatures alone, on one core.
func BenchmarkCommit(b *testing.B) {
	const frames = 300
	w := newWorld(b)
	w.claim(maker, 0, "ingest-1")
	shots := make(map[int][]shot)
	for i := range frames {
		name := fmt.Sprintf("sensor-%04d", i)
		w.enrol(maker, 0, name)
		for _, count := range []int{1, 60} {
			shots[count] = append(shots[count], shot{device: name, sequence: 1, count: count})
		}
	}
	for _, count := range []int{1, 60} {
		argument := w.batch(maker, 0, 1, shots[count]...)
		b.Run(fmt.Sprintf("%dx%d", frames, count), func(b *testing.B) {
			b.SetBytes(int64(len(argument)))
			creator := identity(maker, "client")
			b.ReportAllocs()
			used := processorTime()
			for b.Loop() {
				if s, response := w.simulate(0, creator, "readings:Commit", argument); response.GetStatus() != shim.OK || len(s.writes) != frames+2 {
					b.Fatal(response.GetMessage())
				}
			}
			b.ReportMetric(float64((processorTime()-used).Microseconds())/float64(b.N*frames), "cpu-µs/frame")
		})
	}
	argument := w.batch(maker, 0, 1, shots[1]...)
	batch, err := evidence.DecodeBatch(argument)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Verify", func(b *testing.B) {
		key, err := evidence.ParseKey(coseKey(deviceKey("sensor-0000", 0)))
		must0(err)
		frame, err := evidence.ParseFrame(batch.Frames[0].Raw)
		must0(err)
		used := processorTime()
		for b.Loop() {
			if !frame.Verify(key) {
				b.Fatal("does not verify")
			}
		}
		b.ReportMetric(float64((processorTime()-used).Nanoseconds())/1000/float64(b.N), "cpu-µs/frame")
	})
	b.Run("DecodeBatch", func(b *testing.B) {
		for b.Loop() {
			if _, err := evidence.DecodeBatch(argument); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*frames), "µs/frame")
	})
}

// processorTime is what this process has used: the clock would count others on the same cores.
func processorTime() time.Duration {
	var usage syscall.Rusage
	must0(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
