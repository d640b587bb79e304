package contract

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestWhoMayCall is the table (function, organisation): maker opened the shipment and owns the device, carrier is a party and
// owns a device, regulator is neither, and a stranger is not even registered.
func TestWhoMayCall(t *testing.T) {
	const stranger = "StrangerMSP"
	all := []string{maker, carrier, regulator, stranger}
	registered := []string{maker, carrier, regulator}
	parties := []string{maker, carrier}
	alert := alertRequest("standing")
	fresh := alertRequest("fresh")
	table := []struct {
		function string
		request  func(w *world, caller string) any
		allowed  []string
	}{
		{"organisations:Register", func(_ *world, caller string) any {
			return provenance.Registration{Name: caller, LogKey: logKeys(caller).public}
		}, all},
		{"organisations:Register", func(*world, string) any {
			return provenance.Registration{Name: maker, LogKey: logKeys(maker).public}
		}, []string{maker}},
		{"organisations:RotateLogKey", func(_ *world, caller string) any {
			return provenance.LogKeyRotation{LogKey: logKeys(caller).public}
		}, nil}, // none is an administrator
		{"organisations:Get", constant(provenance.ByID{ID: maker}), all},
		{"organisations:List", constant(provenance.Page{}), all},
		{"devices:EnrolMany", constant(provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("new", 0)}}), all},
		{"devices:EnrolMany", constant(provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("s1", 0)}}), []string{maker}},
		{"devices:Suspend", constant(provenance.ByID{ID: "s1"}), []string{maker}},
		{"devices:Reactivate", constant(provenance.ByID{ID: "s1"}), []string{maker}},
		{"devices:Revoke", constant(provenance.ByID{ID: "c1"}), []string{carrier}},
		{"devices:RotateKey", constant(provenance.KeyRotation{ID: "s1", Epoch: 2, Key: coseKey(deviceKey("s1", 1))}), []string{maker}},
		{"devices:StartEpoch", constant(provenance.EpochStart{ID: "s1", Epoch: 2}), []string{maker}},
		{"devices:Calibrate", constant(provenance.Calibration{ID: "c1", CalibrationDue: start}), []string{carrier}},
		{"devices:Get", constant(provenance.ByID{ID: "s1"}), all},
		{"devices:List", constant(provenance.Page{}), all},
		{"shipments:Open", constant(opening("new")), registered},
		{"shipments:SetParties", constant(provenance.PartiesRequest{Shipment: "ship", Parties: parties}), []string{maker}},
		{"shipments:Attach", constant(provenance.AttachRequest{Shipment: "ship", Device: "c1", From: start}), parties},
		{"shipments:Detach", constant(provenance.DetachRequest{Shipment: "ship", Device: "s1", At: start}), parties},
		{"shipments:Replace", constant(provenance.ReplaceRequest{Shipment: "ship", Device: "s1", With: "s2", At: start}), parties},
		{"shipments:Close", constant(provenance.CloseRequest{Shipment: "ship", At: start}), parties},
		{"shipments:Get", constant(provenance.ByID{ID: "ship"}), all},
		{"shipments:List", constant(provenance.Page{}), all},
		{"lanes:Claim", constant(provenance.LaneClaim{Lane: 9, Owner: "x"}), all}, // each its own
		{"lanes:Get", constant(provenance.LaneName{Organisation: maker}), all},
		{"readings:Commit", func(w *world, _ string) any {
			return w.batch(maker, 0, 2, shot{device: "s1", sequence: 2})
		}, []string{maker}},
		{"readings:Head", constant(provenance.HeadName{Device: "s1", Epoch: 1}), all},
		{"readings:Manifest", constant(provenance.ManifestName{Organisation: maker, Number: 1}), all},
		{"models:Register", constant(modelRequest("new")), all},
		{"models:Get", constant(provenance.ModelName{Name: "m", Version: "1"}), all},
		{"alerts:Raise", constant(fresh), parties},
		{"alerts:Raise", constant(alert), all}, // an attestation
		{"alerts:Acknowledge", constant(provenance.AcknowledgeRequest{Shipment: "ship", ID: "standing", Person: "Q", Comment: "seen"}), parties},
		{"alerts:Get", constant(provenance.AlertName{Shipment: "ship", ID: "standing"}), all},
		{"alerts:List", constant(provenance.ByID{ID: "ship"}), all},
		{"registry:Register", constant(provenance.LicenceRequest{Key: "7654321", From: start}), registered}, // each its own
		{"registry:Register", constant(provenance.LicenceRequest{Key: makerPrefix, From: start}), []string{maker}},
		{"registry:End", constant(provenance.LicenceEnd{Key: makerPrefix, At: start + minute}), []string{maker}},
		{"registry:DeclareRole", constant(provenance.RoleRequest{Role: provenance.RoleCarrier, From: start}), registered},
		{"registry:EndRole", constant(provenance.RoleEnd{Role: provenance.RoleManufacturer, At: start + minute}), []string{maker}},
		{"registry:Get", constant(provenance.ByID{ID: makerPrefix}), all},
		{"registry:List", constant(provenance.Page{}), all},
		{"registry:Roles", constant(provenance.ByID{ID: maker}), all},
		{"registry:Licensee", constant(provenance.LicenseeRequest{ID: thing(1), At: start}), all},
		{"events:Capture", func(w *world, _ string) any {
			return captureArgument(w, false, object("OBSERVE", "storing", start, thing(77)))
		}, registered}, // of goods that nobody has seen
		{"events:Capture", func(w *world, _ string) any {
			return captureArgument(w, false, object("OBSERVE", "storing", start+minute, thing(1)))
		}, []string{maker}},
		{"events:Capture", func(w *world, _ string) any {
			return captureArgument(w, false, object("OBSERVE", "receiving", start+minute, thing(2)))
		}, parties}, // it is offered to the carrier
		{"events:Get", func(w *world, _ string) any { return provenance.EventName{Hash: w.item(thing(1)).LastEvent} }, all},
		{"events:Job", func(w *world, _ string) any {
			event := at[provenance.Event](w, provenance.EventKey(w.item(thing(1)).LastEvent))
			return provenance.CaptureName{Organisation: maker, ID: event.Capture}
		}, all},
		{"events:Item", constant(provenance.GoodsName{ID: thing(1)}), all},
		{"custody:Offer", constant(provenance.OfferRequest{ID: "h9", To: carrier, Goods: []string{thing(3)}}), []string{maker}},
		{"custody:Offer", constant(provenance.OfferRequest{ID: "h9", To: carrier, Shipment: "ship"}), []string{maker}},
		{"custody:Accept", constant(provenance.ByID{ID: "h1"}), []string{carrier}},
		{"custody:Refuse", constant(provenance.RefuseRequest{ID: "h1", Reason: "x"}), []string{carrier}},
		{"custody:Withdraw", constant(provenance.RefuseRequest{ID: "h1", Reason: "x"}), []string{maker}},
		{"custody:Get", constant(provenance.ByID{ID: "h1"}), all},
		{"custody:Holder", constant(provenance.HolderRequest{Goods: thing(1)}), all},
		{"recalls:Open", constant(provenance.RecallRequest{ID: "r9", Goods: []string{thing(3)}, Reason: "x"}), []string{maker}},
		{"recalls:Freeze", constant(provenance.FreezeRequest{Recall: "r1", Edges: []provenance.RecallEdge{{From: lotA, To: thing(1)}}}), []string{maker}},
		{"recalls:Answer", constant(provenance.AnswerRequest{Recall: "r1", Goods: []string{lotA}, Answer: provenance.AnswerSold, Person: "Q"}), []string{maker}},
		{"recalls:Close", constant(provenance.CloseRecall{ID: "r1", Conclusion: "x"}), []string{maker}},
		{"recalls:Get", constant(provenance.ByID{ID: "r1"}), all},
		{"recalls:List", constant(provenance.Page{}), all},
		{"recalls:Thing", constant(provenance.RecalledName{Recall: "r1", ID: lotA}), all},
		{"recalls:Things", constant(provenance.RecalledPage{Recall: "r1"}), all},
		{"checkpoints:Anchor", func(_ *world, caller string) any {
			return provenance.AnchorRequest{Note: signedCheckpoint(caller, 9, 1)}
		}, registered},
		{"checkpoints:Anchor", func(*world, string) any {
			return provenance.AnchorRequest{Note: signedCheckpoint(maker, 9, 1)}
		}, []string{maker}},
		{"checkpoints:Get", constant(provenance.CheckpointName{Organisation: maker, Size: 5}), all},
		{"checkpoints:Contradiction", constant(provenance.ContradictionName{Size: 5}), all},
	}
	table = append(table, governanceAccess()...)
	met := map[string]bool{}
	for _, row := range table {
		met[row.function] = true
		for _, caller := range all {
			t.Run(row.function+"/"+caller, func(t *testing.T) {
				w := newScene(t)
				_, err := w.submit(caller, row.function, row.request(w, caller))
				if slices.Contains(row.allowed, caller) {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				require.NotNil(t, provenance.ParseError(err.Error()), "%v is no refusal that a person may read", err)
			})
		}
	}
	for _, function := range functionsOf(t) {
		require.True(t, met[function], "%s is not in the table", function)
	}
}

