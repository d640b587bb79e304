package command

import (
	"fmt"
	"os"

	"github.com/trailmark/trailmark/deploy/devices"
)

type deviceLabelsCommand struct {
	CSV    string `name:"csv" help:"Fleet file: label its sensors, in its order (default: every sensor in the folder)." type:"existingfile" placeholder:"FILE"`
	Dir    string `help:"Folder of the sensors' keys and certificates." default:".trailmark/devices" type:"existingdir"`
	Output string `short:"o" help:"PDF to write." default:"labels.pdf" type:"path"`
}

// Help is shown by --help.
func (deviceLabelsCommand) Help() string {
	return `Example:
  trailmark device labels --csv fleet.csv -o labels.pdf

A4 sheets of 3 by 8 labels, 70 x 37 mm each. The QR code holds owner, name, lane and the SHA-256 fingerprint of the sensor's key.`
}

// Run writes the sheet.
func (c *deviceLabelsCommand) Run(to console) error {
	var ids []string
	if c.CSV != "" {
		// The folder says the rest; what a fleet file must have beside names is of no concern here.
		fleet, err := devices.ReadFleet(c.CSV, devices.Entry{Quantity: "any", Unit: "any", Max: 1, CalibrationDue: 1}, 1024)
		if err != nil {
			return err
		}
		ids = make([]string, len(fleet))
		for i := range fleet {
			ids[i] = fleet[i].ID
		}
	}
	cards, err := devices.ReadCards(c.Dir, ids)
	if err != nil {
		return err
	}
	if len(cards) == 0 {
		return fmt.Errorf("no sensors in %s; enrol some with: trailmark device enrol --csv fleet.csv", c.Dir)
	}
	file, err := os.Create(c.Output)
	if err != nil {
		return err
	}
	if err := devices.WriteLabels(file, cards); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", c.Output, err)
	}
	to.print("%d labels are in %s.", len(cards), c.Output)
	return nil
}
