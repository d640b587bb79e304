package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/analytics/autoencoder"
	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/analytics/thermal"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/audit/recompute"
	"github.com/trailmark/trailmark/gateway/ledger"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

var dawn = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

// story is a ledger with an alert on it, and how to tell it otherwise.
type story struct {
	late     bool // an hour of readings comes last
	strange  bool // a reading that no sensor can mean
	replan   bool // the limits change between the readings and the alert
	score    func(a *provenance.Alert)
	batch    func(t *ledgertest.Transaction)
	register func(m *provenance.Model)
	revise   func(a *provenance.Alert) // a second version of the alert
	fork     bool                      // an organisation signs another log
}

func (s story) tell(t testing.TB) (*ledgertest.Chain, string) {
	t.Helper()
	model, err := autoencoder.Default()
	require.NoError(t, err)
	c := ledgertest.NewChain(provenance.TimeOf(dawn.Add(48 * time.Hour)))
	c.Register("CarrierMSP")
	c.Register("RegulatorMSP")
	c.Enrol("CarrierMSP", 0, "probe-a", "probe-b", "elsewhere")
	c.Cut()
	r := service.Registration(model)
	registered := &provenance.Model{Name: r.Name, Version: r.Version, Hash: r.Hash, Kernel: r.Kernel, TrainingRoot: r.TrainingRoot, Organisation: "CarrierMSP", Registered: c.Now}
	if s.register != nil {
		s.register(registered)
	}
	c.Put("CarrierMSP", "models:Register", map[string]any{provenance.ModelKey(r.Name, r.Version): registered})
	shipment := provenance.Shipment{
		ID: "shp-1", Organisation: "CarrierMSP", Parties: []string{"CarrierMSP"}, Profile: "milk-pasteurised", Initial: 2_400_000,
		Goods: []provenance.Goods{}, Limits: provenance.Limits{Min: -500_000, Max: 7_200_000, AllowedMinutes: 240},
		Attachments: []provenance.Attachment{{Device: "probe-a", From: provenance.TimeOf(dawn)}, {Device: "probe-b", From: provenance.TimeOf(dawn.Add(90 * time.Minute))}},
	}
	c.Put("CarrierMSP", "shipments:Open", map[string]any{provenance.ShipmentKey(shipment.ID): &shipment})
	c.Cut()

	truck, err := thermal.New(thermal.Config{Seed: 5, Start: dawn, Setpoint: 5, Ambient: 26, Probes: 3, Fault: thermal.CompressorFailure, FaultAt: 8 * time.Hour})
	require.NoError(t, err)
	names := []string{"probe-a", "probe-b", "elsewhere"}
	var hours [][]ledgertest.Frame
	for hour := range 22 {
		frames := make([]ledgertest.Frame, 3)
		for k := range frames {
			frames[k] = ledgertest.Frame{Device: names[k], Sequence: uint64(hour + 1)}
		}
		for range 60 {
			sample := truck.Step()
			for k, v := range sample.Readings {
				frames[k].Readings = append(frames[k].Readings, provenance.Reading{Time: provenance.TimeOf(sample.Time), Value: provenance.Micro(v)})
			}
		}
		hours = append(hours, frames)
	}
	if s.strange {
		hours[3][0].Readings[7].Value = -300_000_000
	}
	if s.late {
		hours = append(slices.Delete(slices.Clone(hours), 4, 5), hours[4])
	}
	var seen []service.Reading
	for i, frames := range hours {
		c.Commit("CarrierMSP", 0, append(frames, ledgertest.Frame{Device: "probe-a", Sequence: 99, Readings: frames[0].Readings, Forged: true})...)
		c.Cut()
		if s.batch != nil && i == 6 {
			rewrite(t, c, s.batch)
		}
		for _, f := range frames {
			for _, r := range f.Readings {
				if slices.ContainsFunc(shipment.Attachments, func(a provenance.Attachment) bool { return a.Device == f.Device && a.Holds(r.Time) }) {
					seen = append(seen, service.Reading{Device: f.Device, Time: r.Time, Value: r.Value})
				}
			}
		}
	}
	asOf := uint64(len(c.Blocks) - 1)
	changed := shipment
	if s.replan {
		changed.Limits.Max, changed.Changed = 6_500_000, c.Now
		c.Put("CarrierMSP", "shipments:Limit", map[string]any{provenance.ShipmentKey(shipment.ID): &changed})
		c.Cut()
	}
	findings, err := recompute.All(&changed, model, seen)
	require.NoError(t, err)
	require.NotEmpty(t, findings)
	found := recompute.Of(&findings[0])
	first, last, devices := extent(seen)
	word := provenance.AlertAttestation{Organisation: "CarrierMSP", Score: found.Score, InputRoot: service.InputRoot(seen), AsOfBlock: asOf, Time: c.Now}
	alert := provenance.Alert{
		ID: found.Alert, Shipment: "shp-1", Kind: found.Kind, Score: found.Score, ModelName: r.Name, ModelVersion: r.Version, ModelHash: r.Hash, InputRoot: word.InputRoot,
		Interval: provenance.Interval{From: first, To: last}, AsOfBlock: asOf, Devices: devices, Readings: uint64(len(seen)), Message: found.Message, Drivers: found.Drivers,
		Raised: c.Now, Organisation: "CarrierMSP", Attestations: []provenance.AlertAttestation{word},
	}
	if s.score != nil {
		s.score(&alert)
	}
	key := provenance.AlertKey(alert.Shipment, alert.ID)
	c.Put("CarrierMSP", "alerts:Raise", map[string]any{key: &alert})
	c.Cut()
	again := alert
	word.Organisation = "RegulatorMSP"
	again.Attestations = append(slices.Clone(alert.Attestations), word)
	if s.revise != nil {
		s.revise(&again)
	}
	c.Put("RegulatorMSP", "alerts:Raise", map[string]any{key: &again})
	c.Cut()

	h, err := readHistory(t.Context(), ledgertest.Source(c.Blocks), ledgertest.Channel, ledgertest.Chaincode, uint64(len(c.Blocks)))
	require.NoError(t, err)
	root := evidence.Root(h.leaves)
	if s.fork {
		root[0] ^= 1
	}
	c.Anchor("RegulatorMSP", uint64(len(h.leaves)), root)
	c.Cut()
	return c, alert.ID
}

