// Package clock holds the clock that a demonstration runs on: it begins in the past, runs faster than the machine's, and
// becomes the machine's own where the two meet. Every process of a demonstration is given the same one. It imports nothing of ours.
package clock

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Clock is a simulated clock; the zero value is the machine's.
type Clock struct {
	RealStart time.Time // when it was started
	SimStart  time.Time // what it showed then
	Speed     float64   // its seconds in a second, above 1
}

// Starting makes a clock that shows simStart now and meets the machine's clock after lead.
func Starting(now, simStart time.Time, lead time.Duration) Clock {
	return Clock{RealStart: now, SimStart: simStart, Speed: 1 + float64(now.Sub(simStart))/float64(lead)}
}

// Simulated tells whether the clock is other than the machine's at all.
func (c Clock) Simulated() bool { return !c.RealStart.IsZero() && c.Speed > 1 }

// Running tells whether the clock still runs ahead of meeting the machine's at time now.
func (c Clock) Running(now time.Time) bool { return c.Simulated() && c.At(now).Before(now) }

// Now is what the clock shows.
func (c Clock) Now() time.Time { return c.At(time.Now()) }

// At is what the clock shows when the machine's shows now.
func (c Clock) At(now time.Time) time.Time {
	if !c.Simulated() {
		return now
	}
	shown := c.SimStart.Add(time.Duration(float64(now.Sub(c.RealStart)) * c.Speed))
	if shown.After(now) {
		return now
	}
	return shown
}

// Until is how long the machine's clock takes until this one shows t.
func (c Clock) Until(t, now time.Time) time.Duration {
	if !c.Simulated() || c.At(now).Equal(now) {
		return t.Sub(now)
	}
	real := c.RealStart.Add(time.Duration(float64(t.Sub(c.SimStart)) / c.Speed))
	if c.At(real).Equal(real) { // it has met the machine's clock by then
		real = t
	}
	return real.Sub(now)
}

// String writes the clock so that Parse reads it: the empty string for the machine's.
func (c Clock) String() string {
	if !c.Simulated() {
		return ""
	}
	return fmt.Sprintf("%s,%s,%g", c.RealStart.UTC().Format(time.RFC3339Nano), c.SimStart.UTC().Format(time.RFC3339Nano), c.Speed)
}

// Parse reads what String wrote.
func Parse(s string) (Clock, error) {
	if s == "" {
		return Clock{}, nil
	}
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return Clock{}, fmt.Errorf("clock %q: want real start, simulated start, speed", s)
	}
	real, err1 := time.Parse(time.RFC3339Nano, parts[0])
	sim, err2 := time.Parse(time.RFC3339Nano, parts[1])
	speed, err3 := strconv.ParseFloat(parts[2], 64)
	if err1 != nil || err2 != nil || err3 != nil || !(speed > 1 && speed < 1e7) || !sim.Before(real) {
		return Clock{}, fmt.Errorf("clock %q: want real start, an earlier simulated start, and a speed above 1", s)
	}
	return Clock{real, sim, speed}, nil
}

// File is a clock that stands in a file as String writes it. Until the file is there, the machine's clock is shown: a demonstration
// starts its processes first and the clock when all are ready.
type File struct {
	path  string
	mu    sync.Mutex
	clock Clock
	next  time.Time // when to look again
}

// OpenFile names the file; the empty name is the machine's clock for good.
func OpenFile(path string) *File { return &File{path: path} }

// Clock is what the file says, the machine's clock while it is not there.
func (f *File) Clock() Clock {
	if f.path == "" {
		return Clock{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.clock.Simulated() || now.Before(f.next) {
		return f.clock
	}
	f.next = now.Add(50 * time.Millisecond)
	if text, err := os.ReadFile(f.path); err == nil {
		if c, err := Parse(strings.TrimSpace(string(text))); err == nil {
			f.clock = c
		}
	}
	return f.clock
}

// Now is what the clock shows.
func (f *File) Now() time.Time { return f.Clock().Now() }
