package command

import (
	"fmt"
	"os"

	"github.com/trailmark/trailmark/chaincode/epcis"
)

type epcisCommand struct {
	Validate epcisValidateCommand `cmd:"" help:"Check EPCIS 2.0 files against the standard; names the place and the rule of each fault."`
	Hash     epcisHashCommand     `cmd:"" help:"Print the CBV event hash ID of every event, one a line, in document order."`
}

type epcisValidateCommand struct {
	File []string `arg:"" help:"JSON-LD or XML: event documents, query documents, single events." type:"existingfile"`
}

// Run checks the files; the exit code is 1 if one does not hold.
func (c *epcisValidateCommand) Run(to console) error {
	faults := 0
	for _, file := range c.File {
		document, err := readEpcis(file)
		if err != nil {
			to.print("%s: %v", file, err)
			faults++
			continue
		}
		problems := epcis.Validate(document)
		for _, p := range problems {
			to.print("%s: %s", file, p)
		}
		faults += len(problems)
		if len(problems) == 0 {
			to.print("%s: valid, %d events", file, len(document.Events))
		}
	}
	if faults > 0 {
		return exitError{code: 1}
	}
	return nil
}

type epcisHashCommand struct {
	File []string      `arg:"" help:"JSON-LD or XML: event documents, query documents, single events." type:"existingfile"`
	CBV  epcis.Version `name:"cbv" help:"Rules of CBV2.0 or CBV2.1." default:"CBV2.0" enum:"CBV2.0,CBV2.1"`
}

// Run prints the hashes.
func (c *epcisHashCommand) Run(to console) error {
	for _, file := range c.File {
		document, err := readEpcis(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for i, event := range document.Events {
			id, err := event.HashID(c.CBV)
			if err != nil {
				return fmt.Errorf("%s, event %d: %w", file, i+1, err)
			}
			to.print("%s", id)
		}
	}
	return nil
}

func readEpcis(file string) (*epcis.Document, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > epcis.MaxDocumentBytes {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", info.Size(), epcis.MaxDocumentBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return epcis.Parse(data)
}
