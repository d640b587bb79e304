package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func testOptions() Options {
	return Options{Budget: NewBudget(64 << 20), SegmentSize: 4096, Memory: 8192, MaxArgument: 4096}
}

func open(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	require.NoError(t, err)
	return l
}

func group(from, n, size int) []Frame {
	frames := make([]Frame, n)
	for i := range frames {
		text := fmt.Appendf(nil, "%d:", from+i)
		frames[i] = Frame{Received: provenance.Time(from + i), Envelope: text, Payload: bytes.Repeat([]byte{byte(from + i)}, size)}
	}
	return frames
}

// drain reads everything and checks that it is from, from+1, …
func drain(t testing.TB, l *Log, from, n int) {
	t.Helper()
	for i := 0; i < n; {
		frames, err := l.Read(7, 1000)
		require.NoError(t, err)
		require.NotEmpty(t, frames, "frame %d of %d", i, n)
		for _, f := range frames {
			require.Equal(t, fmt.Sprintf("%d:", from+i), string(f.Envelope))
			require.Equal(t, uint64(from+i), f.Sequence)
			i++
		}
	}
	frames, err := l.Read(7, 1000)
	require.NoError(t, err)
	require.Empty(t, frames)
}

func TestFramesComeBackInOrder(t *testing.T) {
	for _, memory := range []int64{0, 500, 1 << 20} {
		o := testOptions()
		o.Memory = memory
		l := open(t, t.TempDir(), o)
		for i := range 50 {
			require.NoError(t, l.Append(group(1+10*i, 10, 100)))
		}
		drain(t, l, 1, 500)
		require.NoError(t, l.Append(group(501, 3, 10)))
		drain(t, l, 501, 3)
		l.RewindTo(250)
		drain(t, l, 250, 254)
		require.NoError(t, l.Release(503))
		require.NoError(t, l.Close())
	}
}

func TestReopenWithoutClose(t *testing.T) {
	dir, o := t.TempDir(), testOptions()
	l := open(t, dir, o)
	for i := range 20 {
		require.NoError(t, l.Append(group(1+10*i, 10, 100)))
	}
	_, err := l.Read(90, 1<<20)
	require.NoError(t, err)
	require.NoError(t, l.Prepare(&Prepared{Number: 4, Fence: 2, First: 1, Last: 90, Argument: []byte("batch")}))

	again := open(t, dir, testOptions()) // the first was killed
	require.Equal(t, &Prepared{Number: 4, Fence: 2, First: 1, Last: 90, Argument: []byte("batch")}, again.Prepared())
	again.Skip(90)
	drain(t, again, 91, 110)
	require.NoError(t, again.Release(90))
	require.NoError(t, again.Append(group(201, 1, 1)))

	third := open(t, dir, testOptions())
	require.NotNil(t, third.Prepared(), "a released batch stays until the next is prepared")
	third.Skip(90)
	drain(t, third, 91, 111)
	require.NoError(t, third.Forget(201))
	require.Nil(t, third.Prepared())

	last := open(t, dir, testOptions())
	drain(t, last, 202, 0)
	require.Nil(t, last.Prepared())
	require.NoError(t, last.Append(group(202, 2, 1)))
	drain(t, last, 202, 2)
}

func TestTornTailIsCut(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, testOptions())
	require.NoError(t, l.Append(group(1, 5, 100)))
	segments, err := listSegments(dir)
	require.NoError(t, err)
	path := segments[0].path
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	record := len(whole) / 5
	for cut := range record {
		require.NoError(t, os.WriteFile(path, whole[:len(whole)-cut], 0o600))
		again := open(t, dir, testOptions())
		kept := 5
		if cut > 0 {
			kept = 4
		}
		drain(t, again, 1, kept)
		require.NoError(t, again.Append(group(kept+1, 1, 10)))
		again.Rewind()
		drain(t, again, 1, kept+1)
		require.NoError(t, again.Close())
		require.NoError(t, os.Remove(segmentPath(dir, uint64(kept+1))))
	}
}

func TestDamageIsToldNotSkipped(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, testOptions())
	for i := range 20 {
		require.NoError(t, l.Append(group(1+10*i, 10, 100)))
	}
	segments, err := listSegments(dir)
	require.NoError(t, err)
	require.Greater(t, len(segments), 2)

	data, err := os.ReadFile(segments[1].path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(segments[1].path, data, 0o600))
	_, err = Open(dir, testOptions())
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, filepath.Base(segments[1].path))

	require.NoError(t, os.Remove(segments[1].path))
	_, err = Open(dir, testOptions())
	require.ErrorIs(t, err, ErrDamaged)
}

func TestBudget(t *testing.T) {
	o := testOptions()
	o.Budget = NewBudget(10_000)
	l := open(t, t.TempDir(), o)
	n := 0
	var err error
	for ; err == nil; n++ {
		err = l.Append(group(n+1, 1, 500))
	}
	require.ErrorIs(t, err, ErrFull)
	require.LessOrEqual(t, o.Budget.Used(), int64(10_000))
	n--
	drain(t, l, 1, n)
	require.NoError(t, l.Release(uint64(n)))
	require.Less(t, o.Budget.Used(), int64(5_000))
	require.NoError(t, l.Append(group(n+1, 1, 500)))
	drain(t, l, n+1, 1)
}

