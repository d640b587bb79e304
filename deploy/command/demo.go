package command

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"

	"github.com/trailmark/trailmark/deploy/demo"
)

type demoCommand struct {
	demo.Config
}

// Help is shown by --help.
func (demoCommand) Help() string {
	return `Examples:
  trailmark demo                                  # three shipments, one goes bad; open the link it prints
  trailmark demo --trace milk.csv                 # replay a logger's trace through the same road
  trailmark demo --until-alert --json             # ends by itself; the last line is one JSON object
  trailmark demo --until-alert --json --keep      # the same, and leaves the ledger for later commands

Needs Go and gcc the first time, to build Fabric from source (about a minute, cached). Exit code 3: a trace ended without an alert.`
}

// Run runs the demonstration.
func (c *demoCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := demo.Run(ctx, c.Config, self, log, to.say)
	if result != nil {
		if c.JSON {
			text, err := json.Marshal(result)
			if err != nil {
				return err
			}
			to.print("%s", text)
		} else if result.AlertID != nil {
			to.print("Alert %s of shipment %s stands in block %d.\nCheck it:  trailmark verify %s", *result.AlertID, result.Shipment, result.Block, result.Receipt)
		}
	}
	if errors.Is(err, demo.ErrNoAlert) {
		return exitError{3, err}
	}
	return err
}
