package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/ingest/quarantine"
	"github.com/trailmark/trailmark/ingest/spool"
)

// errLaneLost means that the ledger names another owner, or another batch under our number.
var errLaneLost = errors.New("the lane was taken over")

// batcher is the second half of a lane: spooled frames in, blocks out, one batch at a time.
type batcher struct {
	cfg        *Config
	lane       provenance.Lane // as claimed; Number and Digest follow our own batches
	name       string
	ledger     Ledger
	log        *spool.Log
	quarantine *quarantine.Store
	metrics    *metrics
	state      *conditions
	logger     *slog.Logger
	clock      Clock
	tracing    *tracing
	slots      chan struct{} // bounds the batches in flight over all lanes
	draining   <-chan struct{}

	ratio  float64       // encoded to raw size, of late
	commit time.Duration // time a commit took, of late
	limit  int           // frames in a batch; lowered to find a frame that the contract will not have
}

// run commits batches until ctx ends, the lane is lost, or, once draining, nothing is left.
func (b *batcher) run(ctx context.Context) error {
	b.ratio, b.limit = 0.7, provenance.MaxFramesInBatch
	defer b.state.clear(b.name + " ledger")
	defer b.state.clear(b.name + " disk")
	for {
		if err := b.fill(ctx); err != nil {
			return err
		}
		if unread, _, _ := b.log.Unread(); unread == 0 {
			return nil // draining, and done
		}
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := b.next(ctx)
		<-b.slots
		if err != nil {
			return err
		}
	}
}

