package evidence

import (
	"crypto/sha256"
	"fmt"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Origin is where and when a frame arrived.
type Origin struct {
	Organisation string
	Lane         uint32
	Now          provenance.Time // readings beyond Now + MaxClockSkew are in the future
}

// Judge is the one rule about a single frame, applied by ingest and by every endorser alike; sequence numbers (Head.Accept)
// apart. It returns nil, or a *FrameError. A nil device is one that the ledger does not know; a nil payload is a confidential
// one and is not looked at; a nil key is parsed from the device.
func Judge(f *Frame, payload []byte, device *provenance.Device, key *PublicKey, o Origin) error {
	switch {
	case device == nil:
		return refuse(provenance.UnknownDevice, fmt.Sprintf("device %s is not enrolled on the ledger; enrol it, then replay", f.ID.Device))
	case device.Organisation != o.Organisation:
		return refuse(provenance.WrongOrganisation, fmt.Sprintf("device %s belongs to %s, not to %s", device.ID, device.Organisation, o.Organisation))
	case device.Lane != o.Lane:
		return refuse(provenance.WrongLane, fmt.Sprintf("device %s belongs to lane %d, not to lane %d", device.ID, device.Lane, o.Lane))
	case device.Status == provenance.Suspended:
		return refuse(provenance.DeviceSuspended, "")
	case device.Status == provenance.Revoked:
		return refuse(provenance.DeviceRevoked, "")
	}
	if key == nil {
		encoded := device.KeyAt(f.ID.Epoch)
		if encoded == nil {
			return refuse(provenance.EpochNotStarted, fmt.Sprintf("epoch %d of device %s has not been started; the newest is %d", f.ID.Epoch, device.ID, device.Epoch))
		}
		parsed, err := ParseKey(encoded)
		if err != nil {
			return refuse(provenance.BadSignature, err.Error())
		}
		key = parsed
	}
	if !f.Verify(key) {
		return refuse(provenance.BadSignature, fmt.Sprintf("the signature does not verify under the key that device %s has in epoch %d", device.ID, f.ID.Epoch))
	}
	if f.Last > o.Now+provenance.MaxClockSkew {
		return refuse(provenance.FutureTime, fmt.Sprintf("the last reading is of %s, and it is %s", f.Last, o.Now))
	}
	if payload == nil {
		return nil
	}
	return checkPayload(f, payload, device)
}

// checkPayload holds a payload against the frame that commits to it.
func checkPayload(f *Frame, payload []byte, device *provenance.Device) error {
	if sha256.Sum256(payload) != f.PayloadHash {
		return refuse(provenance.PayloadMismatch, "the payload is not the one that was signed")
	}
	pack, err := ParsePayload(payload)
	if err != nil {
		return err
	}
	n := len(pack.Readings)
	switch {
	case pack.Device != f.ID.Device:
		return refuse(provenance.PayloadMismatch, fmt.Sprintf("the payload names device %q, the frame %q", pack.Device, f.ID.Device))
	case pack.Unit != device.Unit:
		return refuse(provenance.WrongUnit, fmt.Sprintf("unit %q, but device %s was enrolled with %q", pack.Unit, device.ID, device.Unit))
	case n != f.Count:
		return refuse(provenance.PayloadMismatch, fmt.Sprintf("%d readings, but the signed header says %d", n, f.Count))
	case pack.Readings[0].Time != f.First || pack.Readings[n-1].Time != f.Last:
		return refuse(provenance.WrongTimes, "the readings' times contradict the signed header")
	}
	return nil
}
