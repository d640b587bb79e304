package bench

import (
	"context"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profile takes a CPU profile of this process, the publishers, while a steady state lasts. Other processes take theirs themselves.
func (r *run) profile(_ context.Context, name string) (stop func()) {
	if r.config.Profile == "" {
		return func() {}
	}
	file, err := os.Create(filepath.Join(r.config.Profile, name+".bench.pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		r.step("no profile: %v", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // an aid for ourselves
	}
}
