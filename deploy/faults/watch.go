package faults

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
)

// follow notes what blocks hold, from block 0 on, until ctx ends.
func (r *road) follow(ctx context.Context, b *book) error {
	client := r.observer.Client
	for raw := range client.Blocks(ctx, 0) {
		block, err := ledger.DecodeBlock(raw, client.Channel(), client.Chaincode())
		if err != nil {
			return err
		}
		var ids []provenance.FrameID
		for i := range block.Transactions {
			found, err := framesOf(&block.Transactions[i])
			if err != nil {
				return fmt.Errorf("block %d: %w", block.Number, err)
			}
			for _, f := range found {
				ids = append(ids, f.id)
			}
		}
		b.record(block.Number+1, ids)
	}
	return ctx.Err()
}

// recorded is a frame as a transaction recorded it.
type recorded struct {
	id   provenance.FrameID
	leaf provenance.Hash
	late bool // marked as back-filled
}

// framesOf gives the frames that a valid readings:Commit recorded.
func framesOf(tx *ledger.Transaction) (frames []recorded, err error) {
	if !tx.Valid() || tx.Function != "readings:Commit" || len(tx.Args) != 1 {
		return nil, nil
	}
	manifest, err := manifestOf(tx.Writes)
	if manifest == nil || err != nil {
		return nil, err
	}
	batch, err := evidence.DecodeBatch(tx.Args[0])
	if err != nil {
		return nil, err
	}
	refused := map[uint32]bool{}
	for _, r := range manifest.Refused {
		refused[r.Position] = true
	}
	for i, f := range batch.Frames {
		if refused[uint32(i)] {
			continue
		}
		frame, err := evidence.ParseFrame(f.Raw)
		if err != nil {
			return nil, err
		}
		late := slices.Contains(manifest.Backfilled, uint32(len(frames)))
		frames = append(frames, recorded{frame.ID, evidence.LeafHash(f.Raw), late})
	}
	if len(frames) != int(manifest.Frames) {
		return nil, fmt.Errorf("batch %d of lane %d: the manifest counts %d frames, the batch has %d that it does not refuse", manifest.Number, manifest.Lane, manifest.Frames, len(frames))
	}
	return frames, nil
}

func manifestOf(writes []evidence.Write) (*provenance.Manifest, error) {
	for _, w := range writes {
		if !strings.HasPrefix(w.Key, "b/") {
			continue
		}
		state, err := evidence.DecodeState(w.Key, w.Value)
		if err != nil {
			return nil, err
		}
		if manifest, ok := state.(*provenance.Manifest); ok {
			return manifest, nil
		}
	}
	return nil, nil
}

// watch samples memory and readiness.
type watch struct {
	mu      sync.Mutex
	memory  map[string]int64 // process → most resident bytes seen
	unready map[string]int   // reason → how often heard, since the last call of heard
}

func newWatch() *watch { return &watch{memory: map[string]int64{}, unready: map[string]int{}} }

func (w *watch) run(ctx context.Context, r *road) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		processes, err := r.group.Status()
		if err != nil {
			continue // the next look comes soon
		}
		for _, p := range processes {
			if size := resident(p.PID); p.PID > 0 && size > 0 {
				w.mu.Lock()
				w.memory[p.Name] = max(w.memory[p.Name], size)
				w.mu.Unlock()
			}
		}
		for _, name := range ingestProcesses {
			ready, reasons, err := r.ready(ctx, name)
			if err != nil || ready {
				continue
			}
			w.mu.Lock()
			for reason := range strings.SplitSeq(reasons, "\n") {
				w.unready[name+": "+reason]++
			}
			w.mu.Unlock()
		}
	}
}

// resident is the most memory that a process had, by the kernel's word.
func resident(pid int) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kilobytes << 10
		}
	}
	return 0
}

// heard gives the reasons that readiness named since the last call.
func (w *watch) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	reasons := slices.Sorted(maps.Keys(w.unready))
	clear(w.unready)
	return reasons
}

// peaks gives the most memory by kind of process, and what exceeded its limit.
func (w *watch) peaks() (byKind map[string]int64, excess []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	byKind = map[string]int64{}
	for name, size := range w.memory {
		kind := kindOf(name)
		byKind[kind] = max(byKind[kind], size)
		if limit := memoryLimits[kind]; limit > 0 && size > limit {
			excess = append(excess, fmt.Sprintf("%s had %d MiB, at most %d are allowed", name, size>>20, limit>>20))
		}
	}
	slices.Sort(excess)
	return byKind, excess
}

func kindOf(process string) string {
	for kind := range memoryLimits {
		if strings.HasPrefix(process, kind) {
			return kind
		}
	}
	kind, _, _ := strings.Cut(process, "-")
	for _, known := range []string{"peer", "orderer"} {
		if strings.HasPrefix(process, known) {
			return known
		}
	}
	return kind
}
