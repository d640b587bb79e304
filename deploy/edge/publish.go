package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/trailmark/trailmark/deploy/devices"
)

// sign makes frames of what is due until ending is closed, and then of all that waits.
func (e *Edge) sign(ctx context.Context, publishing *sync.WaitGroup, ending <-chan struct{}) {
	ticker := time.NewTicker(min(e.config.MaxDelay/4+time.Millisecond, 250*time.Millisecond))
	defer ticker.Stop()
	cleaned := time.Now()
	for {
		all := false
		select {
		case <-e.wake:
		case <-ticker.C:
		case <-ending:
			all = true
		case <-ctx.Done():
			return
		}
		for _, device := range e.due(all) {
			if err := e.signDevice(ctx, device, all); err != nil {
				if ctx.Err() != nil {
					return
				}
				e.trouble("signing", err)
				pause(ctx, 100*time.Millisecond)
				break
			}
			e.trouble("signing", nil)
			e.mu.Lock()
			e.startPublisher(ctx, publishing, device)
			e.mu.Unlock()
		}
		if all {
			return
		}
		if time.Since(cleaned) > time.Minute {
			cleaned = time.Now()
			e.trouble("outbox's memory", e.outbox.forget(ctx, e.now().Add(-e.config.Remember)))
		}
	}
}

// due lists the devices with a frame to sign: full, or waiting long enough.
func (e *Edge) due(all bool) []string {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []string
	for device, q := range e.queues {
		if all || q.count >= e.config.PerFrame || now.Sub(q.since) >= e.config.MaxDelay {
			list = append(list, device)
		}
	}
	return list
}

// signDevice signs a device's full frames, and the last one if its time has come.
func (e *Edge) signDevice(ctx context.Context, device string, all bool) error {
	for {
		e.mu.Lock()
		q := e.queues[device]
		due := q != nil && (all || q.count >= e.config.PerFrame || e.now().Sub(q.since) >= e.config.MaxDelay)
		e.mu.Unlock()
		if !due {
			return nil
		}
		n, err := e.outbox.sign(ctx, e.kits[device], e.config.PerFrame, e.now())
		if err != nil {
			return fmt.Errorf("signing for %s: %w", device, err)
		}
		e.mu.Lock()
		if q.count -= n; q.count <= 0 || n == 0 {
			delete(e.queues, device)
		} else {
			q.since = e.now()
		}
		e.mu.Unlock()
		if n > 0 {
			e.metrics.frames.Inc()
		}
	}
}

// startPublisher starts a device's publisher, or tells it that there is more. The caller holds mu.
func (e *Edge) startPublisher(ctx context.Context, publishing *sync.WaitGroup, device string) {
	wake := e.publishers[device]
	if wake == nil {
		wake = make(chan struct{}, 1)
		e.publishers[device] = wake
		publishing.Go(func() { e.publish(ctx, e.kits[device], wake) })
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// publish sends a device's frames in order, over a connection with the device's own certificate, until ctx ends: the edge has no more
// rights at the broker than the devices whose keys it holds.
func (e *Edge) publish(ctx context.Context, kit *devices.Kit, wake <-chan struct{}) {
	var client mqtt.Client
	defer func() {
		if client != nil {
			hangUp(client)
		}
	}()
	part := "device " + kit.ID
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		frames, err := e.outbox.unsent(ctx, kit.ID, e.config.InFlight)
		if err == nil && len(frames) == 0 {
			select {
			case <-wake:
			case <-ctx.Done():
			}
			continue
		}
		if err == nil && client == nil {
			client, err = e.connect(ctx, kit)
		}
		if err == nil {
			err = e.send(ctx, client, kit, frames)
		}
		if err == nil {
			e.trouble(part, nil)
			wait = 100 * time.Millisecond
			continue
		}
		if client != nil {
			hangUp(client)
			client = nil
		}
		if ctx.Err() == nil {
			e.trouble(part, err)
			wait = pause(ctx, wait)
		}
	}
}

// send publishes frames and drops those that are acknowledged, as far as there is no gap.
func (e *Edge) send(ctx context.Context, client mqtt.Client, kit *devices.Kit, frames []signedFrame) error {
	tokens := make([]mqtt.Token, len(frames))
	for i, f := range frames {
		tokens[i] = client.Publish(kit.Topic(), 1, false, f.message)
	}
	var failure error
	acknowledged, readings := -1, 0
	for i, token := range tokens {
		if failure = await(ctx, token); failure != nil {
			break
		}
		acknowledged, readings = i, readings+frames[i].readings
	}
	if acknowledged >= 0 {
		if err := e.outbox.sent(context.WithoutCancel(ctx), kit.ID, frames[acknowledged]); err != nil {
			return errors.Join(failure, fmt.Errorf("clearing outbox: %w", err))
		}
		e.metrics.published.Add(float64(acknowledged + 1))
		e.mu.Lock()
		e.held -= readings
		relieved := e.held < e.config.MaxReadings
		e.mu.Unlock()
		if relieved {
			e.trouble("outbox", nil)
		}
	}
	return failure
}

func (e *Edge) connect(ctx context.Context, kit *devices.Kit) (mqtt.Client, error) {
	certificate, err := kit.Certificate()
	if err != nil {
		return nil, fmt.Errorf("loading the certificate of %s: %w", kit.ID, err)
	}
	config := e.brokerTLS.Clone()
	config.Certificates = []tls.Certificate{certificate}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(e.config.Broker).SetClientID(clientID(kit.ID)).SetTLSConfig(config).SetProtocolVersion(mqtt311).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(2 * keepAlive).SetConnectTimeout(connectTimeout).SetWriteTimeout(connectTimeout).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			e.log.Debug("connection lost", slog.String("device", kit.ID), slog.Any("error", err))
		}))
	if err := await(ctx, client.Connect()); err != nil {
		hangUp(client)
		return nil, fmt.Errorf("connecting to %s as %s: %w", e.config.Broker, kit.ID, err)
	}
	return client, nil
}
