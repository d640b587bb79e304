package contract

import (
	"bytes"
	"fmt"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// devices holds the sensors. Only a device's owner changes it, and a revoked one is changed no more.
type devices struct{ contractapi.Contract }

func (*devices) GetEvaluateTransactions() []string { return []string{"Get", "List"} }

// EnrolMany enters devices of the caller's organisation. Those that stand just so are passed over, so an enrolment that was
// interrupted can be repeated.
func (*devices) EnrolMany(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.EnrolRequest](argument, maxEnrolArgument)
	if err != nil {
		return "", err
	}
	n := len(request.Devices)
	if n == 0 || n > provenance.MaxEnrolmentsInOne {
		return "", provenance.Invalidf("enrolment of %d devices, 1 to %d are allowed in one transaction", n, provenance.MaxEnrolmentsInOne)
	}
	keys := make([]string, n)
	seen := make(map[string]bool, n)
	for i := range request.Devices {
		e := &request.Devices[i]
		if err := e.Check(); err != nil {
			return "", err
		}
		if err := checkTime("device "+e.ID+": calibration due date", e.CalibrationDue); err != nil {
			return "", err
		}
		if seen[e.ID] {
			return "", provenance.Invalidf("device %s stands twice in the request", e.ID)
		}
		seen[e.ID], keys[i] = true, provenance.DeviceKeyState(e.ID)
	}
	badKeys := make([]error, n)
	parallel(n, func(i int) { _, badKeys[i] = evidence.ParseKey(request.Devices[i].Key) })
	for i, err := range badKeys {
		if err != nil {
			return "", provenance.Invalidf("device %s: %v", request.Devices[i].ID, err)
		}
	}
	if err := tx.prefetch(keys); err != nil {
		return "", err
	}
	result := provenance.EnrolResult{}
	for i := range request.Devices {
		device, err := load[provenance.Device](tx, keys[i])
		switch {
		case err != nil:
			return "", err
		case device != nil:
			if err := checkSame(device, &request.Devices[i], tx.organisation); err != nil {
				return "", err
			}
			result.Unchanged++
		default:
			if err := tx.put(keys[i], enrol(&request.Devices[i], tx.organisation, tx.now)); err != nil {
				return "", err
			}
			result.Enrolled++
		}
	}
	return reply(result)
}

func enrol(e *provenance.Enrolment, organisation string, now provenance.Time) *provenance.Device {
	return &provenance.Device{
		ID: e.ID, Organisation: organisation, Quantity: e.Quantity, Unit: e.Unit, Min: e.Min, Max: e.Max,
		CalibrationDue: e.CalibrationDue, Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: e.Key}},
		Lane: e.Lane, Attestation: e.Attestation, Changed: now,
	}
}

// checkSame tells how an enrolment differs from the device that stands, which may have moved on since it was enrolled.
func checkSame(device *provenance.Device, e *provenance.Enrolment, organisation string) error {
	var differs string
	switch {
	case device.Organisation != organisation:
		return provenance.Conflictf("device %s is enrolled by %s", e.ID, device.Organisation)
	case device.Status == provenance.Revoked:
		return provenance.Conflictf("device %s is revoked; enrol the sensor under another name", e.ID)
	case !bytes.Equal(device.Keys[0].Key, e.Key):
		differs = "key"
	case device.Quantity != e.Quantity || device.Unit != e.Unit:
		differs = "quantity or unit"
	case device.Min != e.Min || device.Max != e.Max:
		differs = "measuring range"
	case device.Lane != e.Lane:
		differs = "lane"
	case device.Attestation != e.Attestation:
		differs = "attestation"
	case device.CalibrationDue < e.CalibrationDue:
		differs = "calibration due date (devices:Calibrate sets a new one)"
	default:
		return nil
	}
	return provenance.Conflictf("device %s is enrolled with another %s", e.ID, differs)
}

// Suspend stops a device until it is reactivated.
func (*devices) Suspend(tx *transaction, argument string) (string, error) {
	return setStatus(tx, argument, provenance.Suspended)
}

// Reactivate ends a suspension.
func (*devices) Reactivate(tx *transaction, argument string) (string, error) {
	return setStatus(tx, argument, provenance.Active)
}

// Revoke stops a device for good.
func (*devices) Revoke(tx *transaction, argument string) (string, error) {
	return setStatus(tx, argument, provenance.Revoked)
}

func setStatus(tx *transaction, argument string, status provenance.Status) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	return tx.changeDevice(request.ID, func(device *provenance.Device) (bool, error) {
		if device.Status == status {
			return false, nil
		}
		device.Status = status
		return true, nil
	}, status == provenance.Revoked)
}

