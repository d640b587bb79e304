// Package command is the command line of Trailmark: one struct a subcommand, whose fields are its flags, environment variables and
// file settings at once. It joins the rooms that never import each other.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Root is the command line: what stands here holds for every subcommand.
type Root struct {
	Config   kong.ConfigFlag  `help:"JSON file of settings, named like the flags with _ for -; a flag or an environment variable goes before it." env:"TRAILMARK_CONFIG" placeholder:"FILE"`
	LogLevel slog.Level       `help:"Least level of the log on standard error: debug, info, warn, error." default:"info" env:"TRAILMARK_LOG_LEVEL"`
	LogJSON  bool             `help:"Log as JSON lines." env:"TRAILMARK_LOG_JSON"`
	Version  kong.VersionFlag `help:"Show the version."`

	Demo      demoCommand      `cmd:"" help:"Run the whole road on this machine: a Fabric network, a broker, a node for each organisation, sensors, and the page."`
	Net       netCommand       `cmd:"" help:"A Hyperledger Fabric network as plain processes: up, down, status, reset."`
	Node      nodeCommand      `cmd:"" help:"Run an organisation's node, or one of its parts."`
	Broker    brokerCommand    `cmd:"" help:"Run the MQTT broker (an embedded NATS server)."`
	Chaincode chaincodeCommand `cmd:"" help:"Serve the contracts to a peer (chaincode as a service); started by net and demo."`
	Device    deviceCommand    `cmd:"" help:"Sensors on the ledger: enrol, list."`
	Replay    replayCommand    `cmd:"" help:"Send a logger's CSV through the road as signed frames."`
	Train     trainCommand     `cmd:"" help:"Train the anomaly model on generated normal transport, and write it to a file."`
	Trust     trustCommand     `cmd:"" help:"The organisations' keys that a verifier pins."`
	Audit     auditCommand     `cmd:"" help:"Compute an alert anew from the ledger alone: readings, signatures, devices, model, score."`
	Verify    verifyCommand    `cmd:"" help:"Check a receipt without a network."`
	Epcis     epcisCommand     `cmd:"" help:"EPCIS 2.0 files: validate, hash."`
	Eval      evalCommand      `cmd:"" help:"Run a public benchmark against our models: nab, skab, milk."`
	Edge      edgeCommand      `cmd:"" help:"Sign for sensors that cannot: plain SenML and Sparkplug B in, signed frames out."`
	Bench     benchCommand     `cmd:"" help:"Measure the road against a plain Fabric application and against its limit."`
	Faults    faultsCommand    `cmd:"" help:"Break everything under load at random, and audit that nothing was lost, doubled or altered."`

	Supervise superviseCommand `cmd:"" hidden:"" help:"Keep the processes of a network running (started by net up)."`
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// console is where a command writes: results to out, everything else to err.
type console struct{ out, err io.Writer }

func (c console) say(format string, args ...any)   { fmt.Fprintf(c.err, format+"\n", args...) }
func (c console) print(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

const description = `Supply-chain traceability with anomaly detection: signed readings on a Hyperledger Fabric ledger, scored, with proofs that need no trust in us.

Start with:
  trailmark demo                     # everything, on this machine; Ctrl-C ends it
  trailmark demo --until-alert       # ends by itself when an alert stands on the ledger
  trailmark verify alert.receipt     # check a receipt without a network

Exit codes: 0 done; 1 it failed, or what was checked does not hold; 2 wrong usage; 3 the demonstration ended without an alert.`

// Run runs the command line and returns the exit code.
func Run(args []string, stdout, stderr io.Writer) int {
	var root Root
	parser, err := kong.New(&root, kong.Name("trailmark"), kong.Description(description), kong.UsageOnError(), kong.Writers(stdout, stderr),
		kong.Configuration(settings, "trailmark.json", "~/.config/trailmark/config.json"), kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}), kong.Exit(func(code int) { panic(exitError{code: code}) }))
	if err != nil {
		fmt.Fprintln(stderr, "trailmark:", err)
		return 2
	}
	code, parsed := parse(parser, args, stderr)
	if parsed == nil {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	handler := slog.Handler(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: root.LogLevel}))
	if root.LogJSON {
		handler = slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: root.LogLevel})
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(slog.New(handler), console{stdout, stderr})
	return exitCode(parsed.Run(), stderr)
}

// settings reads a file of settings, which an environment variable goes before; kong alone would have it the other way round.
func settings(r io.Reader) (kong.Resolver, error) {
	file, err := kong.JSON(r)
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	return kong.ResolverFunc(func(k *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				return nil, nil
			}
		}
		return file.Resolve(k, parent, flag)
	}), nil
}

// parse returns a nil context where the program is to end at once, after --help for example.
func parse(parser *kong.Kong, args []string, stderr io.Writer) (code int, parsed *kong.Context) {
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(exitError)
			if !ok {
				panic(r)
			}
			code, parsed = exit.code, nil
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(stderr, "trailmark:", err)
		fmt.Fprintln(stderr, "Try --help.")
		return 2, nil
	}
	return 0, parsed
}

func exitCode(err error, stderr io.Writer) int {
	var exit exitError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(stderr, "trailmark:", exit.err)
		}
		return exit.code
	}
	fmt.Fprintln(stderr, "trailmark:", err)
	return 1
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}
