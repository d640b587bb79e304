package faults

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// sensor signs frames by a clock of its own, which can be wrong.
type sensor struct {
	id    string
	lane  uint32
	topic string
	key   ed25519.PrivateKey

	mu       sync.Mutex
	wrong    time.Duration // its clock minus the true one
	sequence uint64
	last     provenance.Time // of its newest reading, by its own clock
	value    provenance.Micro
}

// message is a signed frame on its way.
type message struct {
	id     provenance.FrameID
	lane   uint32
	topic  string
	body   []byte
	leaf   provenance.Hash
	last   provenance.Time // acquisition time of its last reading, by the device's clock
	signed time.Time       // by the true clock
	sent   time.Time       // when it was given to the publisher
}

func newSensors(owner, prefix string, n int) ([]*sensor, error) {
	all := make([]*sensor, n)
	for i := range all {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		id, lane := fmt.Sprintf("%s-%03d", prefix, i), uint32(i%lanes)
		all[i] = &sensor{id: id, lane: lane, topic: fmt.Sprintf("tm/%s/%d/%s", owner, lane, id), key: key, value: 4_000_000}
	}
	return all, nil
}

func (s *sensor) enrolment() (provenance.Enrolment, error) {
	key, err := evidence.EncodeKey(s.key.Public())
	return provenance.Enrolment{
		ID: s.id, Key: key, Quantity: "temperature", Unit: "Cel", Min: -40_000_000, Max: 85_000_000,
		CalibrationDue: provenance.TimeOf(time.Now().AddDate(1, 0, 0)), Lane: s.lane,
	}, err
}

// sign makes the sensor's next frame of n readings, the last of which is of now by its clock.
func (s *sensor) sign(now time.Time, n int) (*message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const step = 2 // ms between readings
	clock := provenance.TimeOf(now.Add(s.wrong))
	if clock <= s.last && s.last-clock < 60_000 { // twice in a moment; a clock set back by more is believed
		clock = s.last + provenance.Time(n*step)
	}
	pack := &evidence.Pack{Device: s.id, Unit: "Cel"}
	for i := range n {
		s.value += provenance.Micro(mathrand.IntN(5)-2) * 100_000
		if s.value < 2_000_000 || s.value > 8_000_000 {
			s.value = 5_000_000
		}
		pack.Readings = append(pack.Readings, provenance.Reading{Time: clock - provenance.Time((n-1-i)*step), Value: s.value})
	}
	s.last = clock
	s.sequence++
	body, err := evidence.SignFrame(s.key, 1, s.sequence, pack, clock)
	if err != nil {
		return nil, err
	}
	frame, _, err := evidence.SplitMessage(body)
	return &message{
		id: provenance.FrameID{Device: s.id, Epoch: 1, Sequence: s.sequence}, lane: s.lane, topic: s.topic, body: body,
		leaf: evidence.LeafHash(frame), last: clock, signed: now,
	}, err
}

func (s *sensor) setClock(wrong time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = wrong
}
