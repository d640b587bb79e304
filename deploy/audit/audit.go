// Package audit follows an alert back to the sensors: alert → score → model → training data → batches → frames → devices →
// organisations, straight from the blocks of a peer, and computes the score anew from the readings it finds there. It trusts no node's
// read model. What was not found as it should be is named.
package audit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/audit/recompute"
)

// The steps of an audit, in their order.
const (
	stepAlert        = "alert"
	stepLog          = "log"
	stepModel        = "model"
	stepTraining     = "training data"
	stepShipment     = "shipment"
	stepBatches      = "batches"
	stepFrames       = "frames"
	stepDevices      = "devices"
	stepInput        = "input"
	stepScore        = "score"
	stepAttestations = "attestations"
)

// Step is one thing that was checked.
type Step struct {
	Step   string `json:"step"`
	Holds  bool   `json:"holds"`
	Found  string `json:"found"`            // a sentence
	Proves string `json:"proves,omitempty"` // what follows where it holds
}

// Report is what an audit found.
type Report struct {
	Alert    string            `json:"alert"`
	Shipment string            `json:"shipment"`
	Holds    bool              `json:"holds"`
	Differs  string            `json:"differs,omitempty"` // the first step that does not hold
	Steps    []Step            `json:"steps"`
	Record   *provenance.Alert `json:"record,omitempty"`   // as it stands
	Computed *recompute.Score  `json:"computed,omitempty"` // what came out anew
}

// failure is a step that does not hold, where nothing sensible can follow.
type failure struct{ step, found string }

func (f *failure) Error() string { return f.step + ": " + f.found }

func failed(step, format string, args ...any) error {
	return &failure{step, fmt.Sprintf(format, args...)}
}

func (r *Report) holds(step, proves, format string, args ...any) {
	r.Steps = append(r.Steps, Step{step, true, fmt.Sprintf(format, args...), proves})
}

func (r *Report) differs(step, found string) {
	r.Steps = append(r.Steps, Step{Step: step, Found: found})
	if r.Differs == "" {
		r.Differs = step
	}
}

// Request says which alert is audited: ALERT, or SHIPMENT/ALERT where several shipments have one of that name.
type Request struct {
	Alert     string
	Model     *autoencoder.Model
	Channel   string
	Chaincode string
	Height    uint64 // blocks to read
}

// Run audits an alert. The report says whether it holds; an error means that it could not be audited.
func Run(ctx context.Context, source Source, request Request) (*Report, error) {
	h, err := readHistory(ctx, source, request.Channel, request.Chaincode, request.Height)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	versions, err := h.find(request.Alert)
	if err != nil {
		return nil, err
	}
	if kind := versions[0].value.Kind; !slices.Contains(spoilage.Kinds(), spoilage.Kind(kind)) {
		return nil, provenance.Invalidf("alert %s is of kind %s: no score of readings, so there is nothing to compute anew", request.Alert, kind)
	}
	a := &auditing{history: h, request: request, raised: versions[0], standing: versions[len(versions)-1].value}
	a.report.Record, a.report.Alert, a.report.Shipment = a.standing, a.standing.ID, a.standing.Shipment
	err = a.steps(ctx, source)
	if broken := new(failure); errors.As(err, &broken) {
		a.report.differs(broken.step, broken.found)
	} else if err != nil {
		return nil, err
	}
	a.report.Holds = a.report.Differs == ""
	return &a.report, nil
}

// find looks an alert up by its name.
func (h *history) find(name string) ([]version[*provenance.Alert], error) {
	shipment, id, qualified := strings.Cut(name, "/")
	if qualified {
		if versions := h.alerts[provenance.AlertKey(shipment, id)]; versions != nil {
			return versions, nil
		}
		return nil, provenance.NotFoundf("the ledger holds no alert %s of shipment %s", id, shipment)
	}
	var found [][]version[*provenance.Alert]
	var names []string
	for _, versions := range h.alerts {
		if a := versions[0].value; a.ID == name {
			found, names = append(found, versions), append(names, a.Shipment+"/"+a.ID)
		}
	}
	switch len(found) {
	case 0:
		return nil, provenance.NotFoundf("the ledger holds no alert %s; SHIPMENT/ALERT is its full name", name)
	case 1:
		return found[0], nil
	}
	slices.Sort(names)
	return nil, provenance.Invalidf("several shipments have an alert of that name; give one of: %s", strings.Join(names, ", "))
}

type auditing struct {
	*history
	request  Request
	report   Report
	raised   version[*provenance.Alert] // as it was raised
	standing *provenance.Alert          // with what was added since
	proven   *proven
}

