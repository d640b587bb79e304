package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// ourselves is this process: it publishes, and it follows what comes of it.
const ourselves = "bench (publishers)"

// ticks of the kernel's process accounting in a second; Linux shows user space 100 everywhere.
const ticks = 100

// usage is what processes have consumed by a moment.
type usage struct {
	at  time.Time
	pid map[string]int
	cpu map[string]float64 // seconds since the process began
}

// takeUsage reads the accounting of every process of the group and of ourselves.
func takeUsage(group *supervise.Group) (usage, error) {
	u := usage{at: time.Now(), pid: map[string]int{ourselves: os.Getpid()}, cpu: map[string]float64{}}
	all, err := group.Status()
	if err != nil {
		return u, err
	}
	for _, s := range all {
		if s.State == supervise.Running {
			u.pid[s.Name] = s.PID
		}
	}
	for name, pid := range u.pid {
		if u.cpu[name], err = processCPU(pid); err != nil {
			return u, fmt.Errorf("accounting of %s: %w", name, err)
		}
	}
	return u, nil
}

// spent gives the CPU seconds of each process between two moments. A process that was started again in between has no answer.
func (u usage) spent(until usage) (map[string]float64, error) {
	spent := map[string]float64{}
	for name, pid := range u.pid {
		if until.pid[name] != pid {
			return nil, fmt.Errorf("process %s ended while it was measured", name)
		}
		spent[name] = until.cpu[name] - u.cpu[name]
	}
	return spent, nil
}

func total(spent map[string]float64, of func(name string) bool) (sum float64) {
	for name, seconds := range spent {
		if of == nil || of(name) {
			sum += seconds
		}
	}
	return sum
}

func processCPU(pid int) (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	return parseStat(text)
}

// parseStat finds user and system time in /proc/PID/stat; the name in it may hold blanks and brackets.
func parseStat(text []byte) (float64, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("%.40q is no process accounting", text)
	}
	sum := 0.0
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process accounting: %w", err)
		}
		sum += float64(n) / ticks
	}
	return sum, nil
}

// residents follows the memory of all processes.
type residents struct {
	mu   sync.Mutex
	peak map[string]int64 // bytes
	stop context.CancelFunc
	done chan struct{}
}

func followMemory(ctx context.Context, group *supervise.Group) *residents {
	ctx, stop := context.WithCancel(ctx)
	m := &residents{peak: map[string]int64{}, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for {
			m.look(group)
			if sleep(ctx, time.Second) != nil {
				return
			}
		}
	}()
	return m
}

// look notes what is resident now. A process that ends meanwhile is left out.
func (m *residents) look(group *supervise.Group) {
	pids := map[string]int{ourselves: os.Getpid()}
	if all, err := group.Status(); err == nil {
		for _, s := range all {
			pids[s.Name] = s.PID
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) < 2 {
			continue
		}
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		if err == nil {
			m.peak[name] = max(m.peak[name], pages*int64(os.Getpagesize()))
		}
	}
}

// end gives the peaks.
func (m *residents) end() map[string]int64 {
	m.stop()
	<-m.done
	return m.peak
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
