package contract

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls do for 0 … n-1 from at most GOMAXPROCS goroutines, a few at a time. The calls must not depend on each other.
// A panic in one of them is raised again in the caller.
func parallel(n int, do func(i int)) {
	const stride = 8
	workers := min(runtime.GOMAXPROCS(0), (n+stride-1)/stride)
	var (
		next  atomic.Int64
		cause atomic.Value
		group sync.WaitGroup
	)
	work := func() {
		for {
			end := int(next.Add(stride))
			if end-stride >= n {
				return
			}
			for i := end - stride; i < min(end, n); i++ {
				do(i)
			}
		}
	}
	for range workers - 1 {
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					cause.Store(&p)
				}
			}()
			work()
		})
	}
	defer func() {
		group.Wait()
		if p, ok := cause.Load().(*any); ok {
			panic(*p)
		}
	}()
	work()
}