func constant(request any) func(*world, string) any {
	return func(*world, string) any { return request }
}

// newScene is a trade with a shipment on the road.
func newScene(t testing.TB) *world {
	w := newFleet(newTrade(t), "s1", "s2")
	w.enrol(carrier, 0, "c1")
	w.must(maker, "shipments:Open", opening("ship", carrier))
	w.must(maker, "shipments:Attach", provenance.AttachRequest{Shipment: "ship", Device: "s1", From: start - 30*minute})
	w.commitBatch(maker, 0, shot{device: "s1", sequence: 1})
	w.must(maker, "models:Register", modelRequest("1"))
	w.must(maker, "alerts:Raise", alertRequest("standing"))
	w.must(maker, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(maker, 5, 1)})
	w.must(carrier, "checkpoints:Anchor", provenance.AnchorRequest{Note: signedCheckpoint(carrier, 5, 2)})
	w.must(maker, "registry:Register", provenance.LicenceRequest{Key: makerPrefix, From: start})
	w.must(maker, "registry:DeclareRole", provenance.RoleRequest{Role: provenance.RoleManufacturer, From: start})
	w.report(maker, object("ADD", "commissioning", start, thing(1), thing(2), thing(3)).with("ilmd", fields{"cbvmda:lotNumber": "A1"}))
	w.must(maker, "custody:Offer", provenance.OfferRequest{ID: "h1", To: carrier, Goods: []string{thing(2)}})
	w.must(maker, "recalls:Open", provenance.RecallRequest{ID: "r1", Goods: []string{lotA}, Reason: "exercise", Drill: true})
	return w
}

