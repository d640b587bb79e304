// Package load makes the traffic of many sensors and audits what became of it: frames signed beforehand, published at a pace, and
// every acknowledged one looked for on the ledger. Benchmarks, fault tests and end-to-end tests use it.
// Of ours it imports chaincode/provenance, chaincode/evidence, gateway/ledger and deploy/pki.
package load

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Fleet is sensors whose keys are held in memory.
type Fleet struct {
	Owner   string // MSP identifier
	Devices []*Device
}

// Device is one sensor; its frames are numbered by Fleet.Sign.
type Device struct {
	ID       string
	Lane     uint32
	Epoch    uint32
	Sequence uint64 // of the last frame signed
	signer   ed25519.PrivateKey
	clock    provenance.Time // of the last reading
	value    provenance.Micro
	noise    *mathrand.Rand
}

// NewFleet makes n sensors, spread evenly over the lanes. Their readings begin at start.
func NewFleet(owner, prefix string, n int, lanes uint32, start time.Time) (*Fleet, error) {
	f := &Fleet{Owner: owner}
	for i := range n {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		f.Devices = append(f.Devices, &Device{
			ID: fmt.Sprintf("%s-%05d", prefix, i), Lane: uint32(i) % lanes, Epoch: 1, signer: private, clock: provenance.TimeOf(start),
			value: 4_000_000, noise: mathrand.New(mathrand.NewPCG(uint64(i), 1)),
		})
	}
	return f, nil
}

// Enrolments are what the fleet's owner records of it on the ledger.
func (f *Fleet) Enrolments() ([]provenance.Enrolment, error) {
	enrolments := make([]provenance.Enrolment, len(f.Devices))
	for i, d := range f.Devices {
		key, err := evidence.EncodeKey(d.signer.Public())
		if err != nil {
			return nil, err
		}
		enrolments[i] = provenance.Enrolment{
			ID: d.ID, Key: key, Quantity: "temperature", Unit: "Cel", Min: -40_000_000, Max: 85_000_000,
			CalibrationDue: provenance.TimeOf(time.Now().AddDate(1, 0, 0)), Lane: d.Lane,
		}
	}
	return enrolments, nil
}

// Message is a signed frame ready to be published.
type Message struct {
	ID    provenance.FrameID
	Topic string
	Body  []byte
	Leaf  provenance.Hash // of the frame
}

// Sign makes the next rounds frames of every device, perFrame readings a step apart in each; all first frames come first, then all
// second ones, as a fleet would publish.
func (f *Fleet) Sign(rounds, perFrame int, step time.Duration) ([]Message, error) {
	messages := make([]Message, rounds*len(f.Devices))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, d := range f.Devices {
		group.Go(func() error {
			for round := range rounds {
				m, err := d.next(f.Owner, perFrame, step)
				if err != nil {
					return err
				}
				messages[round*len(f.Devices)+i] = m
			}
			return nil
		})
	}
	return messages, group.Wait()
}

// next signs one frame: a refrigerated truck's air, wandering by tenths of a degree.
func (d *Device) next(owner string, perFrame int, step time.Duration) (Message, error) {
	pack := &evidence.Pack{Device: d.ID, Unit: "Cel"}
	for range perFrame {
		d.clock += provenance.Time(step.Milliseconds())
		d.value += provenance.Micro(d.noise.IntN(5)-2) * 100_000
		if d.value < 2_000_000 || d.value > 8_000_000 {
			d.value = 5_000_000
		}
		pack.Readings = append(pack.Readings, provenance.Reading{Time: d.clock, Value: d.value})
	}
	d.Sequence++
	body, err := evidence.SignFrame(d.signer, d.Epoch, d.Sequence, pack, d.clock)
	if err != nil {
		return Message{}, err
	}
	frame, _, err := evidence.SplitMessage(body)
	return Message{
		ID: provenance.FrameID{Device: d.ID, Epoch: d.Epoch, Sequence: d.Sequence}, Topic: fmt.Sprintf("tm/%s/%d/%s", owner, d.Lane, d.ID),
		Body: body, Leaf: evidence.LeafHash(frame),
	}, err
}