func (a *auditing) steps(ctx context.Context, source Source) error {
	for _, step := range []func() error{a.alert, a.log, a.model} {
		if err := step(); err != nil {
			return err
		}
	}
	shipments, err := a.plans()
	if err != nil {
		return err
	}
	if err := a.evidence(ctx, source, shipments); err != nil {
		return err
	}
	if err := a.score(shipments); err != nil {
		return err
	}
	return a.attestations()
}

func (a *auditing) alert() error {
	r := a.raised.value
	original, now := *r, *a.standing
	original.Attestations, now.Attestations, original.Acknowledgement, now.Acknowledgement = nil, nil, nil, nil
	if !reflect.DeepEqual(original, now) {
		return failed(stepAlert, "alert %s was changed after it was raised", r.ID)
	}
	if len(r.Attestations) != 1 || r.Attestations[0].Score != r.Score || r.Attestations[0].InputRoot != r.InputRoot || r.Attestations[0].AsOfBlock != r.AsOfBlock {
		return failed(stepAlert, "its first attestation does not say what the alert says")
	}
	if r.AsOfBlock >= a.raised.block {
		return failed(stepAlert, "it names readings up to block %d, but was itself recorded in block %d", r.AsOfBlock, a.raised.block)
	}
	a.report.holds(stepAlert, "this is what was said then, unaltered since",
		"%s raised %s of shipment %s at %s (%s), with score %s: %s", r.Organisation, r.ID, r.Shipment, r.Raised, a.raised.place, r.Score, r.Message)
	return nil
}

// log builds the log from the blocks and holds it against what the organisations signed.
func (a *auditing) log() error {
	var agree, behind []string
	for _, id := range sortedKeys(a.members) {
		checkpoint := a.anchored[id]
		if checkpoint == nil || checkpoint.Size <= a.raised.leaf {
			behind = append(behind, id)
			continue
		}
		size, root, err := a.open(id, checkpoint)
		switch {
		case err != nil:
			return failed(stepLog, "the checkpoint of %s: %v", id, err)
		case size > uint64(len(a.leaves)):
			return failed(stepLog, "%s signed a log of %d transactions, these blocks hold %d", id, size, len(a.leaves))
		case evidence.Root(a.leaves[:size]) != root:
			return failed(stepLog, "the first %d transactions of these blocks are not those that %s signed", size, id)
		}
		agree = append(agree, id)
	}
	found := fmt.Sprintf("%d blocks hold %d transactions of ours that were valid; the alert is number %d.", a.height, len(a.leaves), a.raised.leaf)
	if len(agree) > 0 {
		found += fmt.Sprintf(" Signed checkpoints of %s have the same root.", strings.Join(agree, ", "))
	}
	if len(behind) > 0 {
		found += fmt.Sprintf(" No checkpoint that reaches the alert is anchored by: %s.", strings.Join(behind, ", "))
	}
	proves := "the peer that was asked shows what the signing organisations saw"
	if len(agree) == 0 {
		proves = "only what this peer says: no organisation has signed that far yet"
	}
	a.report.holds(stepLog, proves, "%s", found)
	return nil
}

// open checks a checkpoint under any key that the organisation has had: it may have changed it since.
func (a *auditing) open(id string, c *provenance.Checkpoint) (size uint64, root provenance.Hash, err error) {
	for _, member := range slices.Backward(a.members[id]) {
		verifier, invalid := note.NewVerifier(member.value.LogKey)
		if invalid != nil {
			err = invalid
			continue
		}
		if size, root, err = evidence.OpenCheckpoint(c.Note, verifier, a.channel); err == nil {
			return size, root, nil
		}
	}
	return size, root, err
}

func (a *auditing) model() error {
	r := a.raised.value
	name := r.ModelName + " " + r.ModelVersion
	registered := inForce(a.models[provenance.ModelKey(r.ModelName, r.ModelVersion)], a.raised.place)
	if registered == nil {
		return failed(stepModel, "model %s was not registered when the alert was raised", name)
	}
	m, loaded := registered.value, provenance.Hash(a.request.Model.Hash())
	if m.Hash != r.ModelHash {
		return failed(stepModel, "model %s is registered with weights %s, the alert names %s", name, m.Hash, r.ModelHash)
	}
	if loaded != m.Hash {
		return failed(stepModel, "the alert was scored with weights %s, here are %s: give the file of %s with --model", m.Hash, loaded, name)
	}
	arithmetic := "this program's arithmetic, " + m.Kernel
	if m.Kernel != service.Kernel() {
		arithmetic = fmt.Sprintf("arithmetic %s (this program's is %s, so a difference below may come from that)", m.Kernel, service.Kernel())
	}
	a.report.holds(stepModel, "the weights here are, byte for byte, those that scored",
		"model %s was registered by %s in %s; the file here has its hash %s; %s", name, m.Organisation, registered.place, m.Hash, arithmetic)
	if root := provenance.Hash(a.request.Model.TrainingData()); root != m.TrainingRoot {
		return failed(stepTraining, "the weights name training data with root %s, the ledger %s", root, m.TrainingRoot)
	}
	a.report.holds(stepTraining, "which data the model was trained on cannot be exchanged afterwards", "the weights name training data with root %s, as the ledger does", m.TrainingRoot)
	return nil
}

