package evidence

import (
	"fmt"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Check is one thing that a verification looked at.
type Check struct {
	What   string `json:"what"`   // what was checked
	Proves string `json:"proves"` // what follows from it, in words
}

// Report is what a receipt shows when every check passed.
type Report struct {
	Kind          string   `json:"kind"`
	Sentence      string   `json:"sentence"` // what the receipt is about
	Organisations []string `json:"organisations"`
	Checks        []Check  `json:"checks"`

	Alert    *provenance.Alert    `json:"alert,omitempty"`
	Model    *provenance.Model    `json:"model,omitempty"`
	Shipment *provenance.Shipment `json:"shipment,omitempty"`
	Reading  *provenance.Reading  `json:"reading,omitempty"`
	Frame    *provenance.FrameID  `json:"frame,omitempty"`
	Device   *provenance.Device   `json:"device,omitempty"`
	Manifest *provenance.Manifest `json:"manifest,omitempty"`
}

// VerifyError names the part of a receipt that does not hold.
type VerifyError struct {
	Part   string
	Detail string
}

func (e *VerifyError) Error() string { return e.Part + ": " + e.Detail }

func broken(part, format string, args ...any) error {
	return &VerifyError{part, fmt.Sprintf(format, args...)}
}

// Verify checks a receipt against pinned keys, all of it, without a network. The error is a *VerifyError naming the part.
func Verify(data []byte, trust *Trust) (*Report, error) {
	r, err := DecodeReceipt(data)
	if err != nil {
		return nil, broken("encoding", "%v", err)
	}
	v := &verification{receipt: r, trust: trust, report: &Report{Kind: r.Kind}}
	if err := v.checkpoints(); err != nil {
		return nil, err
	}
	states := make([]any, len(r.Entries))
	for i := range r.Entries {
		if states[i], err = v.entry(i); err != nil {
			return nil, err
		}
	}
	switch r.Kind {
	case ReceiptReading:
		err = v.reading(states)
	case ReceiptAlert:
		err = v.alert(states)
	case ReceiptRecord:
		err = v.record(states)
	default:
		err = broken("kind", "%q is not a kind of receipt that this verifier knows", r.Kind)
	}
	if err != nil {
		return nil, err
	}
	return v.report, nil
}

type verification struct {
	receipt *Receipt
	trust   *Trust
	report  *Report
	sizes   []uint64
	roots   []provenance.Hash
}

func (v *verification) passed(what, proves string) {
	v.report.Checks = append(v.report.Checks, Check{what, proves})
}

// checkpoints verifies that each note is a pinned organisation's, no organisation twice, and that there are enough.
func (v *verification) checkpoints() error {
	verifiers, err := v.trust.verifiers()
	if err != nil {
		return broken("trust file", "%v", err)
	}
	previous := ""
	for i, signed := range v.receipt.Notes {
		part := fmt.Sprintf("checkpoint %d", i+1)
		name, err := CheckpointSigner(signed)
		if err != nil {
			return broken(part, "%v", err)
		}
		verifier := verifiers[name]
		if verifier == nil {
			return broken(part, "it is signed by %q, whose key is not pinned in the trust file", name)
		}
		if name <= previous {
			return broken(part, "organisations must rise by name, and %q does not", name)
		}
		previous = name
		size, root, err := OpenCheckpoint(signed, verifier, v.trust.Channel)
		if err != nil {
			return broken(part+" of "+name, "%v", err)
		}
		v.sizes, v.roots = append(v.sizes, size), append(v.roots, root)
		v.report.Organisations = append(v.report.Organisations, name)
	}
	if n := len(v.roots); n < v.trust.Quorum {
		return broken("checkpoints", "%d organisations vouch, the trust file asks for %d", n, v.trust.Quorum)
	}
	v.passed(fmt.Sprintf("checkpoint signatures of %s under pinned keys", strings.Join(v.report.Organisations, ", ")),
		fmt.Sprintf("%d of %d pinned organisations (%d are asked for) vouch for the log of channel %q", len(v.roots), len(v.trust.Organisations), v.trust.Quorum, v.trust.Channel))
	return nil
}

// entry verifies the way of one record: record → transaction → log → every checkpoint.
func (v *verification) entry(i int) (any, error) {
	e := &v.receipt.Entries[i]
	part := fmt.Sprintf("entry %d", i+1)
	leaf, err := DecodeLogLeaf(e.Leaf)
	if err != nil {
		return nil, broken(part+", log leaf", "%v", err)
	}
	if leaf.Channel != v.trust.Channel {
		return nil, broken(part+", log leaf", "it is of channel %q, the trust file of %q", leaf.Channel, v.trust.Channel)
	}
	write, err := DecodeRecord(e.Record)
	if err != nil {
		return nil, broken(part+", record", "%v", err)
	}
	root, err := e.RecordProof.Root(LeafHash(e.Record))
	if err != nil {
		return nil, broken(part+", record proof", "%v", err)
	}
	if digestOf(e.RecordProof.Size, root) != leaf.Digest {
		return nil, broken(part+", record", "it does not lead to the digest that transaction %x recorded", leaf.TransactionID)
	}
	if len(e.Paths) != len(v.roots) {
		return nil, broken(part+", log proofs", "%d paths for %d checkpoints", len(e.Paths), len(v.roots))
	}
	for n, path := range e.Paths {
		got, err := Proof{Size: v.sizes[n], Index: e.Index, Path: path}.Root(LeafHash(e.Leaf))
		if err != nil {
			return nil, broken(part+", log proof for "+v.report.Organisations[n], "%v", err)
		}
		if got != v.roots[n] {
			return nil, broken(part+", log proof for "+v.report.Organisations[n], "transaction %x does not stand in the log that %s signed: it was not recorded as valid, or the receipt was altered", leaf.TransactionID, v.report.Organisations[n])
		}
	}
	state, err := DecodeState(write.Key, write.Value)
	if err != nil {
		return nil, broken(part+", record", "%v", err)
	}
	v.passed(fmt.Sprintf("%s: record → transaction %x… → log leaf %d → %d checkpoints", write.Key, leaf.TransactionID[:4], e.Index, len(v.roots)),
		fmt.Sprintf("it was recorded by a valid transaction in block %d, and each of these organisations' logs holds it", leaf.Block))
	return state, nil
}

func (v *verification) record(states []any) error {
	if len(states) != 1 || v.receipt.Subject != nil {
		return broken("entries", "a receipt of a record has one entry and no subject")
	}
	write, _ := DecodeRecord(v.receipt.Entries[0].Record)
	v.report.Sentence = "The ledger recorded " + write.Key + "."
	return nil
}

func (v *verification) alert(states []any) error {
	if len(states) != 3 || v.receipt.Subject != nil {
		return broken("entries", "a receipt of an alert has three entries and no subject")
	}
	alert, ok1 := states[0].(*provenance.Alert)
	model, ok2 := states[1].(*provenance.Model)
	shipment, ok3 := states[2].(*provenance.Shipment)
	if !ok1 || !ok2 || !ok3 {
		return broken("entries", "a receipt of an alert has an alert, a model and a shipment")
	}
	if alert.ModelName != model.Name || alert.ModelVersion != model.Version || alert.ModelHash != model.Hash {
		return broken("model", "the alert names model %s %s, the receipt brings %s %s", alert.ModelName, alert.ModelVersion, model.Name, model.Version)
	}
	if alert.Shipment != shipment.ID {
		return broken("shipment", "the alert is about %s, the receipt brings %s", alert.Shipment, shipment.ID)
	}
	v.report.Alert, v.report.Model, v.report.Shipment = alert, model, shipment
	v.report.Sentence = fmt.Sprintf("%s raised alert %s (%s, score %s) about shipment %s at %s: %s", alert.Organisation, alert.ID, alert.Kind, alert.Score, alert.Shipment, alert.Raised, alert.Message)
	v.passed("alert, model and shipment belong together",
		fmt.Sprintf("model %s %s with weights %s… gave the score from %d readings with input root %s…", model.Name, model.Version, model.Hash.String()[:12], alert.Readings, alert.InputRoot.String()[:12]))
	return nil
}

func (v *verification) reading(states []any) error {
	subject := v.receipt.Subject
	if len(states) != 2 || subject == nil {
		return broken("entries", "a receipt of a reading has two entries and a subject")
	}
	manifest, ok1 := states[0].(*provenance.Manifest)
	device, ok2 := states[1].(*provenance.Device)
	if !ok1 || !ok2 {
		return broken("entries", "a receipt of a reading has a batch's manifest and a device's record")
	}
	frame, err := ParseFrame(subject.Frame)
	if err != nil {
		return broken("frame", "%v", err)
	}
	root, err := subject.Proof.Root(LeafHash(subject.Frame))
	if err != nil || subject.Proof.Size != uint64(manifest.Frames) || root != manifest.Root {
		return broken("frame proof", "the frame is not among the %d accepted ones of batch %d of %s, lane %d", manifest.Frames, manifest.Number, manifest.Organisation, manifest.Lane)
	}
	if frame.ID.Device != device.ID || device.Organisation != manifest.Organisation || device.Lane != manifest.Lane {
		return broken("device", "the receipt brings device %s of %s, the frame is of %s in a batch of %s", device.ID, device.Organisation, frame.ID.Device, manifest.Organisation)
	}
	key, err := ParseKey(device.KeyAt(frame.ID.Epoch))
	if err != nil {
		return broken("device", "it has no key for epoch %d: %v", frame.ID.Epoch, err)
	}
	if !frame.Verify(key) {
		return broken("frame", "its signature does not verify under the key of device %s in epoch %d", device.ID, frame.ID.Epoch)
	}
	if err := checkPayload(frame, subject.Payload, device); err != nil {
		return broken("payload", "%v", err)
	}
	pack, err := ParsePayload(subject.Payload)
	if err != nil {
		return broken("payload", "%v", err)
	}
	claimed := subject.Reading
	if int(claimed.Index) >= len(pack.Readings) || pack.Readings[claimed.Index] != (provenance.Reading{Time: claimed.Time, Value: claimed.Value}) {
		return broken("reading", "the frame's reading %d is not %s %s at %s", claimed.Index, claimed.Value, pack.Unit, claimed.Time)
	}
	v.report.Reading, v.report.Frame, v.report.Device, v.report.Manifest = &pack.Readings[claimed.Index], &frame.ID, device, manifest
	v.report.Sentence = fmt.Sprintf("Device %s of %s measured %s %s (%s) at %s.", device.ID, device.Organisation, claimed.Value, pack.Unit, device.Quantity, claimed.Time)
	v.passed(fmt.Sprintf("frame %d of epoch %d is accepted in batch %d of %s, lane %d", frame.ID.Sequence, frame.ID.Epoch, manifest.Number, manifest.Organisation, manifest.Lane),
		fmt.Sprintf("the endorsing organisations judged it valid; recorded at %s", manifest.Committed))
	signer := "the sensor itself"
	if device.Attestation == provenance.ByEdge {
		signer = "the edge that speaks for the sensor"
	}
	v.passed("signature of the frame, hash of its payload, and the reading in it",
		fmt.Sprintf("%s signed exactly these values at %s by its own clock, with the key that %s enrolled", signer, frame.Published, device.Organisation))
	return nil
}
