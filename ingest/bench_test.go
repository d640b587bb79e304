package ingest

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
	"github.com/trailmark/trailmark/ingest/spool"
)

// fleet signs frames of many devices.
func fleet(b testing.TB, l *ledger, lanes uint32, devices, frames, readings int) (topics []string, bodies [][]byte) {
	now := time.Now()
	sensors := make([]*sensor, devices)
	for i := range sensors {
		sensors[i] = newSensor(b, l, fmt.Sprintf("sensor-%05d", i), uint32(i)%lanes)
	}
	for i := range frames {
		s := sensors[i%devices]
		s.sequence++
		pack := &evidence.Pack{Device: s.id, Unit: "Cel"}
		for r := range readings {
			at := now.Add(-time.Duration(frames-i) * time.Millisecond).Add(-time.Duration(readings-r) * time.Minute)
			pack.Readings = append(pack.Readings, provenance.Reading{Time: provenance.TimeOf(at), Value: provenance.Micro(4_000_000 + (i*37+r*11)%100*10_000)})
		}
		body, err := evidence.SignFrame(s.signer, 1, s.sequence, pack, provenance.TimeOf(now))
		require.NoError(b, err)
		topics, bodies = append(topics, s.topic()), append(bodies, body)
	}
	return topics, bodies
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStages measures CPU per frame, signature check included where it is part of the stage.
func BenchmarkStages(b *testing.B) {
	const frames = 4096
	for _, readings := range []int{1, 60} {
		l := newLedger()
		topics, bodies := fleet(b, l, 1, 500, frames, readings)
		arrivals := make([]arrival, frames)
		for i := range arrivals {
			arrivals[i] = arrivalOf(topics[i], bodies[i])
		}
		j := newJudge(org, 0, newRegistry(devices{l}, l), nil, systemClock{})
		judgeAll := func() []spool.Frame {
			list := make([]spool.Frame, 0, frames)
			for _, r := range j.all(context.Background(), arrivals) {
				require.Equal(b, provenance.Accepted, r.verdict, r.detail)
				list = append(list, r.frame)
			}
			return list
		}
		measure := func(name string, do func()) {
			b.Run(fmt.Sprintf("%s/%d", name, readings), func(b *testing.B) {
				start := cpu()
				for b.Loop() {
					do()
				}
				b.ReportMetric(float64((cpu()-start).Nanoseconds())/float64(b.N)/frames, "cpu-ns/frame")
			})
		}
		parsed, err := evidence.ParseFrame(judgeAll()[0].Envelope)
		require.NoError(b, err)
		key := j.registry.key(l.devices[parsed.ID.Device], 1)
		measure("signature", func() {
			for range frames {
				parsed.Verify(key)
			}
		})
		measure("judge", func() { judgeAll() })
		list := judgeAll()
		log, err := spool.Open(b.TempDir(), spool.Options{Budget: spool.NewBudget(1 << 40), SegmentSize: 4 << 20, Memory: 8 << 20, MaxArgument: slotArgument})
		require.NoError(b, err)
		store, err := quarantine.Open(b.TempDir(), quarantine.Limits{Entries: 1e6, Bytes: 1 << 30, ArchiveBytes: 1 << 30}, quiet(b))
		require.NoError(b, err)
		m, err := newMetrics(prometheus.NewRegistry(), spool.NewBudget(1), store, func() float64 { return 0 }, func() float64 { return 0 })
		require.NoError(b, err)
		batch := &batcher{cfg: &Config{BatchBytes: 192 << 10}, ratio: 0.7, log: log, state: &conditions{}, metrics: m, lane: provenance.Lane{Organisation: org}}
		encoded := 0
		measure("spool+encode", func() {
			encoded = 0
			for from := 0; from < frames; from += 256 {
				require.NoError(b, log.Append(list[from:from+256]))
			}
			for {
				read, err := log.Read(provenance.MaxFramesInBatch, batch.raw())
				require.NoError(b, err)
				if len(read) == 0 {
					return
				}
				p, err := batch.prepare(context.Background(), read)
				require.NoError(b, err)
				encoded += len(p.Argument)
				require.NoError(b, log.Release(p.Last))
			}
		})
		b.Logf("%d readings a frame: %d B a message, %.1f B a frame in the batch, %.2f B a reading", readings, len(bodies[0]),
			float64(encoded)/frames, float64(encoded)/frames/float64(readings))
		require.NoError(b, log.Close())
		require.NoError(b, store.Close())
	}
}

// BenchmarkRoad carries signed frames from the broker's store to a ledger that commits at once, publisher apart.
func BenchmarkRoad(b *testing.B) {
	frames := max(b.N, 20_000)
	w := newBench(b, 4)
	w.ledger.latency = 50 * time.Millisecond
	topics, bodies := fleet(b, w.ledger, 4, 100, frames, 1)
	cfg := w.config("one")
	cfg.BatchBytes = 192 << 10
	r := w.start(cfg)
	eventually(b, "owner", owns(r, 0, 1, 2, 3))
	r.members.mu.Lock()
	client := r.members.client
	r.members.mu.Unlock()
	runtime.GC()
	b.ResetTimer()
	start, used := time.Now(), cpu()
	for i := range frames {
		token := client.Publish(topics[i], 1, false, bodies[i])
		if i%1000 == 999 {
			require.NoError(b, await(context.Background(), token))
		}
	}
	for w.ledger.count() < frames {
		time.Sleep(5 * time.Millisecond)
		require.Less(b, time.Since(start), 2*time.Minute)
	}
	b.ReportMetric(float64(frames)/time.Since(start).Seconds(), "frames/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(frames), "cpu-ns/frame-all") // publisher, broker, ingest and the fake contract's second check
}
