package receipt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
	"github.com/trailmark/trailmark/gateway/projector"
	"github.com/trailmark/trailmark/gateway/readmodel"
	"github.com/trailmark/trailmark/gateway/receipt"
)

const start = provenance.Time(1_790_000_000_000)

type ledgerUnderTest struct {
	*ledgertest.Chain
	store *readmodel.Store
}

func begin(t *testing.T) *ledgerUnderTest {
	store, err := readmodel.Open(context.Background(), filepath.Join(t.TempDir(), "model.db"), ledgertest.Channel)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	l := &ledgerUnderTest{ledgertest.NewChain(start), store}
	l.Register("CarrierMSP")
	l.Register("MakerMSP")
	l.Cut()
	l.Enrol("CarrierMSP", 0, "logger-1", "logger-2")
	l.Put("MakerMSP", "shipments:Open", map[string]any{provenance.ShipmentKey("milk-1"): provenance.Shipment{
		ID: "milk-1", Organisation: "MakerMSP", Parties: []string{"CarrierMSP", "MakerMSP"}, Goods: []provenance.Goods{}, Attachments: []provenance.Attachment{},
	}})
	l.Put("MakerMSP", "models:Register", map[string]any{provenance.ModelKey("ae", "1"): provenance.Model{Name: "ae", Version: "1", Hash: provenance.Hash{1}, Kernel: "k1"}})
	l.Commit("CarrierMSP", 0,
		ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: ledgertest.Series(start, 1000, 5, 0), Forged: true},
		ledgertest.Frame{Device: "logger-1", Sequence: 1, Readings: ledgertest.Series(start, 1000, 5, 0)},
		ledgertest.Frame{Device: "logger-2", Sequence: 1, Readings: ledgertest.Series(start, 1000, 5, 3)},
		ledgertest.Frame{Device: "logger-2", Sequence: 2, Readings: ledgertest.Series(start+5000, 1000, 2, 3), Private: true})
	l.Put("MakerMSP", "alerts:Raise", map[string]any{provenance.AlertKey("milk-1", "a1"): provenance.Alert{
		ID: "a1", Shipment: "milk-1", Kind: provenance.KindSpoilage, ModelName: "ae", ModelVersion: "1", ModelHash: provenance.Hash{1},
		Devices: []string{"logger-1"}, Drivers: []provenance.Driver{}, Attestations: []provenance.AlertAttestation{}, Organisation: "MakerMSP",
	}})
	l.Cut()
	return l
}

func (l *ledgerUnderTest) project(t *testing.T) {
	p, err := projector.New(projector.Config{Channel: ledgertest.Channel, Chaincode: ledgertest.Chaincode}, l.store, ledgertest.Source(l.Blocks),
		slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background()))
}

func (l *ledgerUnderTest) anchorAll(t *testing.T) {
	l.project(t)
	position, err := l.store.Position(context.Background())
	require.NoError(t, err)
	l.Anchor("CarrierMSP", position.LogSize, position.LogRoot)
	l.Anchor("MakerMSP", position.LogSize, position.LogRoot)
	l.Cut()
	l.project(t)
}

func TestReceiptsVerify(t *testing.T) {
	ctx := context.Background()
	l := begin(t)
	l.project(t)
	builder := receipt.New(l.store, 2)
	frame := provenance.FrameID{Device: "logger-1", Epoch: 1, Sequence: 1}

	_, err := builder.Reading(ctx, frame, 3)
	require.ErrorIs(t, err, receipt.ErrNotYetAnchored)
	wait := new(receipt.NotYetAnchoredError)
	require.True(t, errors.As(err, &wait))
	require.EqualValues(t, 6, wait.Size)

	l.anchorAll(t)
	exported, err := builder.TrustExport(ctx, 0)
	require.NoError(t, err)
	trust, err := evidence.ParseTrust(exported)
	require.NoError(t, err)
	require.Equal(t, 2, trust.Quorum)

	reading, err := builder.Reading(ctx, frame, 3)
	require.NoError(t, err)
	report, err := evidence.Verify(reading, trust)
	require.NoError(t, err)
	require.Equal(t, start+3000, report.Reading.Time)
	require.Equal(t, []string{"CarrierMSP", "MakerMSP"}, report.Organisations)

	alert, err := builder.Alert(ctx, "milk-1", "a1")
	require.NoError(t, err)
	report, err = evidence.Verify(alert, trust)
	require.NoError(t, err)
	require.Equal(t, "a1", report.Alert.ID)

	for _, key := range []string{"s/milk-1", "d/logger-2", "h/logger-2/1", "l/CarrierMSP/0", "b/CarrierMSP/0/1", "o/MakerMSP", "m/ae/1"} {
		data, err := builder.Record(ctx, key)
		require.NoError(t, err, key)
		_, err = evidence.Verify(data, trust)
		require.NoError(t, err, key)
	}
	for i := 0; i < len(reading); i += 5 { // one flipped bit anywhere
		broken := bytes.Clone(reading)
		broken[i] ^= 1 << (i % 8)
		_, err := evidence.Verify(broken, trust)
		require.Error(t, err, "byte %d", i)
	}
	_, err = builder.Reading(ctx, frame, 5)
	requireCode(t, provenance.NotFound, err)
	_, err = builder.Reading(ctx, provenance.FrameID{Device: "logger-2", Epoch: 1, Sequence: 2}, 0)
	requireCode(t, provenance.NotFound, err)
	_, err = builder.Record(ctx, "s/nothing")
	requireCode(t, provenance.NotFound, err)
	_, err = builder.TrustExport(ctx, 3)
	requireCode(t, provenance.Invalid, err)
}

// The state that an endorsed but invalid transaction would have written has no receipt: the one before it has.
func TestInvalidTransactionsHaveNoReceipt(t *testing.T) {
	ctx := context.Background()
	l := begin(t)
	write := evidence.Write{Key: "m/evil/1", Value: ledgertest.Encode(provenance.Model{Name: "evil", Version: "1"})}
	l.Add(ledgertest.Transaction{Creator: "MakerMSP", Function: "models:Register", Writes: []evidence.Write{write}, Code: peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE})
	l.Cut()
	l.anchorAll(t)
	_, err := receipt.New(l.store, 2).Record(ctx, "m/evil/1")
	requireCode(t, provenance.NotFound, err)
	stats, err := l.store.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.Invalid)
}

// After a change of key, receipts are given under the key that trust.json names.
func TestReceiptsFollowTheLogKey(t *testing.T) {
	ctx := context.Background()
	l := begin(t)
	l.anchorAll(t)
	l.Put("MakerMSP", "organisations:RotateLogKey", map[string]any{"o/MakerMSP": provenance.Organisation{ID: "MakerMSP", Name: "Maker", LogKey: l.NewLogKey("MakerMSP")}})
	l.Cut()
	l.project(t)
	builder := receipt.New(l.store, 2)
	_, err := builder.Record(ctx, "s/milk-1")
	require.ErrorIs(t, err, receipt.ErrNotYetAnchored)
	l.anchorAll(t)
	data, err := builder.Record(ctx, "s/milk-1")
	require.NoError(t, err)
	exported, err := builder.TrustExport(ctx, 2)
	require.NoError(t, err)
	trust, err := evidence.ParseTrust(exported)
	require.NoError(t, err)
	_, err = evidence.Verify(data, trust)
	require.NoError(t, err)
}

func requireCode(t *testing.T, code provenance.Code, err error) {
	t.Helper()
	refused := new(provenance.Error)
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, code, refused.Code)
}
