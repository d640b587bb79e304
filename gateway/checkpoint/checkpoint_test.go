package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contract records what the service submits, as blocks of a chain that a projector follows.
type contract struct {
	t     *testing.T
	mu    sync.Mutex
	chain *ledgertest.Chain
	grown chan struct{}
	fail  int

	verifier note.Verifier
}

func (c *contract) change(f func(chain *ledgertest.Chain)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c.chain)
	c.chain.Cut()
	close(c.grown)
	c.grown = make(chan struct{})
}

func (c *contract) Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block] {
	return func(yield func(*common.Block) bool) {
		for ; ; from++ {
			c.mu.Lock()
			for from >= uint64(len(c.chain.Blocks)) {
				grown := c.grown
				c.mu.Unlock()
				select {
				case <-ctx.Done():
					return
				case <-grown:
				}
				c.mu.Lock()
			}
			block := c.chain.Blocks[from]
			c.mu.Unlock()
			if !yield(block) {
				return
			}
		}
	}
}

func (c *contract) Submit(_ context.Context, name, fn string, args ...[]byte) (ledger.Result, error) {
	c.mu.Lock()
	if c.fail > 0 {
		c.fail--
		c.mu.Unlock()
		return ledger.Result{}, &ledger.UnreachableError{Cause: errors.New("no peer")}
	}
	c.mu.Unlock()
	switch name + ":" + fn {
	case "organisations:Register":
		var r provenance.Registration
		require.NoError(c.t, json.Unmarshal(args[0], &r))
		c.change(func(chain *ledgertest.Chain) {
			chain.Put("OwnMSP", "organisations:Register", map[string]any{"o/OwnMSP": provenance.Organisation{ID: "OwnMSP", Name: r.Name, LogKey: r.LogKey}})
		})
	case "checkpoints:Anchor":
		var r provenance.AnchorRequest
		require.NoError(c.t, json.Unmarshal(args[0], &r))
		size, root, err := evidence.OpenCheckpoint(r.Note, c.verifier, ledgertest.Channel)
		require.NoError(c.t, err)
		c.change(func(chain *ledgertest.Chain) {
			chain.Put("OwnMSP", "checkpoints:Anchor", map[string]any{provenance.CheckpointKey("OwnMSP", size): provenance.Checkpoint{Organisation: "OwnMSP", Size: size, Root: root, Note: r.Note}})
		})
	default:
		c.t.Errorf("unexpected call of %s:%s", name, fn)
	}
	return ledger.Result{}, nil
}

func TestAnchorsAndAnswers(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	store, err := readmodel.Open(ctx, filepath.Join(dir, "model.db"), ledgertest.Channel)
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c := &contract{t: t, chain: ledgertest.NewChain(1_790_000_000_000), grown: make(chan struct{}), fail: 1}
	c.chain.Register("OtherMSP")
	p, err := projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, store, c, log, prometheus.NewRegistry())
	require.NoError(t, err)
	metrics := prometheus.NewRegistry()
	s, err := New(Config{KeyFile: filepath.Join(dir, "log.key"), Interval: 10 * time.Millisecond}, "OwnMSP", store, c, p, log, metrics)
	require.NoError(t, err)
	c.verifier, err = note.NewVerifier(s.VerifierKey())
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Add(2)
	go func() { defer running.Done(); require.NoError(t, p.Run(ctx)) }()
	go func() { defer running.Done(); require.NoError(t, s.Run(ctx)) }()
	defer func() {
		cancel()
		running.Wait()
		require.NoError(t, store.Close())
	}()
	own := func() []readmodel.Checkpoint {
		page, err := store.Checkpoints(context.Background(), readmodel.CheckpointFilter{Organisation: "OwnMSP"})
		require.NoError(t, err)
		return page.Items
	}
	newest := func(size uint64) func() bool {
		return func() bool {
			items := own()
			return len(items) > 0 && items[0].Size == size && items[0].Agreement == readmodel.Agrees
		}
	}
	require.Eventually(t, newest(2), 10*time.Second, 10*time.Millisecond, "two registrations")
	time.Sleep(100 * time.Millisecond)
	require.Len(t, own(), 1, "a checkpoint's own leaf is no reason for another one")

	c.change(func(chain *ledgertest.Chain) { chain.Enrol("OtherMSP", 0, "d-1") })
	require.Eventually(t, newest(4), 10*time.Second, 10*time.Millisecond)

	c.change(func(chain *ledgertest.Chain) { chain.Anchor("OtherMSP", 3, provenance.Hash{0xba}) })
	require.Eventually(t, func() bool { return len(own()) == 3 }, 10*time.Second, 10*time.Millisecond, "ours at size 3, so that the contract sees both")
	require.Eventually(t, func() bool { return gauge(t, metrics, "trailmark_checkpoint_disagreements") == 1 }, 10*time.Second, 10*time.Millisecond)
	root, err := store.LogRoot(context.Background(), 3)
	require.NoError(t, err)
	require.Equal(t, root, own()[1].Root)
	anomalies, err := store.Anomalies(context.Background(), readmodel.Paging{})
	require.NoError(t, err)
	require.Len(t, anomalies.Items, 1)
	require.Equal(t, readmodel.AnomalyCheckpoint, anomalies.Items[0].Kind)
}

func gauge(t *testing.T, metrics *prometheus.Registry, name string) float64 {
	families, err := metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "log.key")
	made, err := loadKey(path, "OwnMSP")
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	read, err := loadKey(path, "OwnMSP")
	require.NoError(t, err)
	require.Equal(t, made.verifier, read.verifier)
	_, err = loadKey(path, "OtherMSP")
	require.ErrorContains(t, err, "it is OwnMSP's")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	other, err := createKey(filepath.Join(t.TempDir(), "other"), "OwnMSP")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Split(string(data), "\n")[0]+"\n"+other.verifier+"\n"), 0o600))
	_, err = loadKey(path, "OwnMSP")
	require.ErrorContains(t, err, "do not belong together")
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = loadKey(path, "OwnMSP")
	require.ErrorContains(t, err, "0600")
}
