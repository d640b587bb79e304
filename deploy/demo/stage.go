package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/devices"
	nodes "github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/pki"
	"github.com/trailmark/trailmark/deploy/simulate"
)

// prepare starts the nodes on this run's clock, enrols the sensors, opens the shipments and attaches the one to the other.
func (d *Demo) prepare(ctx context.Context, p *plan) error {
	if err := d.startNodes(ctx); err != nil {
		return err
	}
	carrier, manufacturer := d.cast.carrier, d.cast.manufacturer
	authority, err := pki.Load(carrier.CA.Cert, carrier.CA.Key)
	if err != nil {
		return err
	}
	var enrolments []provenance.Enrolment
	lane := uint32(0)
	for _, s := range p.shipments {
		for _, sensor := range s.sensors {
			kit, err := devices.Make(d.devicesDir(), sensor.device, carrier.MSPID, lane%lanesOfDemo, "Cel", authority)
			if err != nil {
				return err
			}
			lane++
			enrolment, err := kit.Enrolment("temperature", -40*provenance.MicroPerUnit, 85*provenance.MicroPerUnit, provenance.TimeOf(time.Now().AddDate(0, 9, 0)))
			if err != nil {
				return err
			}
			enrolments = append(enrolments, enrolment)
		}
	}
	carriers, err := nodes.Dial(filepath.Join(d.config.Dir, "net"), carrier.Name, d.log)
	if err != nil {
		return err
	}
	defer carriers.Client.Close()
	if _, err := carriers.Enrol(ctx, enrolments, nil); err != nil {
		return err
	}
	manufacturers, err := nodes.Dial(filepath.Join(d.config.Dir, "net"), manufacturer.Name, d.log)
	if err != nil {
		return err
	}
	defer manufacturers.Client.Close()
	for _, s := range p.shipments {
		if _, err := manufacturers.OpenShipment(ctx, s.opening); err != nil {
			return err
		}
		for _, sensor := range s.sensors {
			if _, err := manufacturers.Attach(ctx, provenance.AttachRequest{Shipment: s.opening.ID, Device: sensor.device, From: s.opening.Opened}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Demo) devicesDir() string { return filepath.Join(d.config.Dir, "devices") }

// invite tells where to look.
func (d *Demo) invite(p *plan) {
	m := d.nodes[d.cast.manufacturer.Name]
	d.say("")
	d.say("  Open  http://%s/#token=%s", m.address, url.QueryEscape(m.client.token))
	d.say("")
	d.say("  Simulated time began at %s and runs %.0f times as fast as the clock until it has caught up, in %s.", stamp(p.start), d.clock.Speed, d.config.Lead)
	d.say("  Ctrl-C ends everything; the ledger is kept in %s.", d.config.Dir)
	d.say("")
}

// publish lets all sensors of the run speak, and returns when their courses have ended and all they signed was acknowledged.
func (d *Demo) publish(ctx context.Context, p *plan) error {
	text, err := os.ReadFile(d.cast.carrier.CA.Cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range p.shipments {
		for _, one := range s.sensors {
			kit, err := devices.Load(filepath.Join(d.devicesDir(), one.device))
			if err != nil {
				return err
			}
			sensor := &simulate.Sensor{
				Kit: kit, Broker: "ssl://" + d.broker, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Clock: d.clock,
				PerFrame: one.perFrame, Log: d.log,
			}
			group.Go(func() error { return sensor.Run(ctx, one.course) })
		}
	}
	return group.Wait()
}

// await waits for an alert of the kind that is asked for; nil when a trace has ended, and been scored, without one.
func (d *Demo) await(ctx context.Context, p *plan, published <-chan error) (*alert, error) {
	m := d.nodes[d.cast.manufacturer.Name]
	ours := map[string]bool{}
	for _, s := range p.shipments {
		ours[s.opening.ID] = true
	}
	var ended time.Time
	for {
		for id := range ours {
			var page alertPage
			if err := m.client.get(ctx, "/api/v1/alerts?kind="+d.config.AlertKind+"&shipment="+url.QueryEscape(id), &page); err == nil && len(page.Items) > 0 {
				return &page.Items[0], nil
			}
		}
		if !ended.IsZero() && time.Since(ended) > scoringGrace {
			return nil, nil
		}
		select {
		case err := <-published:
			if err != nil {
				return nil, err
			}
			ended = time.Now()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// scoringGrace is how long the last readings of a trace are given to be recorded and scored.
const scoringGrace = 15 * time.Second

// result fetches the alert's receipt, checks it as anybody would, and keeps it with the keys that were pinned.
func (d *Demo) result(ctx context.Context, p *plan, a *alert, began time.Time, receipts string) (*Result, error) {
	now := d.clock.Now()
	seconds := time.Since(began).Seconds()
	d.step("alert after %.1f s: %s", seconds, a.Message)
	m := d.nodes[d.cast.manufacturer.Name]
	if err := os.MkdirAll(receipts, 0o755); err != nil {
		return nil, err
	}
	trust, err := m.client.fetch(ctx, "/api/v1/trust")
	if err != nil {
		return nil, err
	}
	receipt, err := d.awaitReceipt(ctx, m.client, a)
	if err != nil {
		return nil, err
	}
	pinned, err := evidence.ParseTrust(trust)
	if err != nil {
		return nil, err
	}
	if _, err := evidence.Verify(receipt, pinned); err != nil {
		return nil, fmt.Errorf("the alert's receipt does not verify: %w", err)
	}
	file := filepath.Join(receipts, a.Shipment+"-"+a.ID+".receipt")
	if err := errors.Join(os.WriteFile(filepath.Join(receipts, "trust.json"), trust, 0o644), os.WriteFile(file, receipt, 0o644)); err != nil {
		return nil, err
	}
	r := &Result{
		AlertID: &a.ID, TxID: a.Provenance.Transaction, Block: a.Provenance.Block, Shipment: a.Shipment, Kind: a.Kind, Score: a.Score, Model: a.ModelName + " " + a.ModelVersion,
		ModelHash: a.ModelHash, InputRoot: a.InputRoot, Readings: a.Readings, SimulatedTime: stamp(now), ElapsedSeconds: seconds, Receipt: file,
	}
	if !p.traceEnds.IsZero() {
		minute := now.Sub(p.start).Minutes()
		r.TraceMinute = &minute
	}
	return r, nil
}

// awaitReceipt waits until enough organisations have signed a checkpoint that holds the alert.
func (d *Demo) awaitReceipt(ctx context.Context, c *client, a *alert) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		receipt, err := c.fetch(ctx, "/api/v1/alerts/"+url.PathEscape(a.Shipment)+"/"+url.PathEscape(a.ID)+"/receipt")
		if err == nil {
			return receipt, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the alert's receipt: %w", err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// announce says on the terminal what the page shows: each alert of this run, once.
func (d *Demo) announce(ctx context.Context, p *plan) {
	m := d.nodes[d.cast.manufacturer.Name]
	said := map[string]bool{}
	for ctx.Err() == nil {
		for _, s := range p.shipments {
			var page alertPage
			if err := m.client.get(ctx, "/api/v1/alerts?shipment="+url.QueryEscape(s.opening.ID), &page); err != nil {
				continue
			}
			for _, a := range page.Items {
				if key := a.Shipment + "/" + a.ID; !said[key] {
					said[key] = true
					d.say("  ! %s  %s  (block %d)", a.Shipment, a.Message, a.Provenance.Block)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}
