package contract

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestEnrolManyWritesDevices(t *testing.T) {
	w := newTrade(t)
	e := enrolment("s1", 7)
	e.Attestation = provenance.ByEdge
	result := w.must(maker, "devices:EnrolMany", provenance.EnrolRequest{Devices: []provenance.Enrolment{e, enrolment("s2", 7)}})
	require.JSONEq(t, `{"enrolled":2,"unchanged":0}`, result)
	want := &provenance.Device{
		ID: "s1", Organisation: maker, Quantity: "temperature", Unit: "Cel", Min: e.Min, Max: e.Max, CalibrationDue: e.CalibrationDue,
		Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: e.Key}}, Lane: 7, Attestation: provenance.ByEdge, Changed: start,
	}
	require.Equal(t, want, answer[provenance.Device](w, w.mustKeep(carrier, "devices:Get", provenance.ByID{ID: "s1"})))
	require.Equal(t, want, at[provenance.Device](w, "d/s1"))
}

func TestEnrolManyCanBeRepeated(t *testing.T) {
	w := newTrade(t)
	request := provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("s1", 0), enrolment("s2", 0)}}
	w.must(maker, "devices:EnrolMany", request)
	w.mustKeep(maker, "devices:EnrolMany", request)
	w.must(maker, "devices:RotateKey", provenance.KeyRotation{ID: "s1", Epoch: 2, Key: coseKey(deviceKey("s1", 1))})
	w.must(maker, "devices:Calibrate", provenance.Calibration{ID: "s1", CalibrationDue: enrolment("s1", 0).CalibrationDue + minute})
	w.must(maker, "devices:Suspend", provenance.ByID{ID: "s1"})
	w.mustKeep(maker, "devices:EnrolMany", request) // moved on since, and still the one that was enrolled
	request.Devices = append(request.Devices, enrolment("s3", 0))
	require.JSONEq(t, `{"enrolled":1,"unchanged":2}`, w.must(maker, "devices:EnrolMany", request))
}

func TestEnrolManyTakesAThousandInFewExchanges(t *testing.T) {
	w := newTrade(t)
	request := provenance.EnrolRequest{}
	for i := range provenance.MaxEnrolmentsInOne {
		request.Devices = append(request.Devices, enrolment(fmt.Sprintf("sensor-%04d", i), uint32(i%16)))
	}
	s, result, err := w.endorse(maker, "devices:EnrolMany", request)
	require.NoError(t, err)
	require.JSONEq(t, `{"enrolled":1000,"unchanged":0}`, result)
	require.Len(t, s.writes, 1000)
	require.Equal(t, 2, s.exchanges)
	require.NoError(t, w.commit(s))

	seen, after := []provenance.Device{}, ""
	for {
		page := *answer[[]provenance.Device](w, w.mustKeep(carrier, "devices:List", provenance.Page{After: after, Limit: 300}))
		if len(page) == 0 {
			break
		}
		seen, after = append(seen, page...), page[len(page)-1].ID
	}
	require.Len(t, seen, 1000)
	require.Equal(t, "sensor-0999", seen[999].ID)
	request.Devices = append(request.Devices, enrolment("one-more", 0))
	w.refused(maker, "devices:EnrolMany", request, "invalid: enrolment of 1001 devices, 1 to 1000 are allowed in one transaction")
}

