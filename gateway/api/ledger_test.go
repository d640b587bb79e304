package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (s source) Blocks(ctx context.Context, from uint64) iter.Seq[*common.Block] {
	return ledgertest.Source(s.node.chain.Blocks).Blocks(ctx, from)
}

// cut ends a block and projects it.
func (n *node) cut() {
	n.t.Helper()
	n.chain.Cut()
	require.NoError(n.t, n.project.Run(context.Background()))
}

func (n *node) members() {
	n.chain.Register("CarrierMSP")
	n.chain.Register("MakerMSP")
	n.chain.Enrol("CarrierMSP", 0, "logger-1", "logger-2", "logger-3")
	n.cut()
}

func milk(change func(*provenance.Shipment)) *provenance.Shipment {
	s := &provenance.Shipment{
		ID: "milk-1", Organisation: "MakerMSP", Parties: []string{"CarrierMSP", "MakerMSP"}, Profile: "milk-pseudomonas",
		Goods:  []provenance.Goods{{GTIN: "09506000134352", Lot: "L1", Description: "Whole milk", Quantity: 1200}, {Description: "Cream", Quantity: 7}},
		Limits: provenance.Limits{Min: 0, Max: 6e6, AllowedMinutes: 30}, Opened: start - hour, Changed: start, Origin: "Graz", Destination: "Vienna",
		Attachments: []provenance.Attachment{{Device: "logger-1", From: start}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func (n *node) open(s *provenance.Shipment) {
	n.chain.Put("MakerMSP", "shipments:Open", map[string]any{provenance.ShipmentKey(s.ID): s})
}

// series makes a reading a minute of the values, in °C.
func series(from provenance.Time, celsius ...float64) []provenance.Reading {
	readings := make([]provenance.Reading, len(celsius))
	for i, v := range celsius {
		readings[i] = provenance.Reading{Time: from + provenance.Time(i)*minute, Value: provenance.Micro(v * 1e6)}
	}
	return readings
}

func (n *node) record(frames ...ledgertest.Frame) { n.chain.Commit("CarrierMSP", 0, frames...) }

func alert(id, kind string, change func(*provenance.Alert)) *provenance.Alert {
	a := &provenance.Alert{
		ID: id, Shipment: "milk-1", Kind: kind, Score: 750_000, ModelName: "cold-chain", ModelVersion: "1", Interval: provenance.Interval{From: start, To: start + 4*minute},
		AsOfBlock: 2, Devices: []string{"logger-1"}, Readings: 5, Message: "Words for a QA officer.", Raised: start + 5*minute, Organisation: "CarrierMSP",
		Drivers:      []provenance.Driver{{Name: "temperature", Value: 9_100_000, Unit: "Cel"}},
		Attestations: []provenance.AlertAttestation{{Organisation: "CarrierMSP", Score: 750_000, AsOfBlock: 2, Time: start + 5*minute}},
	}
	if change != nil {
		change(a)
	}
	return a
}

func (n *node) raise(a *provenance.Alert) {
	n.chain.Put(a.Organisation, "alerts:Raise", map[string]any{provenance.AlertKey(a.Shipment, a.ID): a})
}

// anchor has organisations sign the log as it stands.
func (n *node) anchor(organisations ...string) {
	n.t.Helper()
	position, err := n.store.Position(context.Background())
	require.NoError(n.t, err)
	for _, o := range organisations {
		n.chain.Anchor(o, position.LogSize, position.LogRoot)
	}
	n.cut()
}

// road is a small ledger with one of everything.
func (n *node) road() {
	n.members()
	n.open(milk(nil))
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: series(start, 4, 5, 7, 8, 5)})
	n.cut()
	n.chain.Put("MakerMSP", "models:Register", map[string]any{provenance.ModelKey("cold-chain", "1"): &provenance.Model{Name: "cold-chain", Version: "1", Kernel: "k1", Organisation: "MakerMSP", Registered: start}})
	n.raise(alert("band-excursion-1", provenance.KindBandExcursion, nil))
	n.cut()
	n.anchor("CarrierMSP", "MakerMSP")
}
