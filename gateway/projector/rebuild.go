package projector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trailmark/trailmark/gateway/readmodel"
)

// Rebuild makes the read model in a file anew from block 0 up to a number of blocks, and puts it in the old one's place when it is
// done and its log begins with the old one's. Nobody else may have the file open. A rebuild that was broken off begins again.
func Rebuild(ctx context.Context, config Config, path string, source Source, blocks uint64, log *slog.Logger) (position readmodel.Position, err error) {
	fresh := path + ".rebuild"
	if err := removeDatabase(fresh); err != nil {
		return position, fmt.Errorf("rebuilding the read model: %w", err)
	}
	if position, err = projectAnew(ctx, config, fresh, path, source, blocks, log); err != nil {
		return position, errors.Join(fmt.Errorf("rebuilding the read model: %w", err), removeDatabase(fresh))
	}
	// Once its connections are closed, a database is one file.
	if err := errors.Join(removeDatabase(path), os.Rename(fresh, path)); err != nil {
		return position, fmt.Errorf("replacing the read model: %w", err)
	}
	return position, nil
}

func projectAnew(ctx context.Context, config Config, fresh, old string, source Source, blocks uint64, log *slog.Logger) (position readmodel.Position, err error) {
	store, err := readmodel.Open(ctx, fresh, config.Channel)
	if err != nil {
		return position, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	p, err := New(config, store, firstBlocks{source, blocks}, log, prometheus.NewRegistry())
	if err != nil {
		return position, err
	}
	if err := p.Run(ctx); err != nil {
		return position, err
	}
	if position, err = store.Position(ctx); err != nil {
		return position, err
	}
	if position.Blocks != blocks {
		return position, errors.Join(fmt.Errorf("it ended at block %d of %d", position.Blocks, blocks), ctx.Err())
	}
	return position, sameLog(ctx, store, old, config.Channel)
}

// sameLog checks that the new log begins with the old one, as far as both go.
func sameLog(ctx context.Context, store *readmodel.Store, old, channel string) (err error) {
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	before, err := readmodel.Open(ctx, old, channel)
	if err != nil {
		return fmt.Errorf("comparing with the old one (move it away to rebuild without it): %w", err)
	}
	defer func() { err = errors.Join(err, before.Close()) }()
	was, err := before.Position(ctx)
	if err != nil {
		return err
	}
	is, err := store.Position(ctx)
	if err != nil {
		return err
	}
	size := min(was.LogSize, is.LogSize)
	oldRoot, err := before.LogRoot(ctx, size)
	if err != nil {
		return err
	}
	newRoot, err := store.LogRoot(ctx, size)
	if err != nil {
		return err
	}
	if oldRoot != newRoot {
		return fmt.Errorf("at size %d the new log has root %s, the old one %s: the peer shows another ledger than before, or the old file was changed", size, newRoot, oldRoot)
	}
	return nil
}

func removeDatabase(path string) error {
	var err error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if failed := os.Remove(path + suffix); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// firstBlocks is a source that ends.
type firstBlocks struct {
	source Source
	blocks uint64
}

func (f firstBlocks) Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block] {
	return func(yield func(*common.Block) bool) {
		if from >= f.blocks {
			return
		}
		for b := range f.source.Blocks(ctx, from) {
			if !yield(b) || b.GetHeader().GetNumber()+1 >= f.blocks {
				return
			}
		}
	}
}
