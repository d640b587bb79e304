// Package simulate plays sensors: it turns a course of readings into signed frames on MQTT, at the pace of a clock, as a real
// device would: what it has signed it keeps until the broker has acknowledged it. Nothing behind the broker can tell the
// difference. Of ours it imports chaincode/evidence, chaincode/provenance, deploy/broker, deploy/clock, deploy/devices, and analytics/thermal.
package simulate

import (
	"context"
	"crypto/tls"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/broker"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/deploy/devices"
)

// Course is what a sensor measures, by rising time.
type Course = iter.Seq[provenance.Reading]

// Sensor is a device that publishes.
type Sensor struct {
	Kit       *devices.Kit
	Broker    string      // URL
	TLS       *tls.Config // how to trust the broker; the device's own certificate is added
	Clock     clock.Clock
	PerFrame  int           // readings in a frame
	MostDelay time.Duration // of the simulated clock, after which a frame is closed though it is not full; 0: never
	Log       *slog.Logger
}

// Run publishes the course until it ends or ctx does, and returns when all that was signed has been acknowledged, or ctx ended.
func (s *Sensor) Run(ctx context.Context, course Course) error {
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Disconnect(250)
	position, err := s.Kit.Position()
	if err != nil {
		return err
	}
	var pending []mqtt.Token
	pack := evidence.Pack{Device: s.Kit.ID, Unit: s.Kit.Unit}
	publish := func() error {
		if len(pack.Readings) == 0 {
			return nil
		}
		position.Sequence++
		if err := s.Kit.SavePosition(position); err != nil {
			return err
		}
		message, err := evidence.SignFrame(s.Kit.Signer, position.Epoch, position.Sequence, &pack, provenance.TimeOf(s.Clock.Now()))
		if err != nil {
			return err
		}
		pack.Readings = nil
		pending = append(settle(pending), client.Publish(s.Kit.Topic(), 1, false, message))
		return nil
	}
	for reading := range course {
		if !wait(ctx, s.Clock, reading.Time.Time()) {
			break
		}
		pack.Readings = append(pack.Readings, reading)
		if len(pack.Readings) >= s.PerFrame || s.MostDelay > 0 && reading.Time-pack.Readings[0].Time >= provenance.Time(s.MostDelay.Milliseconds()) {
			if err := publish(); err != nil {
				return err
			}
		}
	}
	if err := publish(); err != nil {
		return err
	}
	for _, token := range pending {
		select {
		case <-token.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// settle drops the tokens whose message the broker has acknowledged.
func settle(pending []mqtt.Token) []mqtt.Token {
	kept := pending[:0]
	for _, token := range pending {
		select {
		case <-token.Done():
		default:
			kept = append(kept, token)
		}
	}
	return kept
}

// wait returns when the clock shows t, or false when ctx ends first.
func wait(ctx context.Context, c clock.Clock, t time.Time) bool {
	delay := c.Until(t, time.Now())
	if delay <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// mqtt311 is the protocol version's number: without it, paho falls back to an older one after every refusal.
const mqtt311 = 4

func (s *Sensor) connect(ctx context.Context) (mqtt.Client, error) {
	options := mqtt.NewClientOptions().AddBroker(s.Broker).SetClientID(broker.ClientID(s.Kit.ID)).SetProtocolVersion(mqtt311).SetCleanSession(false).
		SetStore(mqtt.NewFileStore(filepath.Join(s.Kit.Dir, "outbox"))).SetMaxReconnectInterval(2 * time.Second).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetWriteTimeout(10 * time.Second)
	if s.TLS != nil {
		certificate, err := s.Kit.Certificate()
		if err != nil {
			return nil, err
		}
		config := s.TLS.Clone()
		config.Certificates = []tls.Certificate{certificate}
		options.SetTLSConfig(config)
	}
	options.SetConnectionNotificationHandler(func(_ mqtt.Client, n mqtt.ConnectionNotification) {
		switch n := n.(type) {
		case mqtt.ConnectionNotificationBrokerFailed:
			s.Log.Warn("sensor could not connect and tries again", slog.String("device", s.Kit.ID), slog.Any("error", n.Reason))
		case mqtt.ConnectionNotificationLost:
			s.Log.Warn("sensor lost its connection and tries again", slog.String("device", s.Kit.ID), slog.Any("error", n.Reason))
		}
	})
	client := mqtt.NewClient(options)
	token := client.Connect()
	select {
	case <-token.Done():
		if err := token.Error(); err != nil {
			return nil, fmt.Errorf("connecting device %s to %s: %w", s.Kit.ID, s.Broker, err)
		}
		return client, nil
	case <-ctx.Done():
		client.Disconnect(0)
		return nil, ctx.Err()
	}
}
