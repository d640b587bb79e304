//go:build e2e

package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// shared is the road that all tests of this package use, one after the other.
var shared *road

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "trailmark-faults-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := os.Getenv("TRAILMARK_PROGRAM")
	if program == "" {
		program = filepath.Join(dir, "trailmark")
		build := exec.Command("go", "build", "-o", program, "../cmd/trailmark")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return 1
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	shared = &road{dir: dir, program: program, log: log, say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "· "+format+"\n", args...) }}
	if shared.room, err = openRoom(ctx); err == nil {
		defer shared.close()
		err = shared.build(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the road:", err)
		return 1
	}
	return m.Run()
}

// traffic is a test's sensors, publisher and view of the ledger.
type traffic struct {
	*testing.T
	*book
	*publisher
	ctx     context.Context
	sensors []*sensor
}

func begin(t *testing.T, prefix string, n int) *traffic {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	b := newBook()
	p, err := shared.publisher(b, lanes)
	require.NoError(t, err)
	tr := &traffic{T: t, book: b, publisher: p, ctx: ctx}
	tr.sensors, err = newSensors(shared.owner.MSPID, prefix, n)
	require.NoError(t, err)
	require.NoError(t, shared.enrol(ctx, tr.sensors))
	var background sync.WaitGroup
	background.Go(func() { _ = shared.follow(ctx, b) })
	background.Go(func() { p.run(ctx) })
	t.Cleanup(func() {
		cancel()
		background.Wait()
	})
	return tr
}

func (tr *traffic) sign(i int, now time.Time) *message {
	m, err := tr.sensors[i].sign(now, readingsAFrame)
	require.NoError(tr, err)
	return m
}

// round publishes a frame of every sensor.
func (tr *traffic) round() {
	for i := range tr.sensors {
		tr.send(tr.sign(i, time.Now()))
	}
}

// settled waits until everything published is acknowledged and recorded.
func (tr *traffic) settled() {
	tr.Helper()
	require.Eventually(tr, func() bool { return tr.waiting() == 0 && len(tr.missing()) == 0 }, 90*time.Second, 50*time.Millisecond,
		"%d frames wait for a PUBACK, %d for a block", tr.waiting(), len(tr.missing()))
}

// commit is a batch on the ledger.
type commit struct {
	manifest *provenance.Manifest
	frames   []recorded
}

// commits reads every batch from the blocks, in order.
func commits(t *testing.T, ctx context.Context) (all []commit) {
	client := shared.observer.Client
	height, err := client.Height(ctx)
	require.NoError(t, err)
	for raw := range client.Blocks(ctx, 0) {
		block, err := ledger.DecodeBlock(raw, client.Channel(), client.Chaincode())
		require.NoError(t, err)
		for i := range block.Transactions {
			frames, err := framesOf(&block.Transactions[i])
			require.NoError(t, err)
			if manifest, err := manifestOf(block.Transactions[i].Writes); manifest != nil {
				require.NoError(t, err)
				all = append(all, commit{manifest, frames})
			}
		}
		if block.Number+1 >= height {
			break
		}
	}
	return all
}

// backfilled tells of each frame on the ledger whether it is marked.
func backfilled(all []commit) map[provenance.FrameID]bool {
	marks := map[provenance.FrameID]bool{}
	for _, c := range all {
		for i, f := range c.frames {
			marks[f.id] = slices.Contains(c.manifest.Backfilled, uint32(i))
		}
	}
	return marks
}

func laneOf(t *testing.T, ctx context.Context, lane uint32) (found provenance.Lane) {
	argument, err := json.Marshal(provenance.LaneName{Organisation: shared.owner.MSPID, Lane: lane})
	require.NoError(t, err)
	response, err := shared.observer.Client.Evaluate(ctx, "lanes", "Get", argument)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(response, &found))
	return found
}

// quarantined counts entries of a device under a verdict, over all instances.
func quarantined(t *testing.T, ctx context.Context, device string, verdict provenance.Verdict) (n int) {
	for _, name := range ingestProcesses {
		var page struct {
			Items []struct{ Device string }
		}
		require.NoError(t, shared.ask(ctx, name, http.MethodGet, "/quarantine?limit=500&device="+device+"&verdict="+verdict.String(), &page))
		n += len(page.Items)
	}
	return n
}

