package faults

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// publisher publishes as devices do: in order, at least once, keeping what has no PUBACK and sending it again after the connection is
// lost or the broker has been silent.
type publisher struct {
	lines []*line
	book  *book

	stalls    atomic.Int64 // times that a full window had no PUBACK for silence
	connects  atomic.Int64
	discarded atomic.Int64 // frames that devices gave up
}

const (
	window  = 256
	silence = 3 * time.Second
)

// line is one connection with the messages that wait for it.
type line struct {
	options func() *mqtt.ClientOptions
	wake    chan struct{}

	mu    sync.Mutex
	queue []*message // not yet acknowledged, in order
}

func newPublisher(b *book, broker, organisation string, secure *tls.Config, names []string, certificates []tls.Certificate) *publisher {
	p := &publisher{book: b}
	for i, name := range names {
		config := secure.Clone()
		config.Certificates = []tls.Certificate{certificates[i]}
		p.lines = append(p.lines, &line{wake: make(chan struct{}, 1), options: func() *mqtt.ClientOptions {
			return mqtt.NewClientOptions().AddBroker(broker).SetClientID(fmt.Sprintf("tm-ingest-%s/%s", organisation, name)).SetCleanSession(true).
				SetTLSConfig(config).SetConnectRetry(false).SetAutoReconnect(false).SetOrderMatters(false).
				SetConnectTimeout(3 * time.Second).SetWriteTimeout(5 * time.Second).SetKeepAlive(10 * time.Second).SetPingTimeout(3 * time.Second)
		}})
	}
	return p
}

func (p *publisher) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, l := range p.lines {
		all.Go(func() { p.work(ctx, l) })
	}
	all.Wait()
}

// send queues a frame; those of a lane take one connection and stay in order.
func (p *publisher) send(m *message) {
	m.sent = time.Now()
	p.book.offer(m)
	l := p.lines[int(m.lane)%len(p.lines)]
	l.mu.Lock()
	l.queue = append(l.queue, m)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// waiting counts frames without PUBACK.
func (p *publisher) waiting() int {
	n, _ := p.backlog()
	return n
}

// backlog counts frames without PUBACK, and tells how long the first of them has been waiting.
func (p *publisher) backlog() (n int, longest time.Duration) {
	for _, l := range p.lines {
		l.mu.Lock()
		n += len(l.queue)
		if len(l.queue) > 0 {
			longest = max(longest, time.Since(l.queue[0].sent))
		}
		l.mu.Unlock()
	}
	return n, longest
}

// giveUp drops frames that have no PUBACK, as a device without memory for them does.
func (p *publisher) giveUp(which func(*message) bool) {
	for _, l := range p.lines {
		l.mu.Lock()
		before := len(l.queue)
		l.queue = slices.DeleteFunc(l.queue, which)
		p.discarded.Add(int64(before - len(l.queue)))
		l.mu.Unlock()
	}
}

func (p *publisher) work(ctx context.Context, l *line) {
	for ctx.Err() == nil {
		lost := make(chan struct{})
		var once sync.Once
		client := mqtt.NewClient(l.options().SetConnectionLostHandler(func(mqtt.Client, error) { once.Do(func() { close(lost) }) }))
		if token := client.Connect(); token.WaitTimeout(5*time.Second) && token.Error() == nil {
			p.connects.Add(1)
			p.session(ctx, l, client, lost)
		}
		client.Disconnect(0)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// session publishes over one connection until it is of no more use.
func (p *publisher) session(ctx context.Context, l *line, client mqtt.Client, lost <-chan struct{}) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	acks := make(chan *message, window)
	flying := map[*message]bool{}
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		for _, m := range l.next(flying, window) {
			flying[m] = true
			token := client.Publish(m.topic, 1, false, m.body)
			go func() {
				select {
				case <-token.Done():
					if token.Error() == nil {
						select {
						case acks <- m:
						case <-ctx.Done():
						}
					}
				case <-ctx.Done():
				}
			}()
		}
		select {
		case m := <-acks:
			p.acknowledged(l, m)
			delete(flying, m)
			quiet.Reset(silence)
		case <-l.wake:
			if len(flying) == 0 {
				quiet.Reset(silence)
			}
		case <-quiet.C:
			if len(flying) > 0 {
				p.stalls.Add(1)
				return
			}
			quiet.Reset(silence)
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// next gives the messages to publish now, in order.
func (l *line) next(flying map[*message]bool, window int) (due []*message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.queue {
		if len(flying)+len(due) >= window {
			break
		}
		if !flying[m] {
			due = append(due, m)
		}
	}
	return due
}

func (p *publisher) acknowledged(l *line, m *message) {
	p.book.acknowledge(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, m); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
}
