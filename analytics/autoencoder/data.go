package autoencoder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/thermal"
)

const (
	warmUp  = 6 * 60 // minutes of a shipment before its windows count, so that the baseline has settled a little
	dayLong = 24 * 60
)

// The seeds of training, calibration and testing never meet: each takes its own range of the generator's seeds.
const (
	trainingSeeds    = 1 << 32
	calibrationSeeds = 2 << 32
	testSeeds        = 3 << 32
)

// shipment draws a normal shipment: setpoint, weather, sensor and route all vary.
func shipment(seed uint64, fault thermal.Fault, faultAt time.Duration) (*thermal.Shipment, error) {
	random := rand.New(rand.NewPCG(seed, 0x7072_6f66_696c_6500))
	setpoints := []float64{2, 3, 4, 4, 5, 5, 5, 6, 7}
	resolutions := []float64{0.1, 0.1, 0.1, 0.0625, 0.01}
	return thermal.New(thermal.Config{
		Seed: seed, Setpoint: setpoints[random.IntN(len(setpoints))], Ambient: 8 + float64(20*random.Float64()), Swing: 2 + float64(7*random.Float64()),
		Resolution: resolutions[random.IntN(len(resolutions))], NoDoors: random.IntN(4) == 0,
		Start: time.Date(2025, 6, 1, random.IntN(24), 0, 0, 0, time.UTC), Fault: fault, FaultAt: faultAt,
	})
}

// trainingSet returns windows of normal shipments, feature rows one after the other, and a hash of the readings behind them.
func trainingSet(ctx context.Context, config Config) (rows []float32, dataHash [32]byte, err error) {
	sum := sha256.New()
	for k := range config.Shipments {
		if err := ctx.Err(); err != nil {
			return nil, dataHash, err
		}
		s, err := shipment(trainingSeeds+config.Seed<<16+uint64(k), thermal.NoFault, 0)
		if err != nil {
			return nil, dataHash, fmt.Errorf("generating shipment %d: %w", k, err)
		}
		var h Habit
		var word [8]byte
		for minute := range int64(warmUp + dayLong) {
			reading := s.Step().Readings[0]
			binary.BigEndian.PutUint64(word[:], uint64(reading))
			sum.Write(word[:])
			if whole := h.Take(minute, reading, false); whole && minute >= warmUp && (minute+int64(k))%Stride == 0 {
				rows = append(rows, h.Features()[:]...)
			}
		}
	}
	sum.Sum(dataHash[:0])
	return rows, dataHash, nil
}

// worstOfDay returns the highest error judged on one normal sensor-day.
func worstOfDay(m *Model, seed uint64, scratch *kernel.Scratch) (int64, error) {
	s, err := shipment(seed, thermal.NoFault, 0)
	if err != nil {
		return 0, err
	}
	var h Habit
	worst := int64(0)
	for minute := range int64(warmUp + dayLong) {
		if h.Take(minute, s.Step().Readings[0], false) && minute%Stride == 0 {
			if both := h.Judge(m, scratch); minute >= warmUp {
				worst = max(worst, both)
			}
		}
	}
	return worst, nil
}

// delayOf returns the minutes from the start of a fault to the first judgement over the threshold within a day.
func delayOf(m *Model, seed uint64, fault thermal.Fault, scratch *kernel.Scratch) (minutes int64, found bool, err error) {
	s, err := shipment(seed, fault, 12*time.Hour)
	if err != nil {
		return 0, false, err
	}
	var h Habit
	for minute := range int64(12*60 + dayLong) {
		if h.Take(minute, s.Step().Readings[0], false) && minute%Stride == 0 {
			if h.Judge(m, scratch) > m.threshold && minute >= 12*60 {
				return minute - 12*60, true, nil
			}
		}
	}
	return 0, false, nil
}
