package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trailmark/trailmark/gateway/readmodel"
)

// Limits of the live stream.
const (
	heartbeat      = 5 * time.Second
	writePatience  = 10 * time.Second // for a reader to take an event
	keptEvents     = 8192
	keptEventBytes = 8 << 20
	idleAfter      = 2 * time.Minute // without a reader no events are made
	mostStreams    = 1000
)

// event is one of the stream, ready to be sent, but for its identifier.
type event struct {
	name string
	data []byte
}

// live makes events of the projection's changes, once for all readers. Readers follow a ring of them, each at its own pace: who falls
// off its end is told to read anew.
type live struct {
	server *server
	once   sync.Once
	boot   string // tells this process's events from those of an earlier one

	mu      sync.Mutex
	ring    []event
	bytes   int
	next    uint64        // number of the event that comes next; the ring's last is next-1
	wake    chan struct{} // closed when events were added
	readers int
	idle    time.Time // since when there are no readers

	heard uint64        // blocks whose changes the board took account of
	noted chan struct{} // closed when that grew
}

func newLive(s *server) *live {
	return &live{server: s, boot: rand.Text()[:8], wake: make(chan struct{}), noted: make(chan struct{}), next: 1, idle: time.Now()}
}

// start begins to follow changes, the first time; it goes on until the service ends.
func (l *live) start() {
	l.once.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		changes := l.server.Changes.Subscribe(ctx)
		if position, err := l.server.Store.Position(ctx); err == nil { // nothing was kept of what is there already
			l.hear(position.Blocks)
		}
		go func() {
			defer cancel()
			l.follow(ctx, changes)
		}()
	})
}

func (l *live) follow(ctx context.Context, changes <-chan readmodel.Change) {
	var block []readmodel.Change
	for {
		select {
		case <-l.server.Ending:
			return
		case c, open := <-changes:
			if !open {
				return
			}
			l.server.board.note(c)
			if c.Kind == readmodel.ChangedBlock {
				l.hear(c.Block + 1)
			}
			switch c.Kind {
			case readmodel.Resync:
				block = nil
				l.lose()
			case readmodel.ChangedBlock:
				l.publish(ctx, append(block, c))
				block = nil
			default:
				block = append(block, c)
			}
		}
	}
}

func (l *live) hear(blocks uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = max(l.heard, blocks)
	close(l.noted)
	l.noted = make(chan struct{})
}

// changesPatience is how long a request waits to hear of a block that is in the read model; they come within a millisecond.
const changesPatience = 250 * time.Millisecond

// caughtUp waits until the board took account of what the read model holds, so that who has seen a block sees it in every answer.
func (l *live) caughtUp(ctx context.Context) error {
	position, err := l.server.Store.Position(ctx)
	if err != nil {
		return err
	}
	patience := time.NewTimer(changesPatience)
	defer patience.Stop()
	for {
		l.mu.Lock()
		heard, noted := l.heard, l.noted
		l.mu.Unlock()
		if heard >= position.Blocks {
			return nil
		}
		select {
		case <-noted:
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			l.server.board.invalidate()
			return nil
		}
	}
}

// lose empties the ring: changes were missed.
func (l *live) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.bytes = nil, 0
	l.next += 2 // so that nobody's next event is there
	l.announce()
}

func (l *live) announce() {
	close(l.wake)
	l.wake = make(chan struct{})
}

// publish makes the events of a block and adds them.
func (l *live) publish(ctx context.Context, changes []readmodel.Change) {
	l.mu.Lock()
	unread := l.readers == 0 && time.Since(l.idle) > idleAfter
	l.mu.Unlock()
	if unread {
		l.lose()
		return
	}
	events, err := l.server.events(ctx, changes)
	if err != nil {
		l.server.Log.Error("making live events failed", slog.Any("error", err))
		l.lose()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.ring = append(l.ring, e)
		l.bytes += len(e.data)
		l.next++
	}
	drop, bytes := 0, l.bytes
	for len(l.ring)-drop > keptEvents || bytes > keptEventBytes && len(l.ring)-drop > 1 {
		bytes -= len(l.ring[drop].data)
		drop++
	}
	l.ring, l.bytes = l.ring[drop:], bytes
	l.announce()
}

