package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestRaiseWritesAnAlertThatOthersAttest(t *testing.T) {
	w := newScene(t)
	r := alertRequest("standing")
	first := provenance.AlertAttestation{Organisation: maker, Score: r.Score, InputRoot: r.InputRoot, AsOfBlock: 12, Time: start}
	want := &provenance.Alert{
		ID: "standing", Shipment: "ship", Kind: r.Kind, Score: r.Score, ModelName: "m", ModelVersion: "1", ModelHash: provenance.Hash{1},
		InputRoot: r.InputRoot, Interval: provenance.Interval{From: r.From, To: r.To}, AsOfBlock: 12, Devices: r.Devices, Readings: 20,
		Message: r.Message, Drivers: r.Drivers, Raised: start, Organisation: maker, Attestations: []provenance.AlertAttestation{first},
	}
	require.Equal(t, want, at[provenance.Alert](w, "a/ship/standing"))
	r.Score++
	w.mustKeep(maker, "alerts:Raise", r) // an organisation's first word stands
	w.now += minute
	w.must(regulator, "alerts:Raise", r)
	w.must(carrier, "alerts:Raise", r)
	w.mustKeep(carrier, "alerts:Raise", r)
	alert := at[provenance.Alert](w, "a/ship/standing")
	second := provenance.AlertAttestation{Organisation: carrier, Score: r.Score, InputRoot: r.InputRoot, AsOfBlock: 12, Time: w.now}
	third := second
	third.Organisation = regulator
	want.Attestations = []provenance.AlertAttestation{first, second, third}
	require.Equal(t, want, alert, "the finding itself does not change")
	require.Equal(t, alert, answer[provenance.Alert](w, w.mustKeep(regulator, "alerts:Get", provenance.AlertName{Shipment: "ship", ID: "standing"})))

	r.ID, r.Drivers = "another", nil
	w.must(maker, "alerts:Raise", r)
	list := *answer[[]provenance.Alert](w, w.mustKeep(regulator, "alerts:List", provenance.ByID{ID: "ship"}))
	require.Len(t, list, 2)
	require.Equal(t, "another", list[0].ID)
}

func TestRaiseRefusals(t *testing.T) {
	w := newScene(t)
	for want, change := range map[string]func(*provenance.AlertRequest){
		"not-found: shipment none is not on the ledger": func(r *provenance.AlertRequest) { r.Shipment = "none" },
		"not-found: model m 2 is not registered":        func(r *provenance.AlertRequest) { r.ModelVersion = "2" },
		"conflict: device s2 was not attached to shipment ship between 2026-11-20T07:40:00.000Z and 2026-11-20T08:00:00.000Z": func(r *provenance.AlertRequest) { r.Devices = []string{"s1", "s2"} },
		"conflict: device s1 was not attached to shipment ship between 2026-11-20T07:01:00.000Z and 2026-11-20T07:29:59.999Z": func(r *provenance.AlertRequest) {
			r.From, r.To = start-59*minute, start-30*minute-1
		},
		"conflict: alert standing of shipment ship stands as spoilage-predicted by model m 1": func(r *provenance.AlertRequest) {
			r.ID, r.Kind = "standing", provenance.KindAnomaly
		},
		`invalid: alert n: kind "boredom" is unknown`:                   func(r *provenance.AlertRequest) { r.Kind = "boredom" },
		"invalid: alert n: its interval ends before it begins":          func(r *provenance.AlertRequest) { r.To = r.From - 1 },
		"invalid: from: -1 is not a time in milliseconds since 1970":    func(r *provenance.AlertRequest) { r.From = -1 },
		"invalid: to: 0 is not a time in milliseconds since 1970":       func(r *provenance.AlertRequest) { r.To = 0 },
		"invalid: alert n: 0 devices, 1 to 256 are allowed":             func(r *provenance.AlertRequest) { r.Devices = nil },
		"invalid: alert n: devices must be in order, each once":         func(r *provenance.AlertRequest) { r.Devices = []string{"s1", "s1"} },
		"invalid: device: an identifier is missing":                     func(r *provenance.AlertRequest) { r.Devices = []string{""} },
		"invalid: alert n saw no readings":                              func(r *provenance.AlertRequest) { r.Readings = 0 },
		"invalid: alert n: 33 drivers, at most 32 are allowed":          func(r *provenance.AlertRequest) { r.Drivers = make([]provenance.Driver, 33) },
		"invalid: name of a driver is missing":                          func(r *provenance.AlertRequest) { r.Drivers[0].Name = "" },
		"invalid: unit of a driver of 17 bytes, at most 16 are allowed": func(r *provenance.AlertRequest) { r.Drivers[0].Unit = "12345678901234567" },
		"invalid: message is missing":                                   func(r *provenance.AlertRequest) { r.Message = "\n" },
		"invalid: message of 2001 bytes, at most 2000 are allowed":      func(r *provenance.AlertRequest) { r.Message = string(make([]byte, 2001)) },
	} {
		r := alertRequest("n")
		change(&r)
		w.refused(maker, "alerts:Raise", r, want)
	}
	w.refused(regulator, "alerts:Raise", alertRequest("n"), "forbidden: RegulatorMSP is no party of shipment ship; it may attest an alert that a party has raised")
	w.refused(maker, "alerts:Get", provenance.AlertName{Shipment: "ship", ID: "n"}, "not-found: alert n of shipment ship is not on the ledger")
}

