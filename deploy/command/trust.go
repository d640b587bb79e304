package command

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/deploy/node"
)

type trustCommand struct {
	Export trustExportCommand `cmd:"" help:"Write the organisations' log keys, as the ledger has them, to a trust file."`
}

type trustExportCommand struct {
	As     string `help:"Organisation to ask as, by name." default:"regulator" placeholder:"NAME"`
	Net    string `help:"Folder of the network." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	Quorum int    `help:"How many organisations must vouch (default: more than half)."`
	Out    string `short:"o" help:"File to write (default: standard output)." type:"path" placeholder:"FILE"`
}

// Help is shown by --help.
func (trustExportCommand) Help() string {
	return `Example:
  trailmark trust export -o trust.json

Compare the keys with the organisations by another way (telephone, letterhead) before you pin them: whoever controls this file controls what verifies.`
}

// Run writes the trust file.
func (c *trustExportCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	contracts, err := node.Dial(c.Net, c.As, log)
	if err != nil {
		return err
	}
	defer contracts.Client.Close()
	organisations, err := contracts.Organisations(ctx)
	if err != nil {
		return err
	}
	trust := evidence.Trust{Version: 1, Channel: contracts.Client.Channel(), Quorum: c.Quorum}
	for _, o := range organisations {
		trust.Organisations = append(trust.Organisations, evidence.PinnedOrganisation{MSPID: o.ID, Name: o.Name, LogKey: o.LogKey})
	}
	if trust.Quorum == 0 {
		trust.Quorum = len(organisations)/2 + 1
	}
	text, err := json.MarshalIndent(trust, "", "  ")
	if err != nil {
		return err
	}
	if _, err := evidence.ParseTrust(text); err != nil {
		return fmt.Errorf("what the ledger says makes no trust file: %w", err)
	}
	if c.Out == "" {
		to.print("%s", text)
		return nil
	}
	to.say("%d organisations, %d of which must vouch, written to %s. Compare the keys with their owners before you rely on them.", len(organisations), trust.Quorum, c.Out)
	return os.WriteFile(c.Out, append(text, '\n'), 0o644)
}
