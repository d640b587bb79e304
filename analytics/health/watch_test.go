package health

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

type fakeSource struct{ all []Attached }

func (s *fakeSource) Facts(context.Context) ([]Attached, uint64, error) { return s.all, 7, nil }

type fakeLedger struct {
	models []provenance.ModelRequest
	alerts []provenance.AlertRequest
	err    error
}

func (l *fakeLedger) RegisterModel(_ context.Context, m provenance.ModelRequest) error {
	l.models = append(l.models, m)
	return nil
}

func (l *fakeLedger) RaiseAlert(_ context.Context, a provenance.AlertRequest) error {
	if l.err != nil {
		return l.err
	}
	l.alerts = append(l.alerts, a)
	return nil
}

func TestWatchRaisesOnceForEachIncident(t *testing.T) {
	now := provenance.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	last := &provenance.Reading{Time: now - 2*3600*1000, Value: 4_000_000}
	device := &provenance.Device{ID: "d1", Organisation: "Carrier", Quantity: "temperature", Unit: "Cel", CalibrationDue: now + 1e10, Epoch: 1}
	source := &fakeSource{all: []Attached{{Shipment: "s1", Facts: Facts{Device: device, Attached: provenance.Interval{From: now - 5*3600*1000}, Last: last}}}}
	ledger := &fakeLedger{err: errors.New("no peer answers")}
	w := &Watch{Source: source, Ledger: ledger, Now: func() provenance.Time { return now }, Limits: func() Limits { return Defaults }, Log: slog.New(slog.DiscardHandler), raised: map[string]bool{}}
	require.Error(t, w.look(t.Context()), "what could not be raised is tried again")
	ledger.err = nil
	for range 3 {
		require.NoError(t, w.look(t.Context()))
		now += 60_000
	}
	require.Len(t, ledger.models, 1)
	require.Len(t, ledger.alerts, 1, "silent for hours is one incident")
	require.Equal(t, "s1", ledger.alerts[0].Shipment)
	require.Equal(t, provenance.KindDeviceSilent, ledger.alerts[0].Kind)

	device.CalibrationDue = now - 1
	ledger.err = provenance.Conflictf("it stands otherwise")
	require.NoError(t, w.look(t.Context()), "a refusal is final")
	ledger.err = nil
	require.NoError(t, w.look(t.Context()))
	require.Len(t, ledger.alerts, 1)
}
