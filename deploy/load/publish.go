package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/trailmark/trailmark/deploy/pki"
)

// Publisher publishes in the name of a whole organisation, over several connections.
type Publisher struct {
	clients []mqtt.Client
}

// Connect opens connections to a broker as so many ingest instances of the organisation, which may publish for all its devices.
// The broker is checked against roots; certificates are issued into dir.
func Connect(broker string, roots *x509.CertPool, authority *pki.Authority, dir, organisation string, connections int) (*Publisher, error) {
	p := &Publisher{}
	for i := range connections {
		name := fmt.Sprintf("load-%d", i)
		pair, err := authority.ClientPair(dir, name, organisation, "ingest")
		if err != nil {
			return nil, err
		}
		certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			return nil, err
		}
		options := mqtt.NewClientOptions().AddBroker(broker).SetClientID("tm-ingest-" + organisation + "/" + name).SetCleanSession(true).SetProtocolVersion(4).
			SetTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}).
			SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond).SetMaxReconnectInterval(time.Second).SetOrderMatters(false).
			SetConnectTimeout(5 * time.Second).SetWriteTimeout(10 * time.Second).SetMaxResumePubInFlight(1000)
		client := mqtt.NewClient(options)
		if token := client.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
			return nil, errors.Join(fmt.Errorf("connecting the publisher to %s", broker), token.Error())
		}
		p.clients = append(p.clients, client)
	}
	return p, nil
}

// Close ends the connections.
func (p *Publisher) Close() {
	for _, c := range p.clients {
		c.Disconnect(100)
	}
}

// Publish sends the messages, at most inFlight of them unacknowledged on each connection, and calls acknowledged for each that the
// broker has acknowledged (concurrently). A rate above 0 paces it, in messages a second. It returns when all are acknowledged, or with
// ctx's error. The messages of a device all take one connection, so they stay in order.
func (p *Publisher) Publish(ctx context.Context, messages []Message, inFlight int, rate float64, acknowledged func(i int)) error {
	began := time.Now()
	shares := make([][]int, len(p.clients))
	for i := range messages {
		c := connectionOf(messages[i].Topic, len(p.clients))
		shares[c] = append(shares[c], i)
	}
	var group sync.WaitGroup
	errs := make([]error, len(p.clients))
	for c, client := range p.clients {
		group.Go(func() { errs[c] = publishShare(ctx, client, messages, shares[c], inFlight, began, rate, acknowledged) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// publishShare sends one connection's messages; tokens are settled in the order of their messages, which is that of acknowledgement.
func publishShare(ctx context.Context, client mqtt.Client, messages []Message, share []int, inFlight int, began time.Time, rate float64, acknowledged func(int)) error {
	type sent struct {
		i     int
		token mqtt.Token
	}
	window := make(chan sent, inFlight)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		for s := range window {
			select {
			case <-s.token.Done():
				if s.token.Error() == nil {
					acknowledged(s.i)
				}
			case <-ctx.Done():
			}
		}
	}()
	defer func() {
		close(window)
		<-settled
	}()
	for _, i := range share {
		if rate > 0 {
			if d := time.Until(began.Add(time.Duration(float64(i) / rate * float64(time.Second)))); d > 0 {
				select {
				case <-time.After(d):
				case <-ctx.Done():
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case window <- sent{i, client.Publish(messages[i].Topic, 1, false, messages[i].Body)}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func connectionOf(topic string, connections int) int {
	sum := uint32(2166136261)
	for i := range len(topic) {
		sum = (sum ^ uint32(topic[i])) * 16777619
	}
	return int(sum % uint32(connections))
}