// StartEpoch lets a device count from 1 again, after it lost its counter.
func (*devices) StartEpoch(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.EpochStart](argument, maxArgument)
	if err != nil {
		return "", err
	}
	return tx.changeDevice(request.ID, func(device *provenance.Device) (bool, error) {
		if request.Epoch == device.Epoch {
			return false, nil
		}
		return true, nextEpoch(device, request.Epoch)
	}, false)
}

// RotateKey starts an epoch with a new key. Frames of earlier epochs keep verifying under the key of their epoch.
func (*devices) RotateKey(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.KeyRotation](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if _, err := evidence.ParseKey(request.Key); err != nil {
		return "", provenance.Invalidf("device %s: %v", request.ID, err)
	}
	return tx.changeDevice(request.ID, func(device *provenance.Device) (bool, error) {
		newest := device.Keys[len(device.Keys)-1]
		if request.Epoch == device.Epoch && newest.FromEpoch == request.Epoch && bytes.Equal(newest.Key, request.Key) {
			return false, nil
		}
		if err := nextEpoch(device, request.Epoch); err != nil {
			return false, err
		}
		if bytes.Equal(newest.Key, request.Key) {
			return false, provenance.Conflictf("device %s has this very key in force", device.ID)
		}
		if len(device.Keys) >= provenance.MaxKeysOfDevice {
			return false, provenance.Conflictf("device %s has had %d keys, no more are allowed", device.ID, provenance.MaxKeysOfDevice)
		}
		device.Keys = append(device.Keys, provenance.DeviceKey{FromEpoch: request.Epoch, Key: request.Key})
		return true, nil
	}, false)
}

func nextEpoch(device *provenance.Device, epoch uint32) error {
	if epoch != device.Epoch+1 {
		return provenance.Conflictf("device %s is in epoch %d, so the next is %d, not %d", device.ID, device.Epoch, device.Epoch+1, epoch)
	}
	device.Epoch = epoch
	return nil
}

// Calibrate sets a new date until which the device counts as calibrated.
func (*devices) Calibrate(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.Calibration](argument, maxArgument)
	if err != nil {
		return "", err
	}
	if err := checkTime("calibration due date", request.CalibrationDue); err != nil {
		return "", err
	}
	return tx.changeDevice(request.ID, func(device *provenance.Device) (bool, error) {
		changed := device.CalibrationDue != request.CalibrationDue
		device.CalibrationDue = request.CalibrationDue
		return changed, nil
	}, false)
}

// changeDevice applies a rule to a device of the caller's organisation. A revoked device may only be revoked again.
func (tx *transaction) changeDevice(id string, rule func(*provenance.Device) (changed bool, err error), evenRevoked bool) (string, error) {
	device, err := tx.enrolled(id)
	if err != nil {
		return "", err
	}
	if device.Organisation != tx.organisation {
		return "", provenance.Forbiddenf("device %s belongs to %s, not to %s", id, device.Organisation, tx.organisation)
	}
	if device.Status == provenance.Revoked && !evenRevoked {
		return "", provenance.Conflictf("device %s is revoked, for good", id)
	}
	changed, err := rule(device)
	if err != nil {
		return "", err
	}
	if changed {
		device.Changed = tx.now
		if err := tx.put(provenance.DeviceKeyState(id), device); err != nil {
			return "", err
		}
	}
	return reply(device)
}

// enrolled loads a device that must be on the ledger.
func (tx *transaction) enrolled(id string) (*provenance.Device, error) {
	if err := checkIdentifiers("device", id); err != nil {
		return nil, err
	}
	device, err := load[provenance.Device](tx, provenance.DeviceKeyState(id))
	if err == nil && device == nil {
		err = provenance.NotFoundf("device %s is not enrolled", id)
	}
	if err == nil && device != nil && len(device.Keys) == 0 {
		err = fmt.Errorf("device %s stands without a key", id)
	}
	return device, err
}

// Get answers with a device.
func (*devices) Get(tx *transaction, argument string) (string, error) {
	request, err := decode[provenance.ByID](argument, maxArgument)
	if err != nil {
		return "", err
	}
	device, err := tx.enrolled(request.ID)
	if err != nil {
		return "", err
	}
	return reply(device)
}

// List answers with a page of devices.
func (*devices) List(tx *transaction, argument string) (string, error) {
	return list[provenance.Device](tx, provenance.DeviceKeyState(""), argument)
}
