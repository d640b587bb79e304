package command

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"

	"github.com/trailmark/trailmark/deploy/bench"
)

type benchCommand struct {
	Run       benchRunCommand       `cmd:"" default:"withargs" help:"Measure the road on a network of its own."`
	Chaincode benchChaincodeCommand `cmd:"" hidden:"" help:"Serve the comparison's chaincode to a peer (started by bench)."`
}

type benchRunCommand struct {
	bench.Config
}

// Help is shown by --help.
func (benchRunCommand) Help() string {
	return `Examples:
  trailmark bench                    # everything, in about a quarter of an hour; nothing else should run on this machine
  trailmark bench --json | tail -1 | jq .ratios
  trailmark bench --short            # a minute or two: that it works, not how fast

Measures a straightforward Fabric application, our road with one and with sixty readings a frame, and the limit that the unavoidable parts set, in one run. Targets that are missed are shown as missed. Exit code 1: what was published, committed and projected is not the same.`
}

// Run runs the benchmark.
func (c *benchRunCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := bench.Run(ctx, c.Config, self, log, to.say)
	if result == nil {
		return err
	}
	if !c.JSON {
		result.Table(to.out)
		return err
	}
	result.Table(to.err)
	text, failed := json.Marshal(result)
	if failed != nil {
		return failed
	}
	to.print("%s", text)
	return err
}

type benchChaincodeCommand struct {
	bench.Server
}

// Run serves until the program is told to stop.
func (c *benchChaincodeCommand) Run(ctx context.Context) error { return bench.Serve(ctx, c.Server) }