func TestReplaysOutOfOrderAndGapsAreToldApart(t *testing.T) {
	tr := begin(t, "apart", 1)
	s := tr.sensors[0]
	var frames []*message
	for range 8 {
		frames = append(frames, tr.sign(0, time.Now()))
	}
	head := func() provenance.Head {
		h, err := shared.enroller.Head(tr.ctx, s.id, 1)
		require.NoError(t, err)
		return h
	}
	for _, i := range []int{0, 1, 2} {
		tr.send(frames[i])
	}
	tr.settled()
	require.Equal(t, uint64(3), head().Last)
	require.Empty(t, head().Gaps)

	tr.send(frames[6]) // frames 4, 5, 6 are missing: a gap
	tr.settled()
	require.Equal(t, uint64(7), head().Last)
	require.Equal(t, []provenance.Gap{{From: 4, To: 6}}, head().Gaps)

	tr.send(frames[4]) // late, out of order: it splits the gap
	tr.settled()
	require.Equal(t, []provenance.Gap{{From: 4, To: 4}, {From: 6, To: 6}}, head().Gaps)

	// A replay: a number that was recorded, whatever it now carries.
	s.sequence = 2
	forged := tr.sign(0, time.Now())
	s.sequence = 8
	require.Equal(t, frames[2].id, forged.id)
	require.NotEqual(t, frames[2].leaf, forged.leaf)
	tr.send(forged)
	require.Eventually(t, func() bool { return quarantined(t, tr.ctx, s.id, provenance.Replay) == 1 }, 30*time.Second, 100*time.Millisecond)

	tr.send(frames[3])
	tr.send(frames[5])
	tr.send(frames[7])
	tr.settled()
	require.Equal(t, uint64(8), head().Last)
	require.Empty(t, head().Gaps)

	count := map[provenance.FrameID]int{}
	all := commits(t, tr.ctx)
	for _, c := range all {
		for _, f := range c.frames {
			if count[f.id]++; f.id == forged.id {
				require.Equal(t, frames[2].leaf, f.leaf, "the first one stands")
			}
		}
	}
	marks := backfilled(all)
	for i, m := range frames {
		require.Equal(t, 1, count[m.id], "frame %d", i+1)
		require.Equal(t, i >= 3 && i <= 5, marks[m.id], "frame %d filled a gap", i+1)
	}
}

func TestBacklogIsDrainedAndMarked(t *testing.T) {
	const each = 50
	tr := begin(t, "backlog", 16)
	for _, name := range ingestProcesses {
		require.NoError(t, shared.group.Pause(tr.ctx, name))
	}
	outage := time.Now().Add(-20 * time.Minute)
	for round := range each {
		for i := range tr.sensors {
			tr.send(tr.sign(i, outage.Add(time.Duration(round)*time.Second)))
		}
	}
	require.Eventually(t, func() bool { return tr.waiting() == 0 }, 30*time.Second, 20*time.Millisecond, "the broker takes them while no ingest is there")
	_, acked, committed := tr.numbers()
	require.Equal(t, each*len(tr.sensors), acked)
	require.Equal(t, each*len(tr.sensors), len(tr.missing()), "%d recorded without an ingest", committed)
	began := time.Now()
	for _, name := range ingestProcesses {
		require.NoError(t, shared.group.Resume(tr.ctx, name))
	}
	tr.settled()
	took := time.Since(began)
	t.Logf("%d frames of a backlog recorded %.1f s after ingest was started again", acked, took.Seconds())
	live := tr.sign(0, time.Now())
	tr.send(live)
	tr.settled()
	marks := backfilled(commits(t, tr.ctx))
	for id := range tr.acked {
		require.Equal(t, id != live.id, marks[id], "frame %v", id)
	}
}

func TestDeadInstanceIsTakenOver(t *testing.T) {
	tr := begin(t, "takeover", 8)
	tr.round()
	tr.settled()
	require.Eventually(t, func() bool { return owners(t, tr.ctx)["ingest-1"] > 0 }, 30*time.Second, 200*time.Millisecond, "both instances have lanes")
	require.NoError(t, shared.kill("ingest-1"))
	require.NoError(t, shared.group.Pause(tr.ctx, "ingest-1")) // so that it stays dead
	t.Cleanup(func() { require.NoError(t, shared.group.Resume(context.Background(), "ingest-1")) })
	began := time.Now()
	tr.round()
	tr.settled()
	t.Logf("every lane recorded a new frame %.1f s after the kill", time.Since(began).Seconds())
	require.Equal(t, map[string]int{"ingest-2": lanes}, owners(t, tr.ctx))
	fencesRise(t, tr.ctx)
}

func owners(t *testing.T, ctx context.Context) map[string]int {
	owned := map[string]int{}
	for lane := range uint32(lanes) {
		owned[laneOf(t, ctx, lane).Owner]++
	}
	return owned
}

// fencesRise: in each lane the batches are numbered without a gap, under fences that never fall.
func fencesRise(t *testing.T, ctx context.Context) {
	number, fence := map[uint32]uint64{}, map[uint32]uint64{}
	for _, c := range commits(t, ctx) {
		m := c.manifest
		require.Equal(t, number[m.Lane]+1, m.Number, "lane %d", m.Lane)
		require.GreaterOrEqual(t, m.Fence, fence[m.Lane], "batch %d of lane %d", m.Number, m.Lane)
		number[m.Lane], fence[m.Lane] = m.Number, m.Fence
	}
}

