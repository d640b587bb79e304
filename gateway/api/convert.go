package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/readmodel"
)

// names shows organisations by the names that they have on the ledger.
type names map[string]string

func (n names) of(id string) Organisation {
	if name := n[id]; name != "" {
		return Organisation{Id: id, Name: name}
	}
	return Organisation{Id: id, Name: id}
}

func (n names) all(ids []string) []Organisation {
	list := make([]Organisation, 0, len(ids))
	for _, id := range ids {
		list = append(list, n.of(id))
	}
	return list
}

// moments and texts that do not apply are absent.
func whenSet(t provenance.Time) *time.Time {
	if t == 0 {
		return nil
	}
	moment := t.Time()
	return &moment
}

func textSet(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func limitsOf(l provenance.Limits) Limits {
	return Limits{Min: l.Min.Float(), Max: l.Max.Float(), AllowedMinutes: int64(l.AllowedMinutes)}
}

func attachmentOf(a provenance.Attachment, shipment string) Attachment {
	return Attachment{Device: a.Device, Shipment: textSet(shipment), From: a.From.Time(), To: whenSet(a.To)}
}

func alertOf(a *readmodel.Alert, n names, proven []Organisation) Alert {
	shown := Alert{
		Id: a.ID, Shipment: a.Shipment, Kind: AlertKind(a.Kind), Score: a.Score.Float(), ModelName: a.ModelName, ModelVersion: a.ModelVersion,
		ModelHash: a.ModelHash.String(), InputRoot: a.InputRoot.String(), From: a.Interval.From.Time(), To: a.Interval.To.Time(), AsOfBlock: int64(a.AsOfBlock),
		Devices: append([]string{}, a.Devices...), Readings: int64(a.Readings), Message: a.Message, Drivers: []Driver{}, Raised: a.Raised.Time(),
		Organisation: n.of(a.Organisation), Attestations: []AlertAttestation{}, Provenance: provenanceOf(a.Stamp, proven),
	}
	for _, d := range a.Drivers {
		shown.Drivers = append(shown.Drivers, Driver{Name: d.Name, Value: d.Value.Float(), Unit: d.Unit})
	}
	for _, t := range a.Attestations {
		shown.Attestations = append(shown.Attestations, AlertAttestation{
			Organisation: n.of(t.Organisation), Score: t.Score.Float(), InputRoot: t.InputRoot.String(), AsOfBlock: int64(t.AsOfBlock), Time: t.Time.Time(),
		})
	}
	if k := a.Acknowledgement; k != nil {
		shown.Acknowledgement = &Acknowledgement{Organisation: n.of(k.Organisation), Person: k.Person, Comment: k.Comment, Time: k.Time.Time()}
	}
	return shown
}

func provenanceOf(s readmodel.Stamp, proven []Organisation) RecordProvenance {
	return RecordProvenance{Block: int64(s.Block), Transaction: s.TransactionID, Leaf: int64(s.Leaf), Proven: proven}
}

const calibrationDueSoon = 30 * 24 * time.Hour

func calibrationOf(due, now time.Time) CalibrationState {
	switch {
	case due.Before(now):
		return Expired
	case due.Before(now.Add(calibrationDueSoon)):
		return DueSoon
	}
	return Valid
}

func (s *server) deviceOf(ctx context.Context, d *readmodel.Device, n names) (Device, error) {
	gaps, err := s.Store.Gaps(ctx, d.ID)
	if err != nil {
		return Device{}, err
	}
	missing := uint64(0)
	for _, g := range gaps {
		missing += g.To - g.From + 1
	}
	shown := Device{
		Id: d.ID, Organisation: n.of(d.Organisation), Quantity: d.Quantity, Unit: d.Unit, Min: d.Min.Float(), Max: d.Max.Float(),
		CalibrationDue: d.CalibrationDue.Time(), Calibration: calibrationOf(d.CalibrationDue.Time(), s.Clock.Now()), Status: DeviceStatus(d.Status.String()),
		Epoch: int64(d.Epoch), Lane: int64(d.Lane), Attestation: Attestation(d.Attestation.String()), Changed: d.Changed.Time(), Shipment: textSet(d.Shipment),
		MissingFrames: int64(missing),
	}
	if d.LastAt != 0 {
		shown.Latest = &DeviceLatest{Time: d.LastAt.Time(), Value: d.LastValue.Float()}
	}
	return shown, nil
}

func keyOf(k provenance.DeviceKey) (DeviceKey, error) {
	key, err := evidence.ParseKey(k.Key)
	if err != nil {
		return DeviceKey{}, err
	}
	algorithm := "ES256"
	if key.Algorithm == evidence.AlgorithmEdDSA {
		algorithm = "EdDSA"
	}
	sum := sha256.Sum256(k.Key)
	return DeviceKey{FromEpoch: int64(k.FromEpoch), Algorithm: algorithm, Fingerprint: hex.EncodeToString(sum[:])}, nil
}

func checkpointOf(c *readmodel.Checkpoint, n names) Checkpoint {
	return Checkpoint{
		Organisation: n.of(c.Organisation), Size: int64(c.Size), Root: c.Root.String(), Note: c.Note, Anchored: c.Anchored.Time(), Agreement: Agreement(c.Agreement.String()),
	}
}
