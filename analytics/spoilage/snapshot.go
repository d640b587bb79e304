package spoilage

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/kinetics"
)

// MaxSnapshotBytes bounds a snapshot.
const MaxSnapshotBytes = 16 << 20

// snapshot is JSON: Go prints floating-point numbers with as many digits as it takes to read the same bits back.
type snapshot struct {
	Kernel  string
	Profile string // SHA-256
	Model   string // SHA-256, empty without a model
	Config  Config
	Devices map[string]deviceSnapshot
}

type deviceSnapshot struct {
	Device  device
	Quality []float64
}

// Snapshot returns the whole state of the scorer, for Restore after a restart.
func (s *Scorer) Snapshot() ([]byte, error) {
	out := snapshot{Kernel: kernel.Version, Profile: hashOf(s.profile), Model: hashOfModel(s.model), Config: s.config, Devices: map[string]deviceSnapshot{}}
	for id, d := range s.devices {
		entry := deviceSnapshot{Device: *d}
		switch {
		case d.growth != nil:
			entry.Quality = d.growth.Snapshot()
		case d.degradation != nil:
			entry.Quality = d.degradation.Snapshot()
		}
		out.Devices[id] = entry
	}
	encoded, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encoding snapshot: %w", err)
	}
	return encoded, nil
}

// Restore rebuilds a scorer from a snapshot made with the same kernel, profile and model; any other is refused, and the
// caller then recomputes from the readings.
func Restore(profile kinetics.Profile, model *autoencoder.Model, encoded []byte) (*Scorer, error) {
	if len(encoded) > MaxSnapshotBytes {
		return nil, fmt.Errorf("restoring scorer: %d bytes, at most %d are allowed", len(encoded), MaxSnapshotBytes)
	}
	var in snapshot
	if err := json.Unmarshal(encoded, &in); err != nil {
		return nil, fmt.Errorf("restoring scorer: %w", err)
	}
	switch {
	case in.Kernel != kernel.Version:
		return nil, fmt.Errorf("restoring scorer: made by kernel %q, this is %q", in.Kernel, kernel.Version)
	case in.Profile != hashOf(profile):
		return nil, errors.New("restoring scorer: made for another profile")
	case in.Model != hashOfModel(model):
		return nil, errors.New("restoring scorer: made with another model")
	case len(in.Devices) > maxDevices:
		return nil, errors.New("restoring scorer: too many devices")
	}
	s, err := New(profile, model, in.Config)
	if err != nil {
		return nil, err
	}
	for id, entry := range in.Devices {
		d := s.newDevice()
		growth, degradation := d.growth, d.degradation
		*d = entry.Device
		d.growth, d.degradation = growth, degradation
		if d.Incidents == nil {
			d.Incidents = map[Kind][]incident{}
		}
		if n := len(d.Habit.Minutes); n > autoencoder.Window || (d.Readings > 0) != (n > 0) {
			return nil, fmt.Errorf("restoring scorer: device %s: %d minutes of habit", id, n)
		}
		if d.Readings > 0 && d.Habit.Minute != d.Last/minute {
			return nil, fmt.Errorf("restoring scorer: device %s: habit ends at another minute than the readings", id)
		}
		if len(d.Trend.Lows) != len(d.Trend.Highs) || len(d.Trend.Lows) > trendHours {
			return nil, fmt.Errorf("restoring scorer: device %s: extremes do not match", id)
		}
		switch {
		case growth != nil:
			err = growth.Restore(entry.Quality)
		case degradation != nil:
			err = degradation.Restore(entry.Quality)
		}
		if err != nil {
			return nil, fmt.Errorf("restoring scorer: device %s: %w", id, err)
		}
		s.devices[id] = d
	}
	return s, nil
}

func hashOf(profile kinetics.Profile) string {
	sum := profile.Hash()
	return hex.EncodeToString(sum[:])
}

func hashOfModel(model *autoencoder.Model) string {
	if model == nil {
		return ""
	}
	sum := model.Hash()
	return hex.EncodeToString(sum[:])
}