func audit(t testing.TB, c *ledgertest.Chain, name string) (*Report, error) {
	t.Helper()
	model, err := autoencoder.Default()
	require.NoError(t, err)
	return Run(t.Context(), ledgertest.Source(c.Blocks), Request{
		Alert: name, Model: model, Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode, Height: uint64(len(c.Blocks)),
	})
}

// TestAnHonestLedgerHolds: in order, back-filled, with a reading that no score can use, and with terms that changed just before the alert.
func TestAnHonestLedgerHolds(t *testing.T) {
	for name, s := range map[string]story{"in order": {}, "late": {late: true}, "strange": {strange: true}, "replanned": {replan: true}} {
		t.Run(name, func(t *testing.T) {
			c, id := s.tell(t)
			for _, full := range []string{id, "shp-1/" + id} {
				r, err := audit(t, c, full)
				require.NoError(t, err)
				require.True(t, r.Holds, "%+v", r.Steps)
				require.Empty(t, r.Differs)
				var steps []string
				for _, step := range r.Steps {
					require.True(t, step.Holds)
					require.NotEmpty(t, step.Found)
					steps = append(steps, step.Step)
				}
				require.Equal(t, []string{stepAlert, stepLog, stepModel, stepTraining, stepShipment, stepBatches, stepFrames, stepDevices, stepInput, stepScore, stepAttestations}, steps)
				require.Equal(t, r.Record.Score, r.Computed.Score)
			}
		})
	}
}

// TestWhatDiffersIsNamed alters one thing at a time.
func TestWhatDiffersIsNamed(t *testing.T) {
	first := func(f func(a *provenance.Alert)) func(a *provenance.Alert) {
		return func(a *provenance.Alert) {
			f(a)
			a.Attestations[0].Score, a.Attestations[0].InputRoot, a.Attestations[0].AsOfBlock = a.Score, a.InputRoot, a.AsOfBlock
		}
	}
	for name, test := range map[string]struct {
		story
		step string
	}{
		"a score one millionth higher":      {story{score: first(func(a *provenance.Alert) { a.Score++ })}, stepScore},
		"another sentence":                  {story{score: func(a *provenance.Alert) { a.Message += " " }}, stepScore},
		"another number behind it":          {story{score: func(a *provenance.Alert) { a.Drivers = slices.Clone(a.Drivers); a.Drivers[0].Value++ }}, stepScore},
		"a number less":                     {story{score: func(a *provenance.Alert) { a.Drivers = a.Drivers[1:] }}, stepScore},
		"another kind":                      {story{score: func(a *provenance.Alert) { a.Kind = "anomaly" }}, stepScore},
		"another input":                     {story{score: first(func(a *provenance.Alert) { a.InputRoot[3] ^= 1 })}, stepInput},
		"an earlier block":                  {story{score: first(func(a *provenance.Alert) { a.AsOfBlock-- })}, stepInput},
		"a shorter interval":                {story{score: func(a *provenance.Alert) { a.Interval.To-- }}, stepInput},
		"a block to come":                   {story{score: first(func(a *provenance.Alert) { a.AsOfBlock += 9 })}, stepAlert},
		"a word that is not the alert's":    {story{score: func(a *provenance.Alert) { a.Attestations[0].Score++ }}, stepAlert},
		"a record changed afterwards":       {story{revise: func(a *provenance.Alert) { a.Message = "All is well." }}, stepAlert},
		"another organisation's score":      {story{revise: func(a *provenance.Alert) { a.Attestations[1].Score++ }}, stepAttestations},
		"another organisation's input":      {story{revise: func(a *provenance.Alert) { a.Attestations[1].InputRoot[0] ^= 1 }}, stepAttestations},
		"other weights":                     {story{register: func(m *provenance.Model) { m.Hash[0] ^= 1 }}, stepModel},
		"other training data":               {story{register: func(m *provenance.Model) { m.TrainingRoot[0] ^= 1 }}, stepTraining},
		"a log that was signed differently": {story{fork: true}, stepLog},
		"a frame exchanged in the block":    {story{batch: func(t *ledgertest.Transaction) { t.Args[0] = bytes.Clone(t.Args[0]); t.Args[0][len(t.Args[0])-1] ^= 1 }}, stepBatches},
		"a manifest with another root": {story{batch: func(t *ledgertest.Transaction) {
			alterManifest(t, func(m *provenance.Manifest) { m.Root[0] ^= 1 })
		}}, stepBatches},
		"a forged frame called accepted": {story{batch: func(t *ledgertest.Transaction) {
			alterManifest(t, func(m *provenance.Manifest) { m.Refused = nil })
		}}, stepBatches},
		"a signature that is not the device's": {story{batch: forge}, stepFrames},
	} {
		t.Run(name, func(t *testing.T) {
			c, id := test.tell(t)
			r, err := audit(t, c, id)
			require.NoError(t, err)
			require.False(t, r.Holds)
			require.Equal(t, test.step, r.Differs, "%+v", r.Steps)
			last := r.Steps[len(r.Steps)-1]
			require.False(t, last.Holds)
			require.NotEmpty(t, last.Found)
		})
	}
}

