package command

import (
	"context"
	"log/slog"

	"github.com/trailmark/trailmark/deploy/node"
)

type nodeCommand struct {
	node.Config
}

// Help is shown by --help.
func (nodeCommand) Help() string {
	return `Examples:
  trailmark node --org manufacturer --roles gateway,analytics --dir nodes/manufacturer
  trailmark node --org carrier --dir nodes/carrier --ingest-instance ingest-1 --ingest-broker ssl://broker:8883 …

Roles: ingest takes readings from MQTT to the ledger; gateway projects the ledger, signs checkpoints and serves API and page; analytics scores. An organisation can run them in one process or in several.`
}

// Run runs the node until the program is told to stop.
func (c *nodeCommand) Run(ctx context.Context, log *slog.Logger) error {
	c.Version = version()
	return node.Run(ctx, c.Config, log)
}