// fill returns when there is a batch worth sending: it is full, or has waited long enough, or nothing more will come.
//
// How long is enough depends on how long commits take, which is how the ledger's load shows: an idle ledger gets small batches
// at once, a busy one large ones. While a batch is in flight the next one fills anyway.
func (b *batcher) fill(ctx context.Context) error {
	for {
		if unread, _, _ := b.log.Unread(); unread > 0 {
			break
		}
		select {
		case <-b.log.Arrived():
		case <-b.draining:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	linger := time.NewTimer(min(max(b.commit/4, b.cfg.MinLinger), b.cfg.MaxLinger))
	defer linger.Stop()
	for {
		frames, size, spilled := b.log.Unread()
		if spilled || size >= int64(b.raw()) || frames >= uint64(b.limit) {
			return nil
		}
		select {
		case <-b.log.Arrived():
		case <-linger.C:
			return nil
		case <-b.draining:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// raw is how many bytes of frames make a full batch.
func (b *batcher) raw() int { return min(int(float64(b.cfg.BatchBytes)/b.ratio), maxRaw) }

// next makes one batch of the next frames and sees it through.
func (b *batcher) next(ctx context.Context) error {
	frames, err := b.log.Read(b.limit, b.raw())
	if err != nil || len(frames) == 0 {
		return err
	}
	traced, end := b.tracing.batch(ctx, frames)
	p, err := b.prepare(traced, frames)
	if errors.Is(err, spool.ErrTooLarge) {
		err = ErrRejected
	}
	if err == nil {
		err = b.settle(traced, p)
	}
	end(err)
	if errors.Is(err, ErrRejected) {
		return b.narrow(ctx, frames, err)
	}
	if err == nil {
		b.limit = min(2*b.limit, provenance.MaxFramesInBatch)
		b.metrics.recordSeconds.Observe(b.clock.Now().Sub(frames[0].Received.Time()).Seconds())
	}
	return err
}

// prepare encodes a batch and makes it durable.
func (b *batcher) prepare(ctx context.Context, frames []spool.Frame) (*spool.Prepared, error) {
	batch := evidence.Batch{
		Organisation: b.lane.Organisation, Lane: b.lane.Lane, Number: b.lane.Number + 1, Fence: b.lane.Fence,
		Frames: make([]evidence.BatchFrame, len(frames)),
	}
	raw := 0
	for i, f := range inOrder(frames) {
		batch.Frames[i] = evidence.BatchFrame{Received: f.Received, Raw: f.Envelope, Payload: f.Payload}
		raw += f.Size()
	}
	argument, err := evidence.EncodeBatch(&batch)
	if err != nil {
		return nil, fmt.Errorf("encoding batch: %w: %w", ErrRejected, err)
	}
	b.ratio = max(0.8*b.ratio+0.2*float64(len(argument))/float64(raw), 0.05)
	p := &spool.Prepared{
		Number: batch.Number, Fence: batch.Fence, First: frames[0].Sequence, Last: frames[len(frames)-1].Sequence, Argument: argument,
	}
	return p, b.persist(ctx, "preparing batch", func() error { return b.log.Prepare(p) })
}

// inOrder sorts the frames of a batch by device and sequence: what a redelivery shuffled opens no gaps, and alike frames
// compress better.
func inOrder(frames []spool.Frame) []spool.Frame {
	type keyed struct {
		id    provenance.FrameID
		frame spool.Frame
	}
	list := make([]keyed, len(frames))
	for i, f := range frames {
		list[i].frame = f
		if parsed, err := evidence.ParseFrame(f.Envelope); err == nil { // it was parsed before it was spooled
			list[i].id = parsed.ID
		}
	}
	slices.SortStableFunc(list, func(x, y keyed) int {
		return cmp.Or(cmp.Compare(x.id.Device, y.id.Device), cmp.Compare(x.id.Epoch, y.id.Epoch), cmp.Compare(x.id.Sequence, y.id.Sequence))
	})
	sorted := make([]spool.Frame, len(frames))
	for i := range list {
		sorted[i] = list[i].frame
	}
	return sorted
}

// persist repeats a write to our own disk until it succeeds: a full disk passes.
func (b *batcher) persist(ctx context.Context, what string, write func() error) error {
	for {
		err := write()
		if err == nil || errors.Is(err, spool.ErrTooLarge) {
			b.state.clear(b.name + " disk")
			return err
		}
		if b.state.set(b.name+" disk", what+": "+err.Error()) {
			b.logger.ErrorContext(ctx, what, slog.Any("error", err))
		}
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle submits a prepared batch until its fate is known: nil means that a block holds it, and that its frames are released.
// ErrRejected means that no block will ever hold it.
func (b *batcher) settle(ctx context.Context, p *spool.Prepared) error {
	b.metrics.inFlight.Inc()
	defer b.metrics.inFlight.Dec()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	start, digest := time.Now(), provenance.Hash(sha256.Sum256(p.Argument))
	for {
		attempt, cancel := context.WithTimeout(ctx, b.cfg.CommitTimeout)
		manifest, err := b.ledger.CommitBatch(attempt, p.Argument)
		cancel()
		if err == nil && manifest != nil {
			return b.settled(ctx, p, digest, manifest, start)
		}
		found, look := b.find(ctx, p, digest)
		switch {
		case found != nil:
			return b.settled(ctx, p, digest, found, start)
		case errors.Is(look, errLaneLost):
			return look
		case look == nil && errors.Is(err, ErrStaleFence):
			return errLaneLost
		case look == nil && errors.Is(err, ErrRejected):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		err = cmp.Or(err, look)
		b.metrics.retries.WithLabelValues(cause(err)).Inc()
		// An endorser that has not yet the block before ours expects another number. That passes by itself; if it does not, it is said.
		passing := errors.Is(err, ErrConflict) || errors.Is(err, ErrAlreadyCommitted) && time.Since(start) < mayLag
		if !passing && b.state.set(b.name+" ledger", fmt.Sprint(err)) {
			b.logger.WarnContext(ctx, "batch not committed yet", slog.Uint64("number", p.Number), slog.Any("error", err))
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mayLag is how long one endorser may be behind another before readiness says so.
const mayLag = 2 * time.Second

func cause(err error) string {
	switch {
	case errors.Is(err, ErrConflict):
		return "conflict"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, ErrStaleFence), errors.Is(err, ErrRejected), errors.Is(err, ErrAlreadyCommitted):
		return "outcome-unknown"
	default:
		return "unavailable"
	}
}

// find looks a batch up on the ledger: its manifest if it stands there, errLaneLost if another stands in its place.
func (b *batcher) find(ctx context.Context, p *spool.Prepared, digest provenance.Hash) (*provenance.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	manifest, err := b.ledger.Manifest(ctx, b.lane.Organisation, b.lane.Lane, p.Number)
	if err != nil {
		return nil, fmt.Errorf("looking for batch %d: %w", p.Number, err)
	}
	if manifest != nil && manifest.Argument != digest {
		return nil, fmt.Errorf("%w: batch %d on the ledger is another one", errLaneLost, p.Number)
	}
	return manifest, nil
}

// settled books a committed batch: refused frames go to the quarantine, then all leave the spool.
func (b *batcher) settled(ctx context.Context, p *spool.Prepared, digest provenance.Hash, m *provenance.Manifest, start time.Time) error {
	b.state.clear(b.name + " ledger")
	took := time.Since(start)
	b.commit = (3*b.commit + took) / 4
	b.metrics.commitSeconds.Observe(took.Seconds())
	b.metrics.batches.Inc()
	b.metrics.batchFrames.Add(float64(m.Frames))
	b.metrics.batchBytes.Add(float64(len(p.Argument)))
	if err := b.refused(ctx, p, m); err != nil {
		return err
	}
	b.lane.Number, b.lane.Digest = p.Number, digest
	return b.persist(ctx, "releasing batch", func() error { return b.log.Release(p.Last) })
}

// refused quarantines the frames of a committed batch that the contract did not record.
func (b *batcher) refused(ctx context.Context, p *spool.Prepared, m *provenance.Manifest) error {
	if len(m.Refused) == 0 {
		return nil
	}
	batch, err := evidence.DecodeBatch(p.Argument)
	if err != nil {
		return fmt.Errorf("reading back batch %d: %w", p.Number, err)
	}
	name := fmt.Sprintf("%s/%d/%d", batch.Organisation, batch.Lane, batch.Number)
	entries := make([]quarantine.Entry, 0, len(m.Refused))
	for _, refusal := range m.Refused {
		if int(refusal.Position) >= len(batch.Frames) {
			return fmt.Errorf("manifest of batch %s refuses frame %d of %d", name, refusal.Position, len(batch.Frames))
		}
		f := batch.Frames[refusal.Position]
		entry := quarantine.NewEntry(f.Received, b.topic(f.Raw), slices.Concat(f.Raw, f.Payload), refusal.Verdict,
			fmt.Sprintf("refused by the contract in batch %s: %s", name, refusal.Verdict.Reason()))
		entry.Batch = name
		entries = append(entries, entry)
	}
	if err := b.persist(ctx, "quarantining refused frames", func() error { return b.quarantine.Add(ctx, entries) }); err != nil {
		return err
	}
	for i := range entries {
		b.metrics.quarantined.WithLabelValues(entries[i].Reason).Inc()
	}
	return nil
}

// topic is where a frame was published.
func (b *batcher) topic(envelope []byte) string {
	return topicOf(b.lane.Organisation, b.lane.Lane, envelope)
}

func topicOf(organisation string, lane uint32, envelope []byte) string {
	device := ""
	if f, err := evidence.ParseFrame(envelope); err == nil { // it was parsed before it was spooled
		device = f.ID.Device
	}
	return fmt.Sprintf("tm/%s/%d/%s", organisation, lane, device)
}

// narrow answers a batch that the contract refuses as a whole: the half of it is tried, and a single frame is quarantined.
func (b *batcher) narrow(ctx context.Context, frames []spool.Frame, reason error) error {
	b.metrics.retries.WithLabelValues("rejected").Inc()
	b.logger.ErrorContext(ctx, "the contract refuses a batch; trying with fewer frames", slog.Int("frames", len(frames)), slog.Any("error", reason))
	if len(frames) > 1 {
		b.limit = len(frames) / 2
		b.log.RewindTo(frames[0].Sequence)
		return nil
	}
	f := frames[0]
	entry := quarantine.NewEntry(f.Received, b.topic(f.Envelope), slices.Concat(f.Envelope, f.Payload), provenance.Malformed,
		fmt.Sprintf("the contract refuses any batch with it: %v", reason))
	if err := b.persist(ctx, "quarantining refused frame", func() error { return b.quarantine.Add(ctx, []quarantine.Entry{entry}) }); err != nil {
		return err
	}
	b.metrics.quarantined.WithLabelValues(entry.Reason).Inc()
	return b.persist(ctx, "releasing refused frame", func() error { return b.log.Forget(f.Sequence) })
}
