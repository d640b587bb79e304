// Command bits computes alerts of a generated shipment anew and prints every bit of them, for a test to compare between builds and
// processors.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/analytics/thermal"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/audit/recompute"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	model, err := service.LoadModel("")
	if err != nil {
		return err
	}
	registration := service.Registration(model)
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(registration); err != nil {
		return err
	}
	start := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	for k, profile := range []string{"milk-pasteurised", "pharma-2-8", "vaccine-vvm2"} {
		truck, err := thermal.New(thermal.Config{Seed: uint64(k), Start: start, Setpoint: 5, Ambient: 26, Probes: 2, Fault: thermal.CompressorFailure, FaultAt: 7 * time.Hour})
		if err != nil {
			return err
		}
		var readings []service.Reading
		for range 30 * 60 {
			sample := truck.Step()
			for probe, v := range sample.Readings {
				readings = append(readings, service.Reading{Device: fmt.Sprint("probe", probe), Time: provenance.TimeOf(sample.Time), Value: provenance.Micro(v)})
			}
		}
		shipment := &provenance.Shipment{Profile: profile, Limits: provenance.Limits{Min: 2_000_000, Max: 8_000_000, AllowedMinutes: 60}}
		findings, err := recompute.All(shipment, model, readings)
		if err != nil {
			return err
		}
		if err := out.Encode(service.InputRoot(readings)); err != nil {
			return err
		}
		for i := range findings {
			if err := out.Encode(recompute.Of(&findings[i])); err != nil {
				return err
			}
		}
	}
	return nil
}
