package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/trailmark/trailmark/deploy/broker"
	"github.com/trailmark/trailmark/deploy/edge/senml"
	"github.com/trailmark/trailmark/deploy/edge/sparkplug"
)

const (
	maxArrivals    = 256 // messages received and not on disk
	mqtt311        = 4   // protocol version: without it, paho falls back to an older one after every refusal
	keepAlive      = 15 * time.Second
	connectTimeout = 10 * time.Second
	rebirthEvery   = time.Minute // for one edge node
)

// arrival is a message as it came. Acknowledging it after its connection has gone comes to nothing: it is then delivered again.
type arrival struct {
	mqtt.Message
	client mqtt.Client
}

// listen keeps the session with the sensors' broker up until ctx ends.
func (e *Edge) listen(ctx context.Context) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		err := e.session(ctx, func() { wait = 100 * time.Millisecond })
		if ctx.Err() != nil {
			return
		}
		e.trouble("sensors' broker", err)
		wait = pause(ctx, wait)
	}
}

// session connects, subscribes, and passes messages on until the connection is lost or ctx ends. A new connection is a new client,
// so that an acknowledgement can never be taken for that of another message.
func (e *Edge) session(ctx context.Context, up func()) error {
	lost := make(chan error, 1)
	session, end := context.WithCancel(ctx)
	defer end()
	options := mqtt.NewClientOptions().AddBroker(e.config.Source).SetClientID(e.config.ClientID).SetUsername(e.config.SourceUser).SetPassword(e.config.SourcePassword).
		SetTLSConfig(e.sourceTLS).SetProtocolVersion(mqtt311).SetCleanSession(false).SetAutoReconnect(false).SetConnectRetry(false).SetAutoAckDisabled(true).
		SetKeepAlive(keepAlive).SetConnectTimeout(connectTimeout).SetWriteTimeout(connectTimeout).SetOrderMatters(true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }).
		SetDefaultPublishHandler(func(client mqtt.Client, m mqtt.Message) { // blocks when we cannot keep up, which the broker feels
			select {
			case e.arrivals <- arrival{m, client}:
			case <-session.Done():
			}
		})
	client := mqtt.NewClient(options)
	if err := await(ctx, client.Connect()); err != nil {
		hangUp(client)
		return fmt.Errorf("connecting to %s: %w", e.config.Source, err)
	}
	defer hangUp(client)
	defer end() // before hanging up: paho waits for a handler that is busy
	filters := map[string]byte{}
	for _, filter := range e.mapping.filters {
		filters[filter] = 1
	}
	token := client.SubscribeMultiple(filters, nil)
	if err := await(ctx, token); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	for filter, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted > 1 {
			return fmt.Errorf("subscribing to %s: the broker refuses", filter)
		}
	}
	up()
	e.trouble("sensors' broker", nil)
	e.log.InfoContext(ctx, "listening to sensors", slog.String("broker", e.config.Source), slog.Int("filters", len(filters)))
	select {
	case err := <-lost:
		return fmt.Errorf("connection to %s lost: %w", e.config.Source, err)
	case <-ctx.Done():
		return nil
	}
}

// hangUp does not wait for a network that is dead: paho then ends by its own timeouts.
func hangUp(client mqtt.Client) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		client.Disconnect(100)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

func await(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * connectTimeout):
		return errors.New("the broker does not answer")
	}
}

const (
	groupMessages = 256 // most messages that share a sync of the disk
	groupBytes    = 4 << 20
)

