package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/semaphore"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

const (
	keepAlive      = 15 * time.Second
	connectTimeout = 10 * time.Second
	// maxQueued bounds the messages of a lane that are received but not on disk; brokers keep their own, lower bound.
	maxQueued = 8192
	// maxKept is how much of an oversize message goes to the quarantine.
	maxKept = 4 * provenance.MaxMessage
)

// arrival is a message as it came.
type arrival struct {
	topic   string
	body    []byte
	message mqtt.Message
	session *session
	arrived time.Time // by the machine's clock, for traces
}

// acknowledge tells the broker that it may forget the message. Where the connection is gone that comes to nothing: the broker
// delivers again, and memory knows the frame.
func (a *arrival) acknowledge() {
	a.dispose()
	a.message.Ack()
}

// dispose drops the message without acknowledging it.
func (a *arrival) dispose() {
	if a.message.Qos() > 0 {
		id := a.message.MessageID()
		a.session.held[id/64].And(^(uint64(1) << (id % 64)))
	}
	a.session.room.Release(a.weight())
}

// weight is what an arrival counts of the lane's room: its body and about what keeping it costs, and never more than there is.
func (a *arrival) weight() int64 { return min(int64(len(a.body))+256, a.session.size) }

// session is one MQTT connection of a lane.
type session struct {
	arrivals chan<- arrival
	room     *semaphore.Weighted // bytes held, shared by the connections of the lane
	size     int64
	held     [1024]atomic.Uint64 // packet identifiers of what we hold; a broker that redelivers in between is not heard twice
	client   mqtt.Client
	lost     chan error
}

// newClientOptions sets what every connection has in common. Reconnecting is ours to decide, not paho's.
func newClientOptions(cfg *Config, tlsConfig *tls.Config, clientID string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(cfg.Broker).SetClientID(clientID).
		SetUsername(cfg.Username).SetPassword(cfg.Password).SetTLSConfig(tlsConfig).
		SetProtocolVersion(4).SetKeepAlive(keepAlive).SetPingTimeout(keepAlive).SetConnectTimeout(connectTimeout).
		SetWriteTimeout(connectTimeout).SetAutoReconnect(false).SetConnectRetry(false).SetAutoAckDisabled(true)
}

// clientName writes an identifier as part of a client identifier; nats-server takes no dots there.
func clientName(identifier string) string { return strings.ReplaceAll(identifier, ".", "~") }

// laneClientID names the persistent session of a lane. Whoever connects under it is its only reader.
func laneClientID(organisation string, lane uint32) string {
	return fmt.Sprintf("tm-ingest-%s-%d", clientName(organisation), lane)
}

// openSession connects a lane. Messages go to arrivals in the order of the broker until ctx ends or the connection is lost.
func openSession(ctx context.Context, cfg *Config, tlsConfig *tls.Config, lane uint32, arrivals chan<- arrival, room *semaphore.Weighted) (*session, error) {
	s := &session{arrivals: arrivals, room: room, size: cfg.LaneHeld, lost: make(chan error, 1)}
	handle := func(_ mqtt.Client, m mqtt.Message) { s.receive(ctx, m) }
	options := newClientOptions(cfg, tlsConfig, laneClientID(cfg.Organisation, lane)).
		SetCleanSession(false).SetOrderMatters(true).SetDefaultPublishHandler(handle).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.lost <- err })
	s.client = mqtt.NewClient(options)
	if err := await(ctx, s.client.Connect()); err != nil {
		hangUp(s.client)
		return nil, fmt.Errorf("connecting lane %d to the broker: %w", lane, err)
	}
	filter := fmt.Sprintf("tm/%s/%d/+", cfg.Organisation, lane)
	token := s.client.Subscribe(filter, 1, nil)
	err := await(ctx, token)
	if err == nil && token.(*mqtt.SubscribeToken).Result()[filter] != 1 {
		err = errors.New("the broker does not grant it with QoS 1")
	}
	if err != nil {
		hangUp(s.client)
		return nil, fmt.Errorf("subscribing to %s: %w", filter, err)
	}
	return s, nil
}

// receive queues a message. It blocks when the lane holds all it may: then the connection stalls, which is back-pressure.
func (s *session) receive(ctx context.Context, m mqtt.Message) {
	if m.Qos() > 0 {
		id := m.MessageID()
		if bit := uint64(1) << (id % 64); s.held[id/64].Or(bit)&bit != 0 {
			return // a redelivery of what we are still working on
		}
	}
	a := arrival{topic: m.Topic(), body: m.Payload(), message: m, session: s, arrived: time.Now()}
	if len(a.body) > maxKept {
		a.body = a.body[:maxKept]
	}
	if s.room.Acquire(ctx, a.weight()) != nil {
		return
	}
	select {
	case s.arrivals <- a:
	case <-ctx.Done():
		s.room.Release(a.weight())
	}
}

func (s *session) close() { hangUp(s.client) }

// hangUp disconnects, but does not wait for a network that is dead: paho then ends by its own timeouts.
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

// await waits for paho's token, or for the context.
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