// TestFullDisk fills a small filesystem, then drains and goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small filesystem cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	o := testOptions()
	l := open(t, filepath.Join(dir, "lane"), o)
	acknowledged := 0
	fill := func() {
		for {
			err := l.Append(group(acknowledged+1, 10, 300))
			if err != nil {
				require.ErrorIs(t, err, ErrNoSpace)
				return
			}
			acknowledged += 10
		}
	}
	fill()
	require.Greater(t, acknowledged, 100)
	require.ErrorIs(t, l.Append(group(acknowledged+1, 10, 300)), ErrNoSpace, "still full")
	require.NoError(t, l.Prepare(&Prepared{Number: 1, First: 1, Last: 60, Argument: make([]byte, 4000)}), "a batch needs no new space")

	l = open(t, filepath.Join(dir, "lane"), testOptions()) // killed while the disk is full
	l.Skip(60)
	require.NoError(t, l.Release(60))
	fill()
	require.NoError(t, l.Close())
	l = open(t, filepath.Join(dir, "lane"), testOptions())
	l.Skip(60)
	drain(t, l, 61, acknowledged-60)
	require.NoError(t, l.Release(uint64(acknowledged)))
	require.NoError(t, l.Append(group(acknowledged+1, 10, 300)))
}

func TestSlotOfAnotherSizeKeepsItsBatch(t *testing.T) {
	dir, o := t.TempDir(), testOptions()
	p := &Prepared{Number: 9, First: 1, Last: 3, Argument: bytes.Repeat([]byte{7}, 3000)}
	l := open(t, dir, o)
	require.NoError(t, l.Append(group(1, 3, 1)))
	require.NoError(t, l.Prepare(p))
	require.NoError(t, l.Close())
	for _, size := range []int{20000, 1000, 40000} {
		o.MaxArgument = size
		l := open(t, dir, o)
		require.Equal(t, p, l.Prepared())
		require.NoError(t, l.Close())
	}
	l = open(t, dir, o)
	require.ErrorIs(t, l.Prepare(&Prepared{Argument: make([]byte, 50000)}), ErrTooLarge)
	require.Equal(t, p, l.Prepared())
}

// TestModel compares a log with a slice over random operations, crashes included.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(t, err)
		o := testOptions()
		o.SegmentSize, o.Memory = 600, int64(rapid.IntRange(0, 1500).Draw(rt, "memory"))
		l := open(t, dir, o)
		appended, read, released := 0, 0, 0
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				n := rapid.IntRange(1, 12).Draw(rt, "n")
				require.NoError(t, l.Append(group(appended+1, n, rapid.IntRange(0, 200).Draw(rt, "size"))))
				appended += n
			},
			"read": func(rt *rapid.T) {
				frames, err := l.Read(rapid.IntRange(1, 20).Draw(rt, "frames"), rapid.IntRange(1, 1500).Draw(rt, "bytes"))
				require.NoError(t, err)
				require.Equal(t, read == appended, len(frames) == 0)
				for _, f := range frames {
					read++
					require.Equal(t, fmt.Sprintf("%d:", read), string(f.Envelope))
				}
			},
			"commit": func(*rapid.T) {
				if read > released {
					require.NoError(t, l.Prepare(&Prepared{Number: 1, First: uint64(released + 1), Last: uint64(read), Argument: []byte{1}}))
					require.NoError(t, l.Release(uint64(read)))
					released = read
				}
			},
			"forget": func(*rapid.T) {
				require.NoError(t, l.Forget(uint64(read)))
				released = read
			},
			"rewind": func(*rapid.T) { l.Rewind(); read = released },
			"crash": func(*rapid.T) {
				o.Budget = NewBudget(64 << 20)
				l = open(t, dir, o)
				if p := l.Prepared(); p != nil {
					require.Equal(t, uint64(released), p.Last)
					l.Skip(p.Last)
					require.NoError(t, l.Release(p.Last))
				}
				read = released
			},
		})
	})
}

func FuzzParseRecord(f *testing.F) {
	for _, frame := range group(1, 3, 40) {
		f.Add(appendRecord(nil, &frame))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, n, err := parseRecord(b)
		if err == nil {
			require.Equal(t, b[:n], appendRecord(nil, &frame))
		}
	})
}

func FuzzParseSlot(f *testing.F) {
	f.Add(make([]byte, 80))
	f.Fuzz(func(_ *testing.T, b []byte) { parseSlot(b) })
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := Options{Budget: NewBudget(1 << 40), SegmentSize: 4 << 20, Memory: 8 << 20, MaxArgument: 1 << 20}
			l := open(b, b.TempDir(), o)
			payload := make([]byte, 300)
			for i := range payload {
				payload[i] = byte(rand.Uint32())
			}
			frames := make([]Frame, n)
			for i := range frames {
				frames[i] = Frame{Envelope: payload[:150], Payload: payload[150:]}
			}
			for i := 0; i < b.N; i += n {
				require.NoError(b, l.Append(frames))
				read, err := l.Read(n, 1<<20)
				require.NoError(b, err)
				require.Len(b, read, n)
				require.NoError(b, l.Release(read[n-1].Sequence))
			}
		})
	}
}