func TestAcknowledgeOnceWithAComment(t *testing.T) {
	w := newScene(t)
	r := provenance.AcknowledgeRequest{Shipment: "ship", ID: "standing", Person: "Q. Officer", Comment: "Door was open; goods moved."}
	empty := r
	empty.Comment = "  "
	w.refused(carrier, "alerts:Acknowledge", empty, "invalid: comment is missing")
	empty = r
	empty.Person = ""
	w.refused(carrier, "alerts:Acknowledge", empty, "invalid: person is missing")
	w.refused(regulator, "alerts:Acknowledge", r, "forbidden: RegulatorMSP is no party of shipment ship")
	w.must(carrier, "alerts:Acknowledge", r)
	require.Equal(t, &provenance.Acknowledgement{Organisation: carrier, Person: r.Person, Comment: r.Comment, Time: start},
		at[provenance.Alert](w, "a/ship/standing").Acknowledgement)
	w.mustKeep(carrier, "alerts:Acknowledge", r)
	const standing = "conflict: alert standing was acknowledged by Q. Officer of CarrierMSP at 2026-11-20T08:00:00.000Z"
	w.refused(maker, "alerts:Acknowledge", r, standing)
	r.Comment = "Second thoughts."
	w.refused(carrier, "alerts:Acknowledge", r, standing)
	r.ID = "none"
	w.refused(carrier, "alerts:Acknowledge", r, "not-found: alert none of shipment ship is not on the ledger")
}

func TestModelsNeverChange(t *testing.T) {
	w := newTrade(t)
	r := modelRequest("1.0.0")
	w.must(maker, "models:Register", r)
	require.Equal(t, &provenance.Model{Name: "m", Version: "1.0.0", Hash: r.Hash, Kernel: "k1", TrainingRoot: r.TrainingRoot, Organisation: maker, Registered: start},
		answer[provenance.Model](w, w.mustKeep(carrier, "models:Get", provenance.ModelName{Name: "m", Version: "1.0.0"})))
	w.mustKeep(maker, "models:Register", r)
	w.mustKeep(carrier, "models:Register", r)
	r.Hash[0]++
	w.refused(maker, "models:Register", r, "conflict: model m 1.0.0 was registered by ManufacturerMSP with other content; register another version")
	r.Hash = provenance.Hash{}
	w.refused(maker, "models:Register", r, "invalid: model m 1.0.0: the weights' hash or the training data's root is missing")
	w.refused(maker, "models:Register", provenance.ModelRequest{Name: "m", Version: "1"}, "invalid: kernel: an identifier is missing")
	w.refused(maker, "models:Get", provenance.ModelName{Name: "m", Version: "2"}, "not-found: model m 2 is not registered")
}