// since gives the events from a number on; lost where some of those are gone, and then the number to go on from.
func (l *live) since(from uint64) (events []event, next uint64, lost bool, wake <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.next - uint64(len(l.ring))
	if from < first || from > l.next {
		return nil, l.next, true, l.wake
	}
	return slices.Clone(l.ring[from-first:]), l.next, false, l.wake
}

func (l *live) id(number uint64) string { return l.boot + "-" + strconv.FormatUint(number, 10) }

// position reads an identifier: the number of the event after it.
func (l *live) position(id string) (next uint64, ours bool) {
	digits, found := strings.CutPrefix(id, l.boot+"-")
	number, err := strconv.ParseUint(digits, 10, 63)
	return number + 1, found && err == nil
}

// events makes the events of one block's changes, in the order that the specification lays down.
func (s *server) events(ctx context.Context, changes []readmodel.Change) (events []event, err error) {
	add := func(name string, data any) {
		text, failed := json.Marshal(data)
		err = errors.Join(err, failed)
		events = append(events, event{name, text})
	}
	n, err := s.board.organisations(ctx)
	if err != nil {
		return nil, err
	}
	shipments, err := s.touchedShipments(ctx, changes)
	if err != nil {
		return nil, err
	}
	at := s.moment()
	for _, id := range slices.Sorted(maps.Keys(shipments)) {
		f, err := s.board.facts(ctx, id)
		if err != nil {
			return nil, err
		}
		add("shipment", s.judge(f, n, at).summary)
	}
	for _, c := range changes {
		if c.Kind == readmodel.ChangedReadings && c.ID != "" {
			add("readings", StreamReadings{Shipment: c.ID, From: c.From.Time(), To: c.To.Time(), Backfilled: c.Backfilled})
		}
	}
	slices.SortStableFunc(changes, func(a, b readmodel.Change) int { return cmp.Compare(rankOf(a.Kind), rankOf(b.Kind)) })
	for _, c := range changes {
		switch c.Kind {
		case readmodel.ChangedAlert:
			record, err := s.Store.Alert(ctx, c.Shipment, c.ID)
			if err != nil {
				return nil, err
			}
			shown, err := s.alertsOf(ctx, []readmodel.Alert{record}, n)
			if err != nil {
				return nil, err
			}
			add("alert", shown[0])
		case readmodel.ChangedDevice:
			record, err := s.Store.Device(ctx, c.ID)
			if err != nil {
				return nil, err
			}
			shown, err := s.deviceOf(ctx, &record, n)
			if err != nil {
				return nil, err
			}
			add("device", shown)
		case readmodel.ChangedCheckpoint:
			newest, err := s.Store.Checkpoints(ctx, readmodel.CheckpointFilter{Paging: readmodel.Paging{Limit: 1}, Organisation: c.ID})
			if err != nil {
				return nil, err
			}
			if len(newest.Items) > 0 {
				add("checkpoint", checkpointOf(&newest.Items[0], n))
			}
		case readmodel.ChangedBlock:
			block, err := s.block(ctx)
			if err != nil {
				return nil, err
			}
			add("block", block)
		}
	}
	return events, err
}

func rankOf(k readmodel.ChangeKind) int {
	return slices.Index([]readmodel.ChangeKind{readmodel.ChangedAlert, readmodel.ChangedDevice, readmodel.ChangedCheckpoint, readmodel.ChangedBlock}, k)
}