// An owner that was stopped with frames in its hands, and wakes up when its lanes are another's, gives them back: nothing is lost, nothing
// recorded twice, nothing is written under its old fence.
func TestStaleOwnerIsFencedOff(t *testing.T) {
	tr := begin(t, "stale", 16)
	tr.round()
	tr.settled()
	var stale provenance.Lane
	require.Eventually(t, func() bool {
		for lane := range uint32(lanes) {
			if stale = laneOf(t, tr.ctx, lane); stale.Owner == "ingest-1" {
				return true
			}
		}
		return false
	}, 30*time.Second, 200*time.Millisecond)
	for range 20 { // it is stopped in the middle of these
		tr.round()
	}
	require.NoError(t, shared.group.Signal("ingest-1", syscall.SIGSTOP))
	t.Cleanup(func() { _ = shared.group.Signal("ingest-1", syscall.SIGCONT) })
	for range 5 {
		tr.round()
	}
	require.Eventually(t, func() bool { return owners(t, tr.ctx)["ingest-1"] == 0 }, 40*time.Second, 200*time.Millisecond, "its lanes are taken over")
	require.Greater(t, laneOf(t, tr.ctx, stale.Lane).Fence, stale.Fence)
	tr.round()
	require.NoError(t, shared.group.Signal("ingest-1", syscall.SIGCONT))
	for range 5 {
		tr.round()
		time.Sleep(100 * time.Millisecond)
	}
	tr.settled()
	fencesRise(t, tr.ctx)
	count := map[provenance.FrameID]int{}
	for _, c := range commits(t, tr.ctx) {
		for _, f := range c.frames {
			count[f.id]++
		}
	}
	for id := range tr.acked {
		require.Equal(t, 1, count[id], "frame %v", id)
	}
	require.NoError(t, shared.awaitReady(tr.ctx, "ingest-1", time.Minute))
}

// The auditor finds nothing on a healthy road, and each kind of damage when there is some.
func TestAuditFindsDamage(t *testing.T) {
	tr := begin(t, "audit", 8)
	for range 3 {
		tr.round()
	}
	tr.settled()
	height, err := shared.observer.Client.Height(tr.ctx)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := shared.projected(tr.ctx, gatewayNode)
		return err == nil && n >= height
	}, 30*time.Second, 50*time.Millisecond)
	require.NoError(t, shared.group.Pause(tr.ctx, gatewayNode))
	t.Cleanup(func() { require.NoError(t, shared.group.Resume(context.Background(), gatewayNode)) })

	dir := filepath.Join(shared.dir, gatewayNode)
	check := func(b *book) *audit {
		a := newAudit(b)
		require.NoError(t, a.ledger(tr.ctx, shared.observer.Client, height))
		a.log()
		require.NoError(t, a.node(tr.ctx, dir, shared.observer.Client.Channel()))
		return a
	}
	a := check(tr.book)
	require.Equal(t, "lost 0, duplicated 0, altered 0", a.verdict())
	require.True(t, a.clean(), "%v", a.Findings)

	phantom := tr.sign(0, time.Now()) // acknowledged by a lying broker
	tr.acknowledge(phantom)
	require.Equal(t, "lost 1, duplicated 0, altered 0", check(tr.book).verdict())
	delete(tr.acked, phantom.id)
	var one *message
	for _, one = range tr.acked {
		break
	}
	right := one.leaf
	one.leaf = evidence.LeafHash([]byte("another"))
	require.Equal(t, "lost 0, duplicated 0, altered 1", check(tr.book).verdict())
	one.leaf = right

	db, err := sql.Open("sqlite", filepath.Join(dir, "readmodel.db"))
	require.NoError(t, err)
	_, err = db.ExecContext(tr.ctx, `UPDATE nodes SET hash = zeroblob(32) WHERE id < 1 << 56`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	a = check(tr.book)
	require.Equal(t, "lost 0, duplicated 0, altered 0", a.verdict())
	require.False(t, a.clean(), "no proof leads to the root any more")

	db, err = sql.Open("sqlite", filepath.Join(dir, "readmodel.db"))
	require.NoError(t, err)
	_, err = db.ExecContext(tr.ctx, `DELETE FROM segments`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Equal(t, fmt.Sprintf("lost %d, duplicated 0, altered 0", len(tr.acked)), check(tr.book).verdict())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "readmodel.db"))) // it is rebuilt from block 0
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, "readmodel.db"+suffix))
	}
}
