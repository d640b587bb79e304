package simulate

import (
	"fmt"

	"github.com/trailmark/trailmark/analytics/thermal"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Truck is the course of one probe in a simulated refrigerated truck: one reading a minute, without end. Each probe computes the
// truck for itself: it is a pure function of its configuration.
func Truck(config thermal.Config, probe int) (Course, error) {
	if probe < 0 || probe >= max(config.Probes, 1) {
		return nil, fmt.Errorf("probe %d of a truck with %d", probe, config.Probes)
	}
	if _, err := thermal.New(config); err != nil {
		return nil, err
	}
	return func(yield func(provenance.Reading) bool) {
		truck, err := thermal.New(config)
		if err != nil {
			return // it was made just now
		}
		for {
			sample := truck.Step()
			if !yield(provenance.Reading{Time: provenance.TimeOf(sample.Time), Value: provenance.Micro(sample.Readings[probe])}) {
				return
			}
		}
	}, nil
}

// Recorded is the course of readings that are there already.
func Recorded(readings []provenance.Reading) Course {
	return func(yield func(provenance.Reading) bool) {
		for _, r := range readings {
			if !yield(r) {
				return
			}
		}
	}
}
