package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/trailmark/trailmark/deploy/load"
)

// A broker of its own, so that nobody else is served while the hop is measured.
const (
	aloneProcess = "broker-alone"
	hopWindow    = 8192 // most messages between publication and receipt
)

// hop measures what a message costs from the publisher through the broker to a subscriber that acknowledges it: the CPU time of the
// broker and of ourselves, who publish as on the road and subscribe as ingest does, to the same lanes with the same security.
func (r *run) hop(ctx context.Context, t *traffic, cost *FrameCost) (err error) {
	url, err := r.startBroker(ctx, r, aloneProcess)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.group.Remove(ctx, aloneProcess)) }()
	// The lanes' sessions are the broker's first work; whoever connects before that waits.
	publisher, err := load.Connect(url, r.roots, r.authority, r.path(aloneProcess, "publisher"), r.carrier.MSPID, publisherConnections)
	if err != nil {
		return err
	}
	defer publisher.Close()
	var received, published atomic.Int64
	unsubscribe, err := r.subscribe(url, func() { received.Add(1) })
	if err != nil {
		return err
	}
	defer unsubscribe()
	var ending atomic.Bool
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var publishing sync.WaitGroup
	for i := range t.part {
		next := windowed(&published, received.Load, hopWindow, &ending)()
		publishing.Go(func() {
			messages := t.part[i].messages
			for from := 0; ; from += chunkHeavy {
				if from+chunkHeavy > len(messages) {
					from = 0
				}
				if _, goOn := next(working, chunkHeavy); !goOn {
					return
				}
				published.Add(chunkHeavy)
				if err := publisher.Publish(working, messages[from:from+chunkHeavy], chunkHeavy, 0, func(int) {}); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	var first, last int64
	span := min(r.config.steady(), 15*time.Second)
	before, after, err := r.measure(working, r.config.settle(), span, func() { first = received.Load() }, func() { last = received.Load() })
	ending.Store(true)
	publishing.Wait()
	if err != nil {
		return errors.Join(err, context.Cause(working))
	}
	spent, err := before.spent(after)
	if err != nil {
		return err
	}
	if last == first {
		return errors.New("no message came through")
	}
	cost.HopMicros = (spent[ourselves] + spent[aloneProcess]) * 1e6 / float64(last-first)
	cost.HopPerSecond = float64(last-first) / after.at.Sub(before.at).Seconds()
	for deadline := time.Now().Add(20 * time.Second); received.Load() < published.Load(); {
		if time.Now().After(deadline) {
			return &MismatchError{fmt.Sprintf("%d messages were acknowledged to the publisher, and %d came through", published.Load(), received.Load())}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// subscribe listens on every lane as ingest does, and acknowledges at once.
func (r *run) subscribe(url string, received func()) (unsubscribe func(), err error) {
	pair, err := r.authority.ClientPair(r.path(aloneProcess, "subscriber"), "subscriber", r.carrier.MSPID, "ingest")
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, err
	}
	var clients []mqtt.Client
	unsubscribe = func() {
		for _, c := range clients {
			c.Disconnect(100)
		}
	}
	for lane := range r.config.Lanes {
		options := mqtt.NewClientOptions().AddBroker(url).SetClientID(fmt.Sprintf("tm-ingest-%s-%d", r.carrier.MSPID, lane)).SetCleanSession(false).SetOrderMatters(true).
			SetTLSConfig(&tls.Config{RootCAs: r.roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}).SetAutoReconnect(false).
			SetDefaultPublishHandler(func(mqtt.Client, mqtt.Message) { received() })
		client := mqtt.NewClient(options)
		clients = append(clients, client)
		if err := done(client.Connect()); err != nil {
			unsubscribe()
			return nil, fmt.Errorf("subscribing to lane %d: %w", lane, err)
		}
		if err := done(client.Subscribe(fmt.Sprintf("tm/%s/%d/+", r.carrier.MSPID, lane), 1, nil)); err != nil {
			unsubscribe()
			return nil, fmt.Errorf("subscribing to lane %d: %w", lane, err)
		}
	}
	return unsubscribe, nil
}

func done(token mqtt.Token) error {
	if !token.WaitTimeout(20 * time.Second) {
		return errors.New("the broker does not answer")
	}
	return token.Error()
}