// plans gives the shipment's versions that the score may have gone by: the one in force at the end of the alert's last block first, then
// those until the alert, for a scorer reads the plan when it scores.
func (a *auditing) plans() ([]version[*provenance.Shipment], error) {
	r := a.raised.value
	var plans []version[*provenance.Shipment]
	for _, v := range a.shipments[r.Shipment] {
		if v.block <= r.AsOfBlock {
			plans = plans[:0]
		}
		if v.before(a.raised.place) {
			plans = append(plans, v)
		}
	}
	if len(plans) == 0 {
		return nil, failed(stepShipment, "shipment %s was not opened when the alert was raised", r.Shipment)
	}
	return plans, nil
}

// evidence reads the readings of every device that was ever attached, and proves each.
func (a *auditing) evidence(ctx context.Context, source Source, plans []version[*provenance.Shipment]) (err error) {
	ours, last := map[string]bool{}, a.raised.value.AsOfBlock
	for _, v := range a.shipments[a.raised.value.Shipment] {
		for _, t := range v.value.Attachments {
			ours[t.Device] = true
		}
	}
	for _, t := range a.standing.Attestations {
		last = max(last, t.AsOfBlock)
	}
	if last >= a.height {
		return failed(stepAttestations, "readings up to block %d are named, the ledger has %d blocks", last, a.height)
	}
	if a.proven, err = a.readProven(ctx, source, a.request.Chaincode, last+1, ours); err != nil {
		return err
	}
	p := a.proven
	s := plans[0].value
	a.report.holds(stepShipment, "these are the terms that the parties agreed on then",
		"shipment %s of %s under profile %s: %s to %s °C, %d min outside are allowed (%s)", s.ID, strings.Join(s.Parties, ", "), s.Profile, s.Limits.Min, s.Limits.Max, s.Limits.AllowedMinutes, plans[0].place)
	a.report.holds(stepBatches, "no frame was left out, added or exchanged since it was recorded",
		"%d batches hold frames of its devices; the %d frames in them have the roots that the manifests on the ledger name", p.batches, p.all)
	hidden := ""
	if p.hidden > 0 {
		hidden = fmt.Sprintf("; the payloads of %d are confidential and not on the channel", p.hidden)
	}
	a.report.holds(stepFrames, "each value is what the device signed, under a key that the ledger had for it then",
		"%d frames of its devices carry good signatures, and payloads with the hash that was signed%s", p.frames, hidden)
	var devices []string
	for _, id := range sortedKeys(p.used) {
		d := p.used[id]
		signer := "signs itself"
		if d.Attestation == provenance.ByEdge {
			signer = "an edge signs for it"
		}
		devices = append(devices, fmt.Sprintf("%s of %s (%s in %s, %s, calibration due %s)", d.ID, d.Organisation, d.Quantity, d.Unit, signer, d.CalibrationDue))
	}
	a.report.holds(stepDevices, "these organisations answer for the sensors", "%s", strings.Join(devices, "; "))
	return nil
}

