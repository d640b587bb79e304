package command

import (
	"context"
	"log/slog"

	"github.com/trailmark/trailmark/chaincode/contract"
)

type chaincodeCommand struct {
	contract.Config
}

// Help is shown by --help.
func (chaincodeCommand) Help() string {
	return "Serves Trailmark's contracts to one peer as chaincode as a service, over mutual TLS. `trailmark net up` and `trailmark demo` start one for each endorsing organisation."
}

// Run serves until the program is told to stop.
func (c *chaincodeCommand) Run(ctx context.Context, log *slog.Logger) error {
	c.Log = log
	return contract.Serve(ctx, c.Config)
}
