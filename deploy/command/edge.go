package command

import (
	"context"
	"log/slog"

	"github.com/trailmark/trailmark/deploy/edge"
)

type edgeCommand struct {
	edge.Config
}

// Help is shown by --help.
func (edgeCommand) Help() string {
	return `Examples:
  trailmark device enrol --csv fleet.csv --attestation edge
  trailmark edge --mapping mapping.yaml --dir edge --source tcp://plant-broker:1883 --broker ssl://127.0.0.1:8883 --ca broker-ca.pem

Signs for sensors that cannot: plain SenML (JSON or CBOR, RFC 8428) and Sparkplug B. Such readings are shown as attested by the edge.

A mapping file:
  version: 1
  rules:
  - {device: cold-1-front, unit: Cel, from: degF, senml: {topic: "plant/+/data", name: "urn:dev:ow:10e2073a01080063:temp"}}
  - {device: truck-7-front, unit: Cel, from: degF, sparkplug: {group: plant, edge: gw1, device: truck7, metric: Temperature/Front}}
  - {device: tank-3, unit: Cel, scale: "0.0625", offset: "-40", sparkplug: {group: plant, edge: gw1, metric: Raw}}

What cannot be used is in quarantine.ndjson in the edge's folder, with the reason.`
}

// Run runs the edge until the program is told to stop.
func (c *edgeCommand) Run(ctx context.Context, log *slog.Logger) error {
	return edge.Run(ctx, c.Config, log)
}