// score computes the score anew under each plan that may have been in force, and compares bits.
func (a *auditing) score(plans []version[*provenance.Shipment]) error {
	r := a.raised.value
	var seen []service.Reading
	var plan *version[*provenance.Shipment]
	for i := range plans {
		if input := a.proven.input(plans[i].value, r.AsOfBlock); plan == nil || service.InputRoot(input) == r.InputRoot {
			seen, plan = input, &plans[i]
			if computed, err := a.compute(plan.value, seen, r.ID, true); err == nil && computed.difference(r) == "" {
				break
			}
		}
	}
	if root := service.InputRoot(seen); root != r.InputRoot || uint64(len(seen)) != r.Readings {
		return failed(stepInput, "the ledger holds %d readings of shipment %s up to block %d, with root %s; the alert names %d with root %s",
			len(seen), r.Shipment, r.AsOfBlock, root, r.Readings, r.InputRoot)
	}
	first, last, devices := extent(seen)
	if (provenance.Interval{From: first, To: last}) != r.Interval || !slices.Equal(devices, r.Devices) {
		return failed(stepInput, "the readings are of %s from %s to %s; the alert says %s from %s to %s",
			strings.Join(devices, ", "), first, last, strings.Join(r.Devices, ", "), r.Interval.From, r.Interval.To)
	}
	later := ""
	if plan != &plans[0] {
		later = fmt.Sprintf(", under the shipment's terms of %s", plan.place)
	}
	a.report.holds(stepInput, "the score saw these readings and no others",
		"%d readings recorded up to block %d, from %s to %s%s, have the alert's input root %s", len(seen), r.AsOfBlock, first, last, later, r.InputRoot)
	computed, err := a.compute(plan.value, seen, r.ID, true)
	if err != nil {
		return failed(stepScore, "%v", err)
	}
	a.report.Computed = &computed.Score
	if difference := computed.difference(r); difference != "" {
		return failed(stepScore, "computed anew, %s", difference)
	}
	a.report.holds(stepScore, "anyone with these readings and this model gets this score, on any machine",
		"computed anew: score %s, the sentence and all %d numbers behind it are the alert's, bit for bit", computed.Score.Score, len(computed.Drivers))
	return nil
}

// attestations computes what each other organisation put its name to, from the readings that it names.
func (a *auditing) attestations() error {
	others := a.standing.Attestations[min(1, len(a.standing.Attestations)):]
	if len(others) == 0 {
		a.report.holds(stepAttestations, "", "no other organisation has attested it yet")
		return nil
	}
	for _, t := range others {
		if difference := a.attestation(t); difference != "" {
			a.report.differs(stepAttestations, fmt.Sprintf("%s attests it by its own score %s as of block %d: %s", t.Organisation, t.Score, t.AsOfBlock, difference))
			continue
		}
		a.report.holds(stepAttestations, "it came to this by itself, from the ledger's readings", "%s attests it by its own score %s as of block %d; computed anew, it is the same", t.Organisation, t.Score, t.AsOfBlock)
	}
	return nil
}

func (a *auditing) attestation(t provenance.AlertAttestation) (difference string) {
	difference = "there was no such shipment"
	for _, v := range a.shipments[a.standing.Shipment] {
		seen := a.proven.input(v.value, t.AsOfBlock)
		if root := service.InputRoot(seen); root != t.InputRoot {
			difference = fmt.Sprintf("the readings have root %s, it names %s", root, t.InputRoot)
			continue
		}
		computed, err := a.compute(v.value, seen, a.standing.ID, false)
		switch {
		case err != nil:
			difference = err.Error()
		case computed.Score.Score != t.Score:
			difference = fmt.Sprintf("the score is %s", computed.Score.Score)
		default:
			return ""
		}
	}
	return difference
}

type computed struct{ recompute.Score }

func (a *auditing) compute(shipment *provenance.Shipment, seen []service.Reading, alert string, exact bool) (computed, error) {
	findings, err := recompute.All(shipment, a.request.Model, seen)
	if err != nil {
		return computed{}, err
	}
	score, err := recompute.Alert(findings, alert, exact)
	return computed{score}, err
}

// difference says what differs from the record, nothing where not a bit does.
func (c computed) difference(r *provenance.Alert) string {
	switch {
	case c.Kind != r.Kind:
		return fmt.Sprintf("it is %s, the alert says %s", c.Kind, r.Kind)
	case c.Score.Score != r.Score:
		return fmt.Sprintf("the score is %s, the alert says %s", c.Score.Score, r.Score)
	case c.Message != r.Message:
		return fmt.Sprintf("the sentence is %q, the alert says %q", c.Message, r.Message)
	case len(c.Drivers) != len(r.Drivers):
		return fmt.Sprintf("there are %d numbers behind it, the alert has %d", len(c.Drivers), len(r.Drivers))
	}
	for i, d := range c.Drivers {
		if t := r.Drivers[i]; d != t {
			return fmt.Sprintf("%s is %s %s, the alert says %s %s %s", d.Name, d.Value, d.Unit, t.Name, t.Value, t.Unit)
		}
	}
	return ""
}

func extent(readings []service.Reading) (first, last provenance.Time, devices []string) {
	for i, r := range readings {
		if i == 0 {
			first, last = r.Time, r.Time
		}
		first, last = min(first, r.Time), max(last, r.Time)
		if k, found := slices.BinarySearch(devices, r.Device); !found {
			devices = slices.Insert(devices, k, r.Device)
		}
	}
	return first, last, devices
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
