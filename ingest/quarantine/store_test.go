package quarantine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func store(t testing.TB, dir string, limits Limits) *Store {
	t.Helper()
	s, err := Open(dir, limits, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var wide = Limits{Entries: 1000, Bytes: 1 << 20, ArchiveBytes: 1 << 20}

func entry(i int, verdict provenance.Verdict) Entry {
	return NewEntry(provenance.Time(1000+i), fmt.Sprintf("tm/Org/0/dev-%d", i%3), fmt.Appendf(nil, "message %d", i), verdict, "")
}

func TestBrowse(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := store(t, dir, wide)
	var entries []Entry
	for i := range 30 {
		entries = append(entries, entry(i, []provenance.Verdict{provenance.BadSignature, provenance.UnknownDevice}[i%2]))
	}
	require.NoError(t, s.Add(ctx, entries))
	require.NoError(t, s.Close())
	s = store(t, dir, wide)

	var seen []string
	f := Filter{Reason: "unknown-device", Limit: 4}
	require.NoError(t, s.Each(ctx, f, func(page []Entry) error {
		require.LessOrEqual(t, len(page), 4)
		for _, e := range page {
			seen = append(seen, string(e.Message))
		}
		return nil
	}))
	require.Len(t, seen, 15)
	require.Equal(t, "message 29", seen[0])
	require.Equal(t, "message 1", seen[14])

	page, err := s.List(ctx, Filter{Device: "dev-2", Reason: "bad-signature"})
	require.NoError(t, err)
	require.Len(t, page.Entries, 5)
	require.Zero(t, page.Next)
	e := page.Entries[0]
	require.Equal(t, provenance.BadSignature.Reason(), e.Detail)

	got, err := s.Get(ctx, e.ID)
	require.NoError(t, err)
	require.Equal(t, e, *got)
	_, err = s.Get(ctx, "nothing")
	require.ErrorIs(t, err, ErrNotFound)

	counts, err := s.Count(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"bad-signature": 15, "unknown-device": 15}, counts)

	var out bytes.Buffer
	n, err := s.Export(ctx, &out, Filter{Device: "dev-0", Limit: 3})
	require.NoError(t, err)
	require.Equal(t, 10, n)
	var first Entry
	require.NoError(t, json.Unmarshal(bytes.SplitN(out.Bytes(), []byte{'\n'}, 2)[0], &first))
	require.Equal(t, "message 27", string(first.Message))

	purged, err := s.Purge(ctx, Filter{Reason: "bad-signature"})
	require.NoError(t, err)
	require.Equal(t, int64(15), purged)
	require.Equal(t, int64(15), s.Stats().Entries)
}

func TestSameMessageCountsOnOneEntry(t *testing.T) {
	ctx := context.Background()
	s := store(t, t.TempDir(), wide)
	e := entry(1, provenance.UnknownDevice)
	require.NoError(t, s.Add(ctx, []Entry{e, e}))
	require.NoError(t, s.MarkReplayed(ctx, 5000, e.ID))
	page, err := s.List(ctx, Filter{Waiting: true})
	require.NoError(t, err)
	require.Empty(t, page.Entries)

	again := e
	again.Last, again.Verdict, again.Reason = 9000, provenance.WrongUnit, "wrong-unit"
	require.NoError(t, s.Add(ctx, []Entry{again}))
	got, err := s.Get(ctx, e.ID)
	require.NoError(t, err)
	require.Equal(t, uint64(3), got.Times)
	require.Equal(t, provenance.WrongUnit, got.Verdict)
	require.Equal(t, provenance.Time(9000), got.Last)
	require.Zero(t, got.Replayed, "it came back")
	require.Equal(t, int64(1), s.Stats().Entries)
}

func TestOldestMoveToTheArchive(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := store(t, dir, Limits{Entries: 200, Bytes: 1 << 20, ArchiveBytes: 40_000})
	const total = 3000
	for i := range total {
		require.NoError(t, s.Add(ctx, []Entry{entry(i, provenance.Malformed)}))
	}
	stats := s.Stats()
	require.LessOrEqual(t, stats.Entries, int64(200))
	require.Equal(t, uint64(total), uint64(stats.Entries)+stats.Archived)
	require.NotZero(t, stats.Dropped)

	files, err := filepath.Glob(filepath.Join(dir, "archive-*.ndjson"))
	require.NoError(t, err)
	archived, size := 0, int64(0)
	for _, path := range files {
		file, err := os.Open(path)
		require.NoError(t, err)
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var e Entry
			require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
			size += int64(len(lines.Bytes()))
			archived++
		}
		require.NoError(t, file.Close())
	}
	require.Equal(t, stats.Archived-stats.Dropped, uint64(archived), "every entry is in the store, in the archive, or counted as dropped")
	require.Less(t, size, int64(80_000))
}

func TestFullDiskIsAnErrorThatPasses(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("a small filesystem cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := store(t, dir, Limits{Entries: 1e6, Bytes: 1 << 30, ArchiveBytes: 1 << 30})
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 200<<10), 0o600))
	added := 0
	for {
		if err := s.Add(ctx, []Entry{entry(added, provenance.Malformed)}); err != nil {
			break
		}
		added++
		require.Less(t, added, 100_000)
	}
	require.Greater(t, added, 3)
	require.NoError(t, os.Remove(ballast))
	require.NoError(t, s.Add(ctx, []Entry{entry(added, provenance.Malformed)}))
	counts, err := s.Count(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(added+1), counts["malformed"])
}
