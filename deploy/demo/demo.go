// Package demo runs the whole road on one machine: a Fabric network, a broker, a node for each organisation, simulated sensors or a
// replayed trace, and waits for what comes of it. It speaks to the nodes as anybody would: by their API.
package demo

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/clock"
	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/pki"
)

// Config of the demonstration.
type Config struct {
	Dir        string        `help:"Folder for everything the demonstration keeps." default:".trailmark" env:"TRAILMARK_DIR" type:"path"`
	Listen     string        `help:"Address of the page; if its port is taken, a free one." default:"127.0.0.1:8480" env:"TRAILMARK_LISTEN"`
	Orderers   int           `help:"Raft orderers: 1 or 3." default:"1"`
	UntilAlert bool          `help:"End when an alert of --alert-kind stands on the ledger and its receipt verifies. Without --keep the ledger is made in a temporary folder and deleted."`
	AlertKind  string        `help:"The kind of alert that --until-alert waits for." default:"spoilage-predicted" enum:"spoilage-predicted,band-excursion,excursion-forecast,anomaly"`
	Keep       bool          `help:"With --until-alert: use --dir, and leave the ledger there for later commands."`
	JSON       bool          `help:"With --until-alert: print one JSON object as the last line." name:"json"`
	Lead       time.Duration `help:"How long the simulated past takes." default:"80s"`
	Past       time.Duration `help:"How far in the past simulated time begins (a trace: as long as it is)." default:"36h"`

	Trace   string  `help:"Replay this logger's CSV as a shipment instead of simulating three." type:"existingfile" placeholder:"FILE"`
	Column  string  `help:"Column of the temperature (default: tempM, temperature, temp …, whichever is there)." placeholder:"NAME"`
	Time    string  `help:"Column of the time, in minutes or RFC 3339 (default: the first)." placeholder:"NAME"`
	Unit    string  `help:"Unit of the column: Cel or Fah." default:"Cel" enum:"Cel,Fah"`
	Profile string  `help:"Product profile of the traced goods." default:"milk-pasteurised"`
	Initial float64 `help:"Initial contamination of the traced goods, log10 CFU per mL." default:"2.4"`
}

// Result is what --until-alert prints; AlertID is nil where the trace ended without one.
type Result struct {
	AlertID        *string  `json:"alertId"`
	TxID           string   `json:"txId"`
	Block          int64    `json:"block"`
	Shipment       string   `json:"shipment"`
	Kind           string   `json:"kind"`
	Score          float64  `json:"score"`
	Model          string   `json:"model"`
	ModelHash      string   `json:"modelHash"`
	InputRoot      string   `json:"inputRoot"`
	Readings       int64    `json:"readings"`
	SimulatedTime  string   `json:"simulatedTime"`
	ElapsedSeconds float64  `json:"elapsedSeconds"`
	Receipt        string   `json:"receipt"`
	TraceMinute    *float64 `json:"traceMinute,omitempty"` // with a trace: the simulated clock when the alert stood on the ledger, in minutes of the trace
}

// ErrNoAlert says that the demonstration ended and no alert had come.
var ErrNoAlert = errors.New("the trace ended without an alert")

// Demo is a running demonstration.
type Demo struct {
	config  Config
	program string
	log     *slog.Logger
	say     func(format string, args ...any)

	clock   clock.Clock
	network *fabric.Network
	broker  string           // address
	nodes   map[string]*node // by organisation's name
	cast    cast
}

// Run runs the demonstration until ctx ends, or with UntilAlert until the alert. The result is nil without UntilAlert.
// program is the trailmark binary that the processes are started from.
func Run(ctx context.Context, config Config, program string, log *slog.Logger, say func(format string, args ...any)) (*Result, error) {
	d := &Demo{config: config, program: program, log: log, say: say}
	receipts, err := filepath.Abs(filepath.Join(config.Dir, "receipts"))
	if err != nil {
		return nil, err
	}
	if config.UntilAlert && !config.Keep {
		temporary, err := os.MkdirTemp("", "trailmark-demo-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(temporary)
		d.config.Dir = temporary
	}
	if err := d.start(ctx); err != nil {
		d.stop()
		return nil, err
	}
	defer d.stop()
	return d.play(ctx, receipts)
}

// play opens the shipments, lets the sensors speak, and waits.
func (d *Demo) play(ctx context.Context, receipts string) (*Result, error) {
	plan, err := d.plan()
	if err != nil {
		return nil, err
	}
	d.step("opening shipments and enrolling sensors")
	if err := d.prepare(ctx, plan); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.startClock(plan); err != nil {
		return nil, err
	}
	d.invite(plan)
	sensors, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- d.publish(sensors, plan) }()
	if !d.config.UntilAlert {
		go d.announce(ctx, plan)
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				return nil, err
			}
		case <-ctx.Done():
		}
		<-ctx.Done() // the page stays up when a trace has ended
		return nil, nil
	}
	found, err := d.await(ctx, plan, done)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return &Result{Shipment: plan.shipments[0].opening.ID, Kind: d.config.AlertKind, SimulatedTime: stamp(d.clock.Now()), ElapsedSeconds: time.Since(began).Seconds()}, ErrNoAlert
	}
	return d.result(ctx, plan, found, began, receipts)
}

// startClock lets simulated time begin, for the sensors and the nodes at once.
func (d *Demo) startClock(p *plan) error {
	d.clock = clock.Starting(time.Now(), p.start, d.config.Lead)
	return pki.WriteFile(d.clockFile(), []byte(d.clock.String()))
}

func (d *Demo) clockFile() string { return filepath.Join(d.config.Dir, "clock") }

func (d *Demo) step(format string, args ...any) { d.say("· "+format, args...) }

func stamp(t time.Time) string { return provenance.TimeOf(t).String() }
