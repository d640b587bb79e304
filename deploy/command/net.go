package command

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/trailmark/trailmark/deploy/contracts"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/supervise"
)

type netCommand struct {
	Up     netUpCommand     `cmd:"" help:"Start the network and put the contracts on it; what runs already is left alone."`
	Down   netDownCommand   `cmd:"" help:"Stop its processes; the ledger is kept."`
	Status netStatusCommand `cmd:"" help:"Show its processes, the leading orderer and the height of every peer."`
	Reset  netResetCommand  `cmd:"" help:"Stop it and delete its ledger, keys and logs."`
}

type netUpCommand struct {
	fabric.Config
}

// Help is shown by --help.
func (netUpCommand) Help() string {
	return `Examples:
  trailmark net up                          # three organisations, one orderer
  trailmark net up --orderers 3 --dir /srv/trailmark/net
  trailmark net up --organisations five.yaml

Builds Fabric's programs from source the first time (about a minute) and keeps them. The network goes on running when the command ends; state is kept in --dir.`
}

// Run starts the network in the background.
func (c *netUpCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	began := time.Now()
	if err := fabric.Build(ctx, c.Config, to.step); err != nil {
		return err
	}
	built := time.Now()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	network, err := fabric.Up(ctx, c.Config, fabric.Options{Log: log, Progress: to.step, Supervisor: []string{self, "supervise", c.Dir}})
	if err != nil {
		return err
	}
	defer network.Close()
	to.step("putting the contracts on the channel")
	if err := contracts.Deploy(ctx, network, self); err != nil {
		return err
	}
	to.say("Ready in %.1f s (programs built in %.1f s).", time.Since(built).Seconds(), built.Sub(began).Seconds())
	return printStatus(ctx, to, c.Dir, false)
}

func (c console) step(what string) { c.say("· %s", what) }

// dirOfNet names a network by its folder.
type dirOfNet struct {
	Dir string `help:"Folder that holds the network." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
}

type netDownCommand struct{ dirOfNet }

// Run stops the network.
func (c *netDownCommand) Run(ctx context.Context) error { return fabric.Down(ctx, c.Dir) }

type netResetCommand struct{ dirOfNet }

// Run wipes the network.
func (c *netResetCommand) Run(ctx context.Context, to console) error {
	if err := fabric.Reset(ctx, c.Dir); err != nil {
		return err
	}
	to.say("%s is gone. Nodes that followed this network must be reset too: their read models are of a ledger that is no more.", c.Dir)
	return nil
}

type netStatusCommand struct {
	dirOfNet
	JSON bool `help:"Print one JSON object."`
}

// Run shows the network.
func (c *netStatusCommand) Run(ctx context.Context, to console) error {
	return printStatus(ctx, to, c.Dir, c.JSON)
}

func printStatus(ctx context.Context, to console, dir string, asJSON bool) error {
	status, err := fabric.ReadStatus(ctx, dir)
	if err != nil {
		return err
	}
	if asJSON {
		text, err := json.Marshal(status)
		to.print("%s", text)
		return err
	}
	state := "down; start it with `trailmark net up`"
	if status.Supervisor != 0 {
		state = fmt.Sprintf("up, kept running by process %d; leading orderer %s", status.Supervisor, status.Leader)
	}
	to.print("Network in %s, channel %s: %s", status.Dir, status.Channel, state)
	for _, p := range status.Processes {
		height := ""
		if h, ok := status.Heights[p.Name]; ok {
			height = fmt.Sprintf("%d blocks", h)
		}
		to.print("  %-40s %-8s %7d  %s", p.Name, p.State, p.PID, strings.TrimSpace(height+" "+p.LastExit))
	}
	return nil
}

type superviseCommand struct {
	Dir string `arg:"" type:"path"`
}

// Run keeps a network's processes running until it is told to stop.
func (c *superviseCommand) Run(ctx context.Context, log *slog.Logger) error {
	return supervise.Open(fabric.ProcessDir(c.Dir)).Run(ctx, log)
}
