package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/node"
	"github.com/trailmark/trailmark/deploy/pki"
)

type deviceCommand struct {
	Enrol deviceEnrolCommand `cmd:"" help:"Enrol sensors on the ledger, with keys and MQTT certificates."`
	List  deviceListCommand  `cmd:"" help:"List the sensors on the ledger."`

	Labels deviceLabelsCommand `cmd:"" help:"Make a sheet of QR labels for sensors."`
}

type deviceEnrolCommand struct {
	ID  []string `arg:"" optional:"" help:"Identifiers of the sensors."`
	CSV string   `name:"csv" help:"Fleet file: a header line, then id and any of quantity, unit, min, max, calibration_due, lane, attestation, public_key (COSE key in base64: the sensor keeps its own private key)." type:"existingfile" placeholder:"FILE"`

	Org            string    `help:"Organisation that owns the sensors." default:"carrier" placeholder:"NAME"`
	Net            string    `help:"Folder of the network." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	Dir            string    `help:"Folder for the sensors' keys and certificates." default:".trailmark/devices" type:"path"`
	Quantity       string    `help:"What they measure." default:"temperature"`
	Unit           string    `help:"SenML unit." default:"Cel"`
	Min            float64   `help:"Lowest value they measure." default:"-40"`
	Max            float64   `help:"Highest value they measure." default:"85"`
	CalibrationDue time.Time `help:"When the calibration is due, such as 2027-06-30 (default: in a year)." format:"2006-01-02" placeholder:"DATE"`
	Attestation    string    `help:"Who signs their readings: the sensor itself, or an edge for a sensor that cannot (trailmark edge)." default:"sensor" enum:"sensor,edge"`
	Lanes          uint32    `help:"Lanes to spread them over, as many as ingest has." default:"8"`
}

// Help is shown by --help.
func (deviceEnrolCommand) Help() string {
	return `Examples:
  trailmark device enrol truck-7-front truck-7-rear --calibration-due 2027-06-30
  trailmark device enrol --csv fleet.csv --org carrier
  trailmark device enrol --csv plain.csv --attestation edge

Safe to run again: what is enrolled just so is passed over, and what was interrupted goes on.`
}

// Run enrols.
func (c *deviceEnrolCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	fleet, err := c.fleet()
	if err != nil {
		return err
	}
	profile, err := fabric.LoadProfile(c.Net)
	if err != nil {
		return err
	}
	owner, err := profile.Organisation(c.Org)
	if err != nil {
		return err
	}
	authority, err := pki.Load(owner.CA.Cert, owner.CA.Key)
	if err != nil {
		return err
	}
	bar := progressbar.NewOptions(2*len(fleet), progressbar.OptionSetWriter(to.err), progressbar.OptionSetDescription("enrolling"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	enrolments, err := devices.Provision(ctx, fleet, c.Dir, owner.MSPID, authority, func(done int) { _ = bar.Set(done) })
	if err != nil {
		return err
	}
	contracts, err := node.Dial(c.Net, c.Org, log)
	if err != nil {
		return err
	}
	defer contracts.Client.Close()
	result, err := contracts.Enrol(ctx, enrolments, func(done int) { _ = bar.Set(len(fleet) + done) })
	_ = bar.Finish()
	if err != nil {
		return err
	}
	to.print("%d enrolled, %d stood on the ledger already. Keys and certificates are in %s.", result.Enrolled, result.Unchanged, c.Dir)
	return nil
}

// fleet lists the sensors to enrol: those named, or those of the CSV.
func (c *deviceEnrolCommand) fleet() ([]devices.Entry, error) {
	due := c.CalibrationDue
	if due.IsZero() {
		due = time.Now().AddDate(1, 0, 0)
	}
	attestation, err := devices.ParseAttestation(c.Attestation)
	if err != nil {
		return nil, err
	}
	usual := devices.Entry{
		Attestation: attestation, DueAssumed: c.CalibrationDue.IsZero(),
		Quantity: c.Quantity, Unit: c.Unit, Min: provenance.Micro(c.Min * provenance.MicroPerUnit), Max: provenance.Micro(c.Max * provenance.MicroPerUnit),
		CalibrationDue: provenance.TimeOf(due.Truncate(24 * time.Hour)),
	}
	if (c.CSV == "") == (len(c.ID) == 0) {
		return nil, exitError{2, errors.New("name sensors, or give a fleet file with --csv")}
	}
	if c.CSV != "" {
		return devices.ReadFleet(c.CSV, usual, c.Lanes)
	}
	var fleet []devices.Entry
	for _, id := range c.ID {
		entry := usual
		entry.ID, entry.Lane = id, devices.LaneOf(id, c.Lanes)
		fleet = append(fleet, entry)
	}
	return fleet, nil
}

type deviceListCommand struct {
	Org  string `help:"Organisation to ask as." default:"carrier" placeholder:"NAME"`
	Net  string `help:"Folder of the network." default:".trailmark/net" env:"TRAILMARK_NET_DIR" type:"path"`
	JSON bool   `help:"Print one JSON object a line."`
}

// Run lists.
func (c *deviceListCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	contracts, err := node.Dial(c.Net, c.Org, log)
	if err != nil {
		return err
	}
	defer contracts.Client.Close()
	all, err := contracts.Devices(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		to.say("No sensors are enrolled. Enrol one with: trailmark device enrol truck-7-front")
	}
	if !c.JSON && len(all) > 0 {
		to.print("%-36s %-16s %-12s %-6s %-20s %-10s %-9s %5s %4s  %s", "SENSOR", "OWNER", "QUANTITY", "UNIT", "RANGE", "STATUS", "SIGNED BY", "EPOCH", "LANE", "CALIBRATION DUE")
	}
	for _, d := range all {
		if c.JSON {
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			to.print("%s", text)
			continue
		}
		to.print("%-36s %-16s %-12s %-6s %-20s %-10s %-9s %5d %4d  %s", d.ID, d.Organisation, d.Quantity, d.Unit, fmt.Sprintf("%s … %s", d.Min, d.Max), d.Status, d.Attestation, d.Epoch, d.Lane, d.CalibrationDue.Time().Format(time.DateOnly))
	}
	return nil
}
