package command

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/trailmark/trailmark/deploy/fabric"
	"github.com/trailmark/trailmark/deploy/faults"
)

type faultsCommand struct {
	faults.Config
}

// Help is shown by --help.
func (faultsCommand) Help() string {
	return `Examples:
  trailmark faults --seed 7            # 24 faults, about ten minutes
  trailmark faults --seed 7 --short    # 7 faults, for CI
  trailmark faults --faults 200        # a night's worth

Kills, cuts off, fills, stops and overloads a running Trailmark at random moments, then compares every frame that a publisher got a PUBACK for with the ledger, the log and the read models. The last line is the verdict; the exit code is 1 unless it is "lost 0, duplicated 0, altered 0" and nothing else failed.

It runs in network and mount namespaces of its own (as root, or where users may make namespaces); without them peers are stopped instead of cut off, and no disk is filled.`
}

// Run makes the run, in namespaces of its own where that is possible.
func (c *faultsCommand) Run(ctx context.Context, to console, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// Fabric is built from outside: inside there is no network to fetch it from.
	if err := fabric.Build(ctx, fabric.Config{}, func(step string) { to.say("· %s", step) }); err != nil {
		return err
	}
	code, entered, reason := faults.Enter(ctx, self, os.Args[1:])
	switch {
	case entered && code != 0:
		return exitError{code: code}
	case entered:
		return nil
	case reason != "":
		to.say("! not in namespaces of our own: %s", reason)
	}
	result, err := faults.Run(ctx, c.Config, self, log, func(format string, args ...any) { to.say("· "+format, args...) })
	if errors.Is(err, context.Canceled) {
		return exitError{1, errors.New("interrupted: nothing was audited")}
	}
	if err != nil {
		return err
	}
	return c.report(to, result)
}

func (c *faultsCommand) report(to console, r *faults.Result) error {
	if c.JSON {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		to.print("%s", text)
	} else {
		printFaults(to, r)
		to.print("%s", r.Verdict)
	}
	if !r.Passed {
		return exitError{1, nil}
	}
	return nil
}

func printFaults(to console, r *faults.Result) {
	to.print("%d faults, seed %d, %.0f s; peers are cut off by: %s", len(r.Faults), r.Seed, r.Seconds, r.Cut)
	to.print("%-27s %-32s %9s %9s  %s", "fault", "victim", "recorded", "queryable", "what was done")
	for _, h := range r.Faults {
		to.print("%-27s %-32s %7.1f s %7.1f s  %s", h.Kind, h.Victim, h.Committed, h.Queryable, h.Detail)
		const most, width = 4, 130 // all of it is in the JSON
		for _, reason := range h.Unready[:min(most, len(h.Unready))] {
			to.print("%27s not ready: %.*s", "", width, reason)
		}
		if n := len(h.Unready) - most; n > 0 {
			to.print("%27s and %d more reasons", "", n)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Memory)) {
		to.print("memory of %-10s at most %4d MiB", kind, r.Memory[kind]>>20)
	}
	a := r.Audit
	to.print("offered %d frames, %d acknowledged, %d given up by devices after an overload without PUBACK; publishers found the broker silent %d times", r.Offered, r.Acknowledged, r.GivenUp, r.Stalls)
	to.print("audited %d blocks: %d frames recorded, refused by the contract %v, invalid transactions %v, %d replayed from the quarantine after a clock was wrong, %d checkpoints agree",
		a.Height, a.Recorded, a.Refusals, a.Invalid, r.Replayed, a.Checkpoints)
	for _, finding := range a.Findings {
		to.print("! %s", finding)
	}
	for _, failure := range r.Failures {
		to.print("! %s", failure)
	}
}