func TestEnrolManyRefusals(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1", "gone")
	w.enrol(carrier, 0, "theirs")
	w.must(maker, "devices:Revoke", provenance.ByID{ID: "gone"})
	for want, change := range map[string]func(*provenance.Enrolment){
		"conflict: device s1 is enrolled with another key":                                                     func(e *provenance.Enrolment) { e.Key = coseKey(deviceKey("x", 0)) },
		"conflict: device s1 is enrolled with another lane":                                                    func(e *provenance.Enrolment) { e.Lane = 1 },
		"conflict: device s1 is enrolled with another quantity or unit":                                        func(e *provenance.Enrolment) { e.Unit = "K" },
		"conflict: device s1 is enrolled with another measuring range":                                         func(e *provenance.Enrolment) { e.Max++ },
		"conflict: device s1 is enrolled with another attestation":                                             func(e *provenance.Enrolment) { e.Attestation = provenance.ByEdge },
		"conflict: device s1 is enrolled with another calibration due date (devices:Calibrate sets a new one)": func(e *provenance.Enrolment) { e.CalibrationDue++ },
		"conflict: device theirs is enrolled by CarrierMSP":                                                    func(e *provenance.Enrolment) { e.ID = "theirs" },
		"conflict: device gone is revoked; enrol the sensor under another name":                                func(e *provenance.Enrolment) { e.ID = "gone" },
		"invalid: device: an identifier is missing":                                                            func(e *provenance.Enrolment) { e.ID = "" },
		"invalid: device n: measuring range 85 to 85 is empty":                                                 func(e *provenance.Enrolment) { e.ID, e.Min = "n", e.Max },
		"invalid: device n: lane 1024, lanes run from 0 to 1023":                                               func(e *provenance.Enrolment) { e.ID, e.Lane = "n", 1024 },
		"invalid: device n: attestation 2 is unknown":                                                          func(e *provenance.Enrolment) { e.ID, e.Attestation = "n", 2 },
		"invalid: device n: calibration due date: 9007199254740992 is not a time in milliseconds since 1970":   func(e *provenance.Enrolment) { e.ID, e.CalibrationDue = "n", 1<<53 },
		"invalid: device n: calibration due date is missing":                                                   func(e *provenance.Enrolment) { e.ID, e.CalibrationDue = "n", 0 },
	} {
		e := enrolment("s1", 0)
		change(&e)
		// The good one beside it must not be written either.
		w.refused(maker, "devices:EnrolMany", provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("good", 0), e}}, want)
	}
	require.NotContains(t, w.state, "d/good")
	e := enrolment("n", 0)
	e.Key = e.Key[:len(e.Key)-1]
	_, err := w.submit(maker, "devices:EnrolMany", provenance.EnrolRequest{Devices: []provenance.Enrolment{e}})
	require.ErrorContains(t, err, "invalid: device n: reading COSE key: ")
	e.Key = coseKey(append(ed25519.PrivateKey{}, append(make([]byte, 32), append([]byte{1}, make([]byte, 31)...)...)...)) // the neutral point
	w.refused(maker, "devices:EnrolMany", provenance.EnrolRequest{Devices: []provenance.Enrolment{e}}, "invalid: device n: Ed25519 key is a point of small order")
	w.refused(maker, "devices:EnrolMany", provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("n", 0), enrolment("n", 0)}},
		"invalid: device n stands twice in the request")
	w.refused(maker, "devices:EnrolMany", provenance.EnrolRequest{}, "invalid: enrolment of 0 devices, 1 to 1000 are allowed in one transaction")
}

func TestStatusOfADevice(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1")
	one := provenance.ByID{ID: "s1"}
	status := func() provenance.Status { return at[provenance.Device](w, "d/s1").Status }
	w.mustKeep(maker, "devices:Reactivate", one)
	w.now += minute
	w.must(maker, "devices:Suspend", one)
	require.Equal(t, provenance.Suspended, status())
	require.Equal(t, w.now, at[provenance.Device](w, "d/s1").Changed)
	w.mustKeep(maker, "devices:Suspend", one)
	w.must(maker, "devices:Reactivate", one)
	require.Equal(t, provenance.Active, status())
	w.must(maker, "devices:Revoke", one)
	w.mustKeep(maker, "devices:Revoke", one)
	for _, function := range []string{"Suspend", "Reactivate"} {
		w.refused(maker, "devices:"+function, one, "conflict: device s1 is revoked, for good")
	}
	w.refused(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 2}, "conflict: device s1 is revoked, for good")
	w.refused(maker, "devices:RotateKey", provenance.KeyRotation{ID: "s1", Epoch: 2, Key: coseKey(deviceKey("s1", 1))}, "conflict: device s1 is revoked, for good")
	w.refused(maker, "devices:Calibrate", provenance.Calibration{ID: "s1", CalibrationDue: start}, "conflict: device s1 is revoked, for good")
	w.refused(carrier, "devices:Revoke", one, "forbidden: device s1 belongs to ManufacturerMSP, not to CarrierMSP")
	w.refused(carrier, "devices:Revoke", provenance.ByID{ID: "s2"}, "not-found: device s2 is not enrolled")
	w.refused(carrier, "devices:Get", provenance.ByID{ID: "s2"}, "not-found: device s2 is not enrolled")
}

