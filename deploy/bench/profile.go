package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// profile takes CPU profiles while a steady state lasts: of this process, and of each of ours that serves net/http/pprof on the socket
// PID.sock in the profiles' folder, which the environment variable TRAILMARK_PPROF names to it. The profiles are NAME.PROCESS.pprof there.
func (r *run) profile(ctx context.Context, name string, span time.Duration) (stop func()) {
	dir := r.config.Profile
	if dir == "" {
		return func() {}
	}
	own, err := os.Create(filepath.Join(dir, name+".bench.pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(own)
	}
	if err != nil {
		r.step("no profile: %v", err)
		return func() {}
	}
	var others sync.WaitGroup
	all, err := r.group.Status()
	if err != nil {
		r.step("no profiles of others: %v", err)
	}
	for _, s := range all {
		socket := filepath.Join(dir, fmt.Sprintf("%d.sock", s.PID))
		if _, err := os.Stat(socket); s.State != supervise.Running || err != nil {
			continue
		}
		others.Go(func() {
			if err := fetchProfile(ctx, socket, span, filepath.Join(dir, name+"."+s.Name+".pprof")); err != nil {
				r.step("no profile of %s: %v", s.Name, err)
			}
		})
	}
	return func() {
		pprof.StopCPUProfile()
		_ = own.Close() // an aid for ourselves
		others.Wait()
	}
}

func fetchProfile(ctx context.Context, socket string, span time.Duration, into string) error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://process/debug/pprof/profile?seconds=%d", max(int(span.Seconds()), 1)), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	file, err := os.Create(into)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, response.Body)
	return err
}
