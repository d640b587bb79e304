package kinetics

import "fmt"

// Snapshot returns what the readings have done to the state, for Restore. Printed with full precision it restores to the bit.
func (s *GrowthState) Snapshot() []float64 {
	out := make([]float64, 0, 2*Members)
	for k := range s.members {
		out = append(out, s.members[k].work, s.members[k].pace)
	}
	return out
}

// Restore puts a snapshot into a state made from the same growth, initial count and storage temperature.
func (s *GrowthState) Restore(snapshot []float64) error {
	if len(snapshot) != 2*Members {
		return fmt.Errorf("restoring growth: %d numbers, %d are needed", len(snapshot), 2*Members)
	}
	for k := range s.members {
		s.members[k].work, s.members[k].pace = snapshot[2*k], snapshot[2*k+1]
	}
	return nil
}

// Snapshot returns what the readings have done to the state, for Restore.
func (s *DegradationState) Snapshot() []float64 {
	out := make([]float64, 0, 2*Members+2*len(s.kinetic.buckets))
	for k := range s.members {
		out = append(out, s.members[k].used, s.members[k].pace)
	}
	for _, b := range s.kinetic.buckets {
		out = append(out, b.weight, float64(b.millis))
	}
	return out
}

// Restore puts a snapshot into a state made from the same degradation and storage temperature.
func (s *DegradationState) Restore(snapshot []float64) error {
	rest := len(snapshot) - 2*Members
	if rest < 0 || rest%2 != 0 || rest/2 > s.kinetic.window {
		return fmt.Errorf("restoring degradation: %d numbers do not fit", len(snapshot))
	}
	for k := range s.members {
		s.members[k].used, s.members[k].pace = snapshot[2*k], snapshot[2*k+1]
	}
	s.kinetic.buckets = nil
	for k := 2 * Members; k < len(snapshot); k += 2 {
		millis := int64(snapshot[k+1])
		if millis < 0 || millis > hourMillis || float64(millis) != snapshot[k+1] {
			return fmt.Errorf("restoring degradation: %v milliseconds do not fit an hour", snapshot[k+1])
		}
		s.kinetic.buckets = append(s.kinetic.buckets, kineticBucket{weight: snapshot[k], millis: millis})
	}
	return nil
}