func modelRequest(version string) provenance.ModelRequest {
	return provenance.ModelRequest{Name: "m", Version: version, Hash: provenance.Hash{1}, Kernel: "k1", TrainingRoot: provenance.Hash{2}}
}

func alertRequest(id string) provenance.AlertRequest {
	return provenance.AlertRequest{
		ID: id, Shipment: "ship", Kind: provenance.KindSpoilage, Score: 910_000, ModelName: "m", ModelVersion: "1", InputRoot: provenance.Hash{3},
		From: start - 20*minute, To: start, AsOfBlock: 12, Devices: []string{"s1"}, Readings: 20, Message: "Predicted spoiled in 31 h.",
		Drivers: []provenance.Driver{{Name: "mean temperature", Value: 9_100_000, Unit: "Cel"}},
	}
}

// functionsOf lists the chaincode's functions from its own metadata.
func functionsOf(t testing.TB) []string {
	w := newWorld(t)
	s, response := w.simulate(0, identity(maker, "client"), "org.hyperledger.fabric:GetMetadata", nil)
	require.Empty(t, s.writes)
	type meta struct {
		Contracts map[string]struct{ Transactions []struct{ Name string } }
	}
	described := answer[meta](w, string(response.GetPayload()))
	functions := []string{}
	for contract, c := range described.Contracts {
		if strings.HasPrefix(contract, "org.hyperledger") {
			continue
		}
		for _, transaction := range c.Transactions {
			functions = append(functions, contract+":"+transaction.Name)
		}
	}
	require.NotEmpty(t, functions)
	return functions
}