// touchedShipments are those whose summary may read otherwise now.
func (s *server) touchedShipments(ctx context.Context, changes []readmodel.Change) (map[string]bool, error) {
	ids := map[string]bool{}
	for _, c := range changes {
		switch c.Kind {
		case readmodel.ChangedShipment, readmodel.ChangedReadings:
			if c.ID != "" {
				ids[c.ID] = true
			}
		case readmodel.ChangedAlert:
			ids[c.Shipment] = true
		case readmodel.ChangedDevice:
			attached, err := s.Store.Attachments(ctx, c.ID)
			if err != nil {
				return nil, err
			}
			for _, a := range attached {
				if a.To == 0 {
					ids[a.Shipment] = true
				}
			}
		}
	}
	return ids, nil
}

// block tells of the newest block. Its transactions are the log's leaves of it.
func (s *server) block(ctx context.Context) (StreamBlock, error) {
	position, err := s.Store.Position(ctx)
	if err != nil {
		return StreamBlock{}, err
	}
	number := max(position.Blocks, 1) - 1
	transactions := int32(0)
	for leaf := position.LogSize; leaf > 0; leaf-- {
		t, err := s.Store.Transaction(ctx, leaf-1)
		if err != nil {
			return StreamBlock{}, err
		}
		if t.Stamp.Block != number {
			break
		}
		transactions++
	}
	return StreamBlock{Number: int64(number), Transactions: transactions, Committed: whenSet(position.LastTime), LogSize: int64(position.LogSize), Clock: s.clock()}, nil
}

// OpenStream implements openStream.
func (s *server) OpenStream(ctx context.Context, r OpenStreamRequestObject) (OpenStreamResponseObject, error) {
	if s.live == nil {
		return nil, errNoGateway
	}
	if !s.live.enter() {
		return nil, unavailable("Too many live streams are open here.", "Close some pages, and try again.")
	}
	s.live.start()
	return &stream{ctx: ctx, server: s, last: value(r.Params.LastEventID)}, nil
}

func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers >= mostStreams {
		return false
	}
	l.readers++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.idle = time.Now()
	}
}

// stream is one reader's connection.
type stream struct {
	ctx    context.Context // of the request: the response is written after the handler returned
	server *server
	last   string
}

// VisitOpenStreamResponse writes events until either side closes the connection.
func (t *stream) VisitOpenStreamResponse(w http.ResponseWriter) error {
	l := t.server.live
	defer l.leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy must not gather events either
	out := &sender{w: w, control: http.NewResponseController(w)}
	next, ours := l.position(t.last)
	_, newest, _, _ := l.since(0)
	switch {
	case t.last == "":
		block, err := t.server.block(t.ctx)
		if err != nil {
			return err
		}
		text, err := json.Marshal(block)
		if err != nil {
			return err
		}
		next = newest
		out.event(l.id(next-1), event{"block", text})
	case !ours:
		next = newest
		out.resync(l.id(next-1), "This node has begun anew since.")
	}
	w.WriteHeader(http.StatusOK)
	for {
		events, upTo, lost, wake := l.since(next)
		if lost {
			out.resync(l.id(upTo-1), "Too much has happened since.")
			events, next = nil, upTo
		}
		for _, e := range events {
			out.event(l.id(next), e)
			next++
		}
		if out.flush() != nil {
			return nil // the reader has gone
		}
		select {
		case <-t.ctx.Done():
			return nil
		case <-t.server.Ending:
			return nil
		case <-wake:
		case <-time.After(heartbeat):
			out.comment()
		}
	}
}

// sender writes events; nothing is sent before flush.
type sender struct {
	w       io.Writer
	control *http.ResponseController
	buffer  bytes.Buffer
}

func (o *sender) event(id string, e event) {
	fmt.Fprintf(&o.buffer, "id: %s\nevent: %s\ndata: %s\n\n", id, e.name, e.data)
}

func (o *sender) resync(id, reason string) {
	text, _ := json.Marshal(StreamResync{Reason: reason}) // a string always can be
	o.event(id, event{"resync", text})
}

func (o *sender) comment() { o.buffer.WriteString(": alive\n\n") }

// flush sends what was written. A reader that does not take it in time is cut off.
func (o *sender) flush() error {
	if err := o.control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.buffer.WriteTo(o.w); err != nil {
		return err
	}
	return o.control.Flush()
}
