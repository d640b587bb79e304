package ingest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// members is how the instances of an organisation see each other: each keeps a retained message on
// tm-ingest/{organisation}/{instance} saying that it lives, which lanes it would serve and which it holds; its last will says
// that it is gone.
//
// Every instance computes the same sharing of lanes among the living (see share) and takes its part. A lane that a living
// instance holds is not taken from it: the holder itself lets go when the sharing gives it to another. All this only saves
// work: if two views differ, the fence on the ledger still lets one owner count.
type members struct {
	cfg    *Config
	tls    *tls.Config
	state  *conditions
	logger *slog.Logger
	holds  func() []uint32
	wake   chan struct{} // capacity 1: something changed

	mu        sync.Mutex
	client    mqtt.Client
	connected time.Time // since when; zero: not
	echo      time.Time // when our own heartbeat last came back to us
	seen      map[string]*member
	beats     uint64
}

// member is what is known of another instance.
type member struct {
	presence
	last time.Time // when it last showed
}

type presence struct {
	Alive bool     `json:"alive"`
	Beat  uint64   `json:"beat"`
	Since int64    `json:"since"` // ms; with beat, tells a living message from a retained one
	Serve []uint32 `json:"serve"`
	Holds []uint32 `json:"holds"`
}

// maxPresence and maxMembers bound what others can make us remember.
const (
	maxPresence = 16 << 10
	maxMembers  = 256
	settle      = 500 * time.Millisecond // for the retained messages to come in
)

func newMembers(cfg *Config, tlsConfig *tls.Config, state *conditions, logger *slog.Logger, holds func() []uint32) *members {
	return &members{cfg: cfg, tls: tlsConfig, state: state, logger: logger, holds: holds, wake: make(chan struct{}, 1), seen: map[string]*member{}}
}

func (m *members) topic(instance string) string {
	return fmt.Sprintf("tm-ingest/%s/%s", m.cfg.Organisation, instance)
}

// changed asks for a heartbeat now.
func (m *members) changed() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run keeps the connection and the heartbeat until ctx ends, then says good-bye.
func (m *members) run(ctx context.Context) {
	since := time.Now().UnixMilli()
	ticker := time.NewTicker(m.cfg.Heartbeat)
	defer ticker.Stop()
	for ctx.Err() == nil {
		lost, err := m.connect(ctx)
		if err == nil {
			m.state.clear("broker")
			err = m.beat(ctx, since, lost, ticker.C)
		}
		m.disconnect(ctx.Err() != nil)
		if ctx.Err() != nil {
			return
		}
		if m.state.set("broker", err.Error()) {
			m.logger.WarnContext(ctx, "no connection to the broker", slog.Any("error", err))
		}
		select {
		case <-time.After(min(time.Second, m.cfg.Heartbeat)):
		case <-ctx.Done():
		}
	}
}

