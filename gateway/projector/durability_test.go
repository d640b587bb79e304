package projector_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// dump writes every row of a database, so that two can be compared.
func dump(t require.TestingT, path string) string {
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	tables, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY name`)
	require.NoError(t, err)
	defer func() { _ = tables.Close() }()
	var names []string
	for tables.Next() {
		var name string
		require.NoError(t, tables.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, tables.Err())
	require.Greater(t, len(names), 15)
	var out strings.Builder
	for _, name := range names {
		rows, err := db.Query(`SELECT * FROM ` + name + ` ORDER BY 1, 2, 3`)
		if err != nil { // fewer columns
			rows, err = db.Query(`SELECT * FROM ` + name + ` ORDER BY 1, 2`)
		}
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			require.NoError(t, rows.Scan(into...))
			fmt.Fprintf(&out, "%s", name)
			for _, v := range values {
				if raw, ok := v.([]byte); ok {
					v = hex.EncodeToString(raw)
				}
				fmt.Fprintf(&out, " %v", v)
			}
			out.WriteString("\n")
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return out.String()
}

// draw makes a ledger of any kind: gaps that close later, late and private and forged frames, frames over midnight, moved attachments.
func draw(t *rapid.T) []*common.Block {
	c := ledgertest.NewChain(start)
	c.Register("CarrierMSP")
	c.Enrol("CarrierMSP", 0, "d-0", "d-1", "d-2")
	c.Cut()
	next := map[string]uint64{}
	skipped := map[string][]uint64{}
	at := map[string]provenance.Time{}
	for range rapid.IntRange(1, 12).Draw(t, "blocks") {
		for range rapid.IntRange(0, 3).Draw(t, "transactions") {
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				s := shipment(start)
				s.Attachments = []provenance.Attachment{{Device: "d-0", From: start + provenance.Time(rapid.IntRange(0, 1e7).Draw(t, "from"))}}
				c.Put("CarrierMSP", "shipments:Attach", map[string]any{"s/milk-1": s})
			default:
				var frames []ledgertest.Frame
				for range rapid.IntRange(1, 5).Draw(t, "frames") {
					d := rapid.SampledFrom([]string{"d-0", "d-1", "d-2"}).Draw(t, "device")
					if len(skipped[d]) > 0 && rapid.Bool().Draw(t, "fill") {
						frames = append(frames, ledgertest.Frame{Device: d, Sequence: skipped[d][0], Late: true, Readings: ledgertest.Series(start, 7000, 3, 1)})
						skipped[d] = skipped[d][1:]
						continue
					}
					next[d]++
					if rapid.IntRange(0, 5).Draw(t, "skip") == 0 && len(skipped[d]) < 10 {
						skipped[d] = append(skipped[d], next[d])
						next[d]++
					}
					step := int64(rapid.SampledFrom([]int{1000, 60_000, 3_600_000}).Draw(t, "step"))
					count := rapid.IntRange(1, 70).Draw(t, "count")
					frames = append(frames, ledgertest.Frame{
						Device: d, Sequence: next[d], Readings: ledgertest.Series(start+at[d], step, count, count),
						Private: rapid.IntRange(0, 9).Draw(t, "private") == 0, Forged: rapid.IntRange(0, 9).Draw(t, "forged") == 0,
					})
					if frames[len(frames)-1].Forged {
						next[d]--
						if n := len(skipped[d]); n > 0 && skipped[d][n-1] > next[d] {
							skipped[d] = skipped[d][:n-1]
						}
					}
					at[d] += provenance.Time(step * int64(count))
				}
				c.Commit("CarrierMSP", 0, frames...)
			}
		}
		c.Cut()
	}
	return c.Blocks
}

func run(t require.TestingT, path string, source projector.Source) readmodel.Position {
	store, err := readmodel.Open(context.Background(), path, ledgertest.Channel)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	p, err := projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, store, source, quiet(), prometheus.NewRegistry())
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background()))
	position, err := store.Position(context.Background())
	require.NoError(t, err)
	return position
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// However the blocks come — one at a time with a restart after each, or all in one go — the database is the same.
func TestRebuildEqualsIncremental(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		if n++; n > 25 { // a restart for each block takes its time
			return
		}
		blocks := draw(t)
		step, whole := filepath.Join(dir, fmt.Sprintf("step-%d.db", n)), filepath.Join(dir, fmt.Sprintf("whole-%d.db", n))
		for i := range blocks {
			run(t, step, ledgertest.Source(blocks[:i+1]))
		}
		position, err := projector.Rebuild(context.Background(), projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, whole,
			ledgertest.Source(blocks), uint64(len(blocks)), quiet())
		require.NoError(t, err)
		require.EqualValues(t, len(blocks), position.Blocks)
		require.Equal(t, dump(t, step), dump(t, whole))
		for _, path := range []string{step, whole} {
			require.NoError(t, os.Remove(path))
		}
	})
}

// A rebuild from a peer that shows another ledger is refused and leaves the old read model where it is.
func TestRebuildRefusesAnotherLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.db")
	run(t, path, ledgertest.Source(road().Blocks))
	before := dump(t, path)
	other := ledgertest.NewChain(start)
	other.Register("EvilMSP")
	for range 4 {
		other.Cut()
	}
	config := projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}
	_, err := projector.Rebuild(context.Background(), config, path, ledgertest.Source(other.Blocks), 5, quiet())
	require.ErrorContains(t, err, "another ledger")
	require.Equal(t, before, dump(t, path))
	_, err = projector.Rebuild(context.Background(), config, path, ledgertest.Source(road().Blocks), 5, quiet())
	require.NoError(t, err)
	require.Equal(t, before, dump(t, path))
}

func longRoad(blocks int) []*common.Block {
	c := road()
	for i := range blocks {
		c.Commit("CarrierMSP", 0,
			ledgertest.Frame{Device: "logger-1", Sequence: uint64(4 + i), Readings: ledgertest.Series(start+provenance.Time(3+i)*3_600_000, 60_000, 60, i)},
			ledgertest.Frame{Device: "logger-2", Sequence: uint64(3 + i), Readings: ledgertest.Series(start+provenance.Time(3+i)*3_600_000, 60_000, 60, i)})
		c.Cut()
	}
	return c.Blocks
}

// A projector that is killed at any moment goes on where it was: no block is missing, none is there twice.
func TestKilledInTheMiddle(t *testing.T) {
	if path := os.Getenv("TRAILMARK_TEST_PROJECT"); path != "" {
		fmt.Println("begun")
		run(t, path, ledgertest.Source(longRoad(400)))
		fmt.Println("done")
		os.Exit(0)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "killed.db")
	kills := 0
	for finished := false; !finished; {
		child := exec.Command(os.Args[0], "-test.run=TestKilledInTheMiddle")
		child.Env = append(os.Environ(), "TRAILMARK_TEST_PROJECT="+path)
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(output)
		require.True(t, lines.Scan())
		timer := time.AfterFunc(time.Duration(20+rand.IntN(120))*time.Millisecond*time.Duration(1+kills/4), func() { _ = child.Process.Kill() })
		finished = lines.Scan() && lines.Text() == "done"
		_ = child.Wait()
		timer.Stop()
		if !finished {
			kills++
		}
	}
	t.Logf("killed %d times", kills)
	require.Positive(t, kills)
	whole := filepath.Join(dir, "whole.db")
	run(t, whole, ledgertest.Source(longRoad(400)))
	require.Equal(t, dump(t, whole), dump(t, path))
}
