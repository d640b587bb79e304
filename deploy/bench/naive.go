package bench

import (
	"context"
	"fmt"
	"time"
)

// naive measures what a straightforward Fabric application does: one reading, one transaction, its commit awaited.
func (r *run) naive(ctx context.Context) error {
	memory := followMemory(ctx, r.group)
	defer memory.end()
	candidates := []int{100, 200, 400, 600, 900}
	if r.config.Short {
		candidates = []int{100, 400}
	}
	began := time.Now().UnixMilli()
	put := func(trial int) func(context.Context, int64) error {
		return func(ctx context.Context, n int64) error {
			key := fmt.Sprintf("naive-%05d/%d/%d", n%2000, trial, n)
			reading := fmt.Sprintf(`{"device":"naive-%05d","organisation":%q,"time":%d,"quantity":"temperature","value":%.1f,"unit":"Cel"}`,
				n%2000, r.carrier.MSPID, began+n*1000, 4+float64(n%11)/10)
			return r.plain.submit(ctx, naivePut, []byte(key), []byte(reading))
		}
	}
	chosen, tried, err := best(candidates, func(n int) (float64, error) {
		l, err := r.closedLoop(ctx, n, r.config.settle(), r.config.trial(), put(n))
		r.step("naive: %d in flight: %.0f readings/s", n, l.rate())
		return l.rate(), err
	})
	if err != nil {
		return err
	}
	r.step("naive: %d in flight for %s", chosen, r.config.steady())
	blocks, err := r.height(ctx)
	if err != nil {
		return err
	}
	l, err := r.closedLoop(ctx, chosen, r.config.warmup(), r.config.steady(), put(0))
	if err != nil {
		return err
	}
	bytes, transactions, err := r.blockBytes(ctx, blocks)
	if err != nil {
		return err
	}
	r.result.Naive = &Load{
		ReadingsPerSecond: l.rate(), FramesPerSecond: l.rate(), Seconds: l.span.Seconds(), InFlight: chosen, Tried: tried, ReadingsPerFrame: 1,
		PublishToCommit:      latencyOf(l.latency),
		BlockBytesPerReading: float64(bytes) / float64(transactions), Memory: memory.end(),
	}
	r.result.Naive.account(l.cpu, l.done, l.span)
	r.step("naive: %.0f readings/s", l.rate())
	return nil
}
