package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trailmark/trailmark/chaincode/evidence"
)

type verifyCommand struct {
	Receipt string `arg:"" help:"The receipt's file." type:"existingfile"`
	Trust   string `help:"The keys pinned beforehand (trailmark trust export). Left out: trust.json beside the receipt, which is only as good as who put it there." type:"existingfile" placeholder:"FILE"`
	JSON    bool   `help:"Print one JSON object."`
}

// Help is shown by --help.
func (verifyCommand) Help() string {
	return `Examples:
  trailmark verify --trust trust.json alert.receipt
  trailmark verify alert.receipt          # for the demonstration: uses trust.json beside the receipt, and says so

Needs no network. Exit code 0: every check passed. 1: the receipt does not hold; the part that broke is named.`
}

// verdict is what verify prints with --json.
type verdict struct {
	Verified  bool             `json:"verified"`
	Receipt   string           `json:"receipt"`
	Trust     string           `json:"trust"`
	TrustNote string           `json:"trustNote,omitempty"`
	Broken    string           `json:"broken,omitempty"` // the part that does not hold
	Detail    string           `json:"detail,omitempty"`
	Report    *evidence.Report `json:"report,omitempty"`
}

// Run checks the receipt.
func (c *verifyCommand) Run(to console) error {
	v := verdict{Receipt: c.Receipt, Trust: c.Trust}
	if c.Trust == "" {
		v.Trust = filepath.Join(filepath.Dir(c.Receipt), "trust.json")
		v.TrustNote = "no --trust was given: the keys come from the file beside the receipt, so this shows that the receipt is whole, not that its keys are the organisations'"
	}
	pinned, err := os.ReadFile(v.Trust)
	if err != nil {
		return fmt.Errorf("reading pinned keys (export them with `trailmark trust export`, give them with --trust): %w", err)
	}
	trust, err := evidence.ParseTrust(pinned)
	if err != nil {
		return err
	}
	receipt, err := os.ReadFile(c.Receipt)
	if err != nil {
		return fmt.Errorf("reading receipt: %w", err)
	}
	var failed *evidence.VerifyError
	v.Report, err = evidence.Verify(receipt, trust)
	if errors.As(err, &failed) {
		v.Broken, v.Detail = failed.Part, failed.Detail
	} else if err != nil {
		return err
	}
	v.Verified = err == nil
	if c.JSON {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		to.print("%s", text)
	} else {
		v.print(to)
	}
	if !v.Verified {
		return exitError{code: 1}
	}
	return nil
}

func (v *verdict) print(to console) {
	if v.TrustNote != "" {
		to.print("Note: %s.\n", v.TrustNote)
	}
	if !v.Verified {
		to.print("✗ NOT VERIFIED: %s\n  broken part: %s\n  %s", v.Receipt, v.Broken, v.Detail)
		return
	}
	to.print("✓ VERIFIED: %s\n\n%s\n", v.Receipt, v.Report.Sentence)
	for _, check := range v.Report.Checks {
		to.print("  ✓ %s\n      proves: %s", check.What, check.Proves)
	}
	to.print("\nVouched for by %s. Keys pinned in %s.", strings.Join(v.Report.Organisations, ", "), v.Trust)
}
