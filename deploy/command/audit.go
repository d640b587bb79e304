package command

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/deploy/audit"
)

type auditCommand struct {
	Alert string `arg:"" help:"The alert: SHIPMENT/ALERT, or ALERT where only one shipment has one of that name."`
	As    string `help:"Organisation to ask as, by name; its peer is read." default:"regulator" placeholder:"NAME"`
	Net   string `help:"Folder of the network." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	Model string `help:"File of the model that scored (default: the one that comes with the program)." type:"existingfile" placeholder:"FILE"`
	JSON  bool   `help:"Print one JSON object."`
}

// Help is shown by --help.
func (auditCommand) Help() string {
	return `Examples:
  trailmark audit SHP-7/spoilage-predicted-20261121T192000Z
  trailmark audit spoilage-predicted-20261121T192000Z --net demo/net --as carrier

Reads the blocks of a peer, not of any node's read model, and follows the alert to its model and training data, and to the batches, frames, devices and organisations of every reading that was scored; checks each signature and hash on the way; computes the score anew and compares bits. Where the network is down, the organisation's peer is started for as long as it takes.

Exit code 0: all holds. 1: a step differs; it is named.`
}

// Run audits the alert.
func (c *auditCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	model, err := service.LoadModel(c.Model)
	if err != nil {
		return err
	}
	peer, err := audit.OpenPeer(ctx, c.Net, c.As, log, to.step)
	if err != nil {
		return err
	}
	defer peer.Close()
	to.step("reading the ledger and computing the score anew")
	report, err := audit.Run(ctx, peer, audit.Request{
		Alert: c.Alert, Model: model, Channel: peer.Channel(), Chaincode: peer.Chaincode(), Height: peer.Height,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		to.print("%s", text)
	} else {
		printAudit(to, report)
	}
	if !report.Holds {
		return exitError{code: 1}
	}
	return nil
}

func printAudit(to console, r *audit.Report) {
	to.print("Audit of alert %s of shipment %s\n", r.Alert, r.Shipment)
	for _, s := range r.Steps {
		mark := "✓"
		if !s.Holds {
			mark = "✗"
		}
		to.print("  %s %s: %s", mark, s.Step, s.Found)
		if s.Proves != "" {
			to.print("      proves: %s", s.Proves)
		}
	}
	if r.Holds {
		to.print("\n✓ HOLDS: every step from the alert to the sensors is as the ledger says, and the score came out the same to the bit.")
	} else {
		to.print("\n✗ DIFFERS at: %s", r.Differs)
	}
}