// rewrite alters the one transaction of the last block, and makes its event fit again.
func rewrite(t testing.TB, c *ledgertest.Chain, alter func(t *ledgertest.Transaction)) {
	t.Helper()
	n := len(c.Blocks) - 1
	block, err := ledger.DecodeBlock(c.Blocks[n], ledgertest.Channel, ledgertest.Chaincode)
	require.NoError(t, err)
	old := block.Transactions[0]
	changed := ledgertest.Transaction{ID: hex.EncodeToString(old.ID), Creator: old.Creator, Function: old.Function, Args: old.Args, Writes: old.Writes, Time: old.Time}
	alter(&changed)
	c.Blocks[n] = ledgertest.Block(uint64(n), changed)
}

// forge puts a frame whose signature is not its device's into the batch, with everything else to match.
func forge(t *ledgertest.Transaction) {
	batch, err := evidence.DecodeBatch(t.Args[0])
	if err != nil {
		panic(err)
	}
	raw := bytes.Clone(batch.Frames[1].Raw)
	raw[len(raw)-1] ^= 1
	batch.Frames[1].Raw = raw
	if t.Args[0], err = evidence.EncodeBatch(batch); err != nil {
		panic(err)
	}
	alterManifest(t, func(m *provenance.Manifest) {
		m.Argument = sha256.Sum256(t.Args[0])
		leaves := make([]provenance.Hash, m.Frames) // the one that was refused is the last
		for i := range leaves {
			leaves[i] = evidence.LeafHash(batch.Frames[i].Raw)
		}
		m.Root = evidence.Root(leaves)
	})
}

func alterManifest(t *ledgertest.Transaction, alter func(m *provenance.Manifest)) {
	for i, w := range t.Writes {
		state, err := evidence.DecodeState(w.Key, w.Value)
		if m, is := state.(*provenance.Manifest); err == nil && is {
			alter(m)
			t.Writes[i].Value = ledgertest.Encode(m)
		}
	}
}

// TestWhatCannotBeAudited is an error, not a verdict.
func TestWhatCannotBeAudited(t *testing.T) {
	c, id := story{}.tell(t)
	for _, name := range []string{"nothing", "shp-2/" + id, "shp-1/nothing", ""} {
		_, err := audit(t, c, name)
		var refused *provenance.Error
		require.True(t, errors.As(err, &refused) && refused.Code == provenance.NotFound, "%q: %v", name, err)
	}
	versions := func(a provenance.Alert, shipment string) map[string]any {
		a.Shipment, a.Attestations = shipment, a.Attestations[:1] // as it was raised
		return map[string]any{provenance.AlertKey(shipment, a.ID): &a}
	}
	r, err := audit(t, c, id)
	require.NoError(t, err)
	c.Put("CarrierMSP", "alerts:Raise", versions(*r.Record, "shp-2"))
	c.Cut()
	_, err = audit(t, c, id)
	require.ErrorContains(t, err, fmt.Sprintf("shp-1/%s, shp-2/%s", id, id))
	r, err = audit(t, c, "shp-2/"+id)
	require.NoError(t, err)
	require.Equal(t, stepShipment, r.Differs, "a shipment that was never opened")

	unscored, id := story{score: func(a *provenance.Alert) { a.Kind = "device-silent" }}.tell(t)
	_, err = audit(t, unscored, id)
	require.ErrorContains(t, err, "nothing to compute anew")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Run(ctx, ledgertest.Source(c.Blocks), Request{Alert: id, Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode, Height: 1000})
	require.Error(t, err)
}