func (m *members) connect(ctx context.Context) (<-chan error, error) {
	lost := make(chan error, 1)
	gone, err := json.Marshal(presence{})
	if err != nil {
		return nil, fmt.Errorf("encoding presence: %w", err)
	}
	options := newClientOptions(m.cfg, m.tls, "tm-ingest-"+clientName(m.cfg.Organisation)+"/"+clientName(m.cfg.Instance)).
		SetCleanSession(true).SetOrderMatters(true).SetDefaultPublishHandler(m.hear).
		SetBinaryWill(m.topic(m.cfg.Instance), gone, 1, true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	client := mqtt.NewClient(options)
	err = await(ctx, client.Connect())
	if err == nil {
		err = await(ctx, client.Subscribe(m.topic("+"), 1, nil))
	}
	if err != nil {
		hangUp(client)
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	m.mu.Lock()
	m.client, m.connected = client, time.Now()
	m.mu.Unlock()
	return lost, nil
}

func (m *members) disconnect(farewell bool) {
	m.mu.Lock()
	client := m.client
	m.client, m.connected, m.echo = nil, time.Time{}, time.Time{}
	m.mu.Unlock()
	if client == nil {
		return
	}
	if farewell {
		if gone, err := json.Marshal(presence{}); err == nil {
			client.Publish(m.topic(m.cfg.Instance), 1, true, gone).WaitTimeout(time.Second)
		}
	}
	hangUp(client)
}

func (m *members) beat(ctx context.Context, since int64, lost <-chan error, tick <-chan time.Time) error {
	for {
		m.mu.Lock()
		client := m.client
		m.beats++
		p := presence{Alive: true, Beat: m.beats, Since: since, Serve: m.cfg.serves(), Holds: m.holds()}
		m.mu.Unlock()
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encoding presence: %w", err)
		}
		if err := m.show(ctx, client, text); err != nil {
			return fmt.Errorf("showing presence: %w", err)
		}
		select {
		case <-tick:
		case <-m.wake:
		case err := <-lost:
			return fmt.Errorf("connection to the broker was lost: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// show publishes our presence. A broker that does not take it within a lease is not there.
func (m *members) show(ctx context.Context, client mqtt.Client, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Lease)
	defer cancel()
	return await(ctx, client.Publish(m.topic(m.cfg.Instance), 1, true, text))
}

// hear takes in another instance's presence.
func (m *members) hear(_ mqtt.Client, message mqtt.Message) {
	message.Ack()
	name := instanceOf(message.Topic(), m.cfg.Organisation)
	if name == m.cfg.Instance {
		m.mu.Lock()
		m.echo = time.Now()
		m.mu.Unlock()
		return
	}
	if name == "" {
		return
	}
	p, err := parsePresence(message.Payload())
	if err != nil {
		m.logger.Warn("an instance's presence cannot be read", slog.String("instance", name), slog.Any("error", err))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.seen[name]
	if known == nil {
		if len(m.seen) >= maxMembers {
			return
		}
		known = &member{}
		m.seen[name] = known
	}
	if fresh := p.Beat != known.Beat || p.Since != known.Since; fresh || !p.Alive {
		known.last = time.Now()
	}
	known.presence = p
}

func parsePresence(text []byte) (p presence, err error) {
	if len(text) > maxPresence {
		return p, fmt.Errorf("%d bytes, at most %d are allowed", len(text), maxPresence)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("decoding presence: %w", err)
	}
	return p, nil
}

func instanceOf(topic, organisation string) string {
	prefix := "tm-ingest/" + organisation + "/"
	if len(topic) <= len(prefix) || topic[:len(prefix)] != prefix {
		return ""
	}
	return topic[len(prefix):]
}

// alive tells whether an instance lives, as far as we can see. m.mu is held.
func (m *members) alive(known *member) bool {
	return known != nil && known.Alive && time.Since(known.last) < m.cfg.Lease
}

// hears tells whether we would hear of the others: only then does their silence mean that they are dead. Our own heartbeats
// must have come back more recently than any lease runs. m.mu is held.
func (m *members) hears() bool {
	return !m.connected.IsZero() && time.Since(m.echo) < m.cfg.Lease/2
}

// mayClaim tells whether a lane can be taken from its owner: it is dead, or lives and does not hold it. An owner never seen
// here is given a lease to show itself.
func (m *members) mayClaim(lane uint32, owner string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if owner == "" || owner == m.cfg.Instance {
		return true
	}
	if !m.hears() {
		return false
	}
	known := m.seen[owner]
	if known == nil {
		return time.Since(m.connected) > m.cfg.Lease
	}
	return !m.alive(known) || !slices.Contains(known.Holds, lane)
}

// view returns which lanes the sharing gives to us, and whether it can be relied on yet.
func (m *members) view() (mine []uint32, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hears() || time.Since(m.connected) < settle {
		return nil, false
	}
	living := map[string][]uint32{m.cfg.Instance: m.cfg.serves()}
	for name, known := range m.seen {
		if m.alive(known) {
			living[name] = known.Serve
		}
	}
	for lane, owner := range share(m.cfg.Lanes, living) {
		if owner == m.cfg.Instance {
			mine = append(mine, uint32(lane))
		}
	}
	return mine, true
}

type outgoing struct {
	topic string
	body  []byte
}

var errNotConnected = errors.New("no connection to the broker")

// publish sends messages with QoS 1 and returns when the broker has acknowledged all of them.
func (m *members) publish(ctx context.Context, messages []outgoing) error {
	m.mu.Lock()
	client := m.client
	m.mu.Unlock()
	if client == nil {
		return errNotConnected
	}
	const window = 64
	var flying []mqtt.Token
	for i, message := range messages {
		flying = append(flying, client.Publish(message.topic, 1, false, message.body))
		if len(flying) < window && i < len(messages)-1 {
			continue
		}
		for _, token := range flying {
			if err := await(ctx, token); err != nil {
				return fmt.Errorf("publishing: %w", err)
			}
		}
		flying = flying[:0]
	}
	return nil
}