func TestEpochsAndKeysOfADevice(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1")
	rotate := func(epoch uint32, generation byte) provenance.KeyRotation {
		return provenance.KeyRotation{ID: "s1", Epoch: epoch, Key: coseKey(deviceKey("s1", generation))}
	}
	w.refused(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 3}, "conflict: device s1 is in epoch 1, so the next is 2, not 3")
	w.mustKeep(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 1})
	w.must(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 2})
	w.mustKeep(maker, "devices:StartEpoch", provenance.EpochStart{ID: "s1", Epoch: 2})
	w.refused(maker, "devices:RotateKey", rotate(3, 0), "conflict: device s1 has this very key in force")
	w.refused(maker, "devices:RotateKey", rotate(2, 1), "conflict: device s1 is in epoch 2, so the next is 3, not 2")
	w.must(maker, "devices:RotateKey", rotate(3, 1))
	w.mustKeep(maker, "devices:RotateKey", rotate(3, 1))
	d := at[provenance.Device](w, "d/s1")
	require.Equal(t, uint32(3), d.Epoch)
	require.Equal(t, coseKey(deviceKey("s1", 0)), d.KeyAt(2))
	require.Equal(t, coseKey(deviceKey("s1", 1)), d.KeyAt(3))
	for len(at[provenance.Device](w, "d/s1").Keys) < provenance.MaxKeysOfDevice {
		epoch := at[provenance.Device](w, "d/s1").Epoch + 1
		w.must(maker, "devices:RotateKey", rotate(epoch, byte(epoch)))
	}
	epoch := at[provenance.Device](w, "d/s1").Epoch + 1
	w.refused(maker, "devices:RotateKey", rotate(epoch, 200), "conflict: device s1 has had 64 keys, no more are allowed")
	_, err := w.submit(maker, "devices:RotateKey", provenance.KeyRotation{ID: "s1", Epoch: epoch, Key: []byte{1}})
	require.ErrorContains(t, err, "invalid: device s1: reading COSE key: ")

	w.mustKeep(maker, "devices:Calibrate", provenance.Calibration{ID: "s1", CalibrationDue: d.CalibrationDue})
	w.must(maker, "devices:Calibrate", provenance.Calibration{ID: "s1", CalibrationDue: start})
	require.Equal(t, start, at[provenance.Device](w, "d/s1").CalibrationDue)
	w.refused(maker, "devices:Calibrate", provenance.Calibration{ID: "s1"}, "invalid: calibration due date: 0 is not a time in milliseconds since 1970")
}

func TestTheDeviceCacheIsBoundedAndChangesNothing(t *testing.T) {
	w := newTrade(t)
	w.enrol(maker, 0, "s1", "s2", "s3")
	cache := newDeviceCache(2)
	for range 3 {
		for _, name := range []string{"s1", "s2", "s3"} {
			key := provenance.DeviceKeyState(name)
			cached, err := cache.decode(key, w.state[key].value)
			require.NoError(t, err)
			require.Equal(t, at[provenance.Device](w, key), cached.Device)
			require.LessOrEqual(t, len(cache.devices), 2)
		}
	}
	none, err := cache.decode("d/none", nil)
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = cache.decode("d/broken", []byte{1})
	require.Error(t, err)
}
