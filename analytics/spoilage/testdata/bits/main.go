// Command bits prints hashes of everything in a score that counts, for a test to compare between builds and processors.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"os"
	"time"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/analytics/thermal"
)

func main() {
	for _, part := range []struct {
		name string
		run  func(hash.Hash) error
	}{{"functions", functions}, {"network", network}, {"kinetics", growth}, {"findings", findings}} {
		sum := sha256.New()
		if err := part.run(sum); err != nil {
			fmt.Fprintln(os.Stderr, part.name, err)
			os.Exit(1)
		}
		fmt.Printf("%s %x\n", part.name, sum.Sum(nil))
	}
}

func add(sum hash.Hash, values ...float64) {
	for _, v := range values {
		_ = binary.Write(sum, binary.BigEndian, math.Float64bits(v))
	}
}

func functions(sum hash.Hash) error {
	for k := range 3000 {
		x := float64(k-1500) / 21
		add(sum, kernel.Exp(x), kernel.Log(math.Abs(x)+1e-9), kernel.Tanh(x), kernel.Sigmoid(x), kernel.NormalCDF(x),
			kernel.NormalQuantile((float64(k)+0.5)/3000), kernel.Log10(math.Abs(x)+1), kernel.Pow10(x/30))
	}
	return nil
}

func network(sum hash.Hash) error {
	model, err := autoencoder.Default()
	if err != nil {
		return err
	}
	rows := make([]float32, 67*autoencoder.Features)
	state := uint32(1)
	for i := range rows {
		state = state*1664525 + 1013904223
		rows[i] = float32(int32(state)>>8) / (1 << 21)
	}
	for _, count := range []int{1, 5, 64, 67} {
		for _, v := range model.Network().Forward(rows, count, &kernel.Scratch{}) {
			add(sum, float64(v))
		}
	}
	return nil
}

func growth(sum hash.Hash) error {
	for _, p := range kinetics.Builtin() {
		if p.Growth != nil {
			s := kinetics.NewGrowthState(*p.Growth, 2_400_000, p.Storage)
			for k := range int64(40) {
				s.Advance(4_000_000+(k*k*7919)%9_000_000, 3.7)
				fmt.Fprint(sum, s.PlateCount(0.9), s.Remaining(0.8), s.RemainingAt(7_000_000, 0.8), s.SpoiledWithin(36))
			}
		} else {
			s := kinetics.NewDegradationState(*p.Degradation, p.Storage)
			for k := range int64(40) {
				s.Advance(4_000_000+(k*k*7919)%30_000_000, 3.7)
				kinetic, _ := s.MeanKinetic()
				fmt.Fprint(sum, s.Used(0.9), s.Remaining(0.8), s.SpoiledWithin(36), kinetic)
			}
		}
	}
	return nil
}

func findings(sum hash.Hash) error {
	model, err := autoencoder.Default()
	if err != nil {
		return err
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for k, fault := range []thermal.Fault{thermal.CompressorFailure, thermal.SensorStuck} {
		truck, err := thermal.New(thermal.Config{Seed: uint64(k), Start: start, Setpoint: 5, Ambient: 26, Fault: fault, FaultAt: 7 * time.Hour})
		if err != nil {
			return err
		}
		var readings []spoilage.Reading
		for range 20 * 60 {
			sample := truck.Step()
			for probe, v := range sample.Readings {
				readings = append(readings, spoilage.Reading{Device: fmt.Sprint("probe", probe), Time: sample.Time, Temperature: v})
			}
		}
		for _, profile := range []kinetics.Profile{kinetics.Milk, kinetics.Pharma2To8} {
			found, err := spoilage.Recompute(profile, model, spoilage.Config{}, readings, start.Add(20*time.Hour))
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return errors.New("nothing was found")
			}
			if err := json.NewEncoder(sum).Encode(found); err != nil {
				return err
			}
		}
	}
	return nil
}
