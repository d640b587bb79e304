package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/simulate"
)

type replayCommand struct {
	File     string    `arg:"" help:"The logger's CSV." type:"existingfile"`
	Device   string    `help:"Folder of an enrolled sensor (trailmark device enrol): it signs the readings." required:"" type:"existingdir" placeholder:"DIR"`
	Broker   string    `help:"MQTT broker." default:"ssl://127.0.0.1:8883"`
	CA       string    `help:"CA certificates (PEM) that the broker is checked against." type:"existingfile" placeholder:"FILE"`
	Column   string    `help:"Column of the value (default: tempM, temperature, temp …, whichever is there)." placeholder:"NAME"`
	Time     string    `help:"Column of the time, in minutes or RFC 3339 (default: the first)." placeholder:"NAME"`
	Start    time.Time `help:"Acquisition time of the first row, RFC 3339 (default: so that the last row is now)." placeholder:"TIME"`
	PerFrame int       `help:"Readings in a frame." default:"60"`
}

// Help is shown by --help.
func (replayCommand) Help() string {
	return `Example:
  trailmark replay logger.csv --device .trailmark/devices/truck-7-front --ca carrier-ca.pem

The readings are published as fast as they are acknowledged, so they are marked as back-filled. For a replay at the pace of a simulated clock see trailmark demo --trace.`
}

// Run publishes the file.
func (c *replayCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	kit, err := devices.Load(c.Device)
	if err != nil {
		return fmt.Errorf("loading the sensor: %w", err)
	}
	readings, err := simulate.ReadTrace(c.File, simulate.TraceFormat{Column: c.Column, Time: c.Time, Step: time.Minute})
	if err != nil {
		return err
	}
	start := c.Start
	if start.IsZero() {
		start = time.Now().Add(-time.Duration(readings[len(readings)-1].Time) * time.Millisecond)
	}
	for i := range readings {
		readings[i].Time += provenance.TimeOf(start)
	}
	sensor := &simulate.Sensor{Kit: kit, Broker: c.Broker, Clock: clock.Clock{}, PerFrame: c.PerFrame, Log: log}
	if sensor.TLS, err = c.tls(); err != nil {
		return err
	}
	began := time.Now()
	if err := sensor.Run(ctx, simulate.Recorded(readings)); err != nil {
		return err
	}
	to.print("%d readings of %s published and acknowledged in %.1f s.", len(readings), kit.ID, time.Since(began).Seconds())
	return nil
}

func (c *replayCommand) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		return config, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", c.CA)
	}
	return config, nil
}