// take makes what arrives durable and acknowledges it, until arrivals are closed. Groups form by themselves: while one is being
// synced the next gathers.
func (e *Edge) take(ctx context.Context) {
	asked := map[string]time.Time{}
	for first := range e.arrivals {
		group, size := []arrival{first}, len(first.Payload())
	gather:
		for len(group) < groupMessages && size < groupBytes {
			select {
			case a, open := <-e.arrivals:
				if !open {
					break gather
				}
				group, size = append(group, a), size+len(a.Payload())
			default:
				break gather
			}
		}
		for wait := 20 * time.Millisecond; e.unpublished() >= e.config.MaxReadings && ctx.Err() == nil; wait = min(pause(ctx, wait), time.Second) {
			e.trouble("outbox", fmt.Errorf("it holds %d readings, as many as allowed; nothing is taken until Trailmark's broker acknowledges some", e.unpublished()))
		}
		meanings, ok := e.keep(ctx, group)
		if !ok {
			return
		}
		for i := range group {
			group[i].Ack()
			if topic := meanings[i].rebirth; topic != nil && e.config.Rebirth {
				e.askRebirth(group[i].client, topic, asked)
			}
		}
	}
}

// keep reads messages and makes them durable; false if ctx ended before that could be done.
func (e *Edge) keep(ctx context.Context, group []arrival) ([]meaning, bool) {
	now := e.now()
	meanings := make([]meaning, len(group))
	messages := make([]taken, len(group))
	for i, a := range group {
		if !e.persist(ctx, func() (err error) {
			if len(a.Payload()) > max(senml.MaxBytes, sparkplug.MaxBytes) {
				meanings[i].problems = []string{fmt.Sprintf("message of %d bytes, at most %d are allowed", len(a.Payload()), senml.MaxBytes)}
				return nil
			}
			meanings[i], err = e.reader.read(ctx, a.Topic(), a.Payload(), a.Duplicate(), now)
			return err
		}) {
			return nil, false
		}
		messages[i] = meanings[i].taken
	}
	var results []stored
	if !e.persist(ctx, func() (err error) {
		results, err = e.outbox.store(ctx, messages, e.reader.nodes, now)
		return err
	}) {
		return nil, false
	}
	var entries []refused
	for i := range group {
		problems := append(meanings[i].problems, results[i].conflicts...)
		e.metrics.count(&meanings[i], &results[i])
		if len(problems) > 0 {
			entries = append(entries, refused{Received: now.UTC(), Topic: group[i].Topic(), Reason: joined(problems), Body: group[i].Payload()})
		}
	}
	if len(entries) > 0 && !e.persist(ctx, func() error { return e.quarantine.add(entries) }) {
		return nil, false
	}
	e.enqueue(results, now)
	return meanings, true
}

// joined bounds the reasons of one message.
func joined(problems []string) string {
	const most = 20
	if more := len(problems) - most; more > 0 {
		problems = append(problems[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(problems, "; ")
}

// persist repeats something until the disk takes it: a full disk passes.
func (e *Edge) persist(ctx context.Context, do func() error) bool {
	for wait := 20 * time.Millisecond; ; wait = pause(ctx, wait) {
		err := do()
		if err == nil {
			e.trouble("disk", nil)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		e.trouble("disk", err)
	}
}

// enqueue notes fresh readings for the signer.
func (e *Edge) enqueue(results []stored, now time.Time) {
	e.mu.Lock()
	for _, result := range results {
		for _, device := range result.fresh {
			q := e.queues[device]
			if q == nil {
				q = &queue{device: device, since: now}
				e.queues[device] = q
			}
			q.count++
			e.held++
		}
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Edge) askRebirth(client mqtt.Client, topic *sparkplug.Topic, asked map[string]time.Time) {
	if time.Since(asked[topic.Node()]) < rebirthEvery {
		return
	}
	if len(asked) > 10_000 {
		clear(asked)
	}
	asked[topic.Node()] = time.Now()
	client.Publish(topic.RebirthTopic(), 0, false, sparkplug.RebirthCommand(e.now().UnixMilli()))
	e.log.Info("asked a Sparkplug edge node to announce itself again", slog.String("node", topic.Node()))
}

// clientID names a device's connection as Trailmark's broker wants it.
func clientID(device string) string { return broker.ClientID(device) + "/edge" }
