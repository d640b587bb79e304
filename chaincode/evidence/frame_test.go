package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pack := &Pack{Device: rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._:-]{0,63}`).Draw(t, "device"), Unit: rapid.SampledFrom([]string{"Cel", "%RH", "g"}).Draw(t, "unit")}
		at := start + provenance.Time(rapid.Int64Range(0, 1e9).Draw(t, "at"))
		for range rapid.IntRange(1, 100).Draw(t, "n") {
			pack.Readings = append(pack.Readings, provenance.Reading{Time: at, Value: provenance.Micro(rapid.Int64Range(-1e12, 1e12).Draw(t, "value"))})
			at += provenance.Time(rapid.Int64Range(1, 100_000).Draw(t, "step"))
		}
		epoch, sequence := rapid.Uint32Range(1, 1<<31).Draw(t, "epoch"), rapid.Uint64Range(1, 1<<53).Draw(t, "sequence")
		message, err := SignFrame(fixedSigner(1), epoch, sequence, pack, at)
		if err != nil {
			t.Fatal(err)
		}
		f, payload, err := ParseMessage(message)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePayload(payload)
		if err != nil {
			t.Fatal(err)
		}
		if f.ID != (provenance.FrameID{Device: pack.Device, Epoch: epoch, Sequence: sequence}) || f.Published != at || f.Count != len(pack.Readings) {
			t.Fatalf("frame %+v", f)
		}
		for i := range pack.Readings {
			if got.Readings[i] != pack.Readings[i] {
				t.Fatalf("reading %d: %+v, want %+v", i, got.Readings[i], pack.Readings[i])
			}
		}
	})
}

func judge(message []byte, device *provenance.Device, now provenance.Time) provenance.Verdict {
	f, payload, err := ParseMessage(message)
	if err == nil {
		err = Judge(f, payload, device, nil, Origin{Organisation: "Carrier", Lane: 3, Now: now})
	}
	var refused *FrameError
	if errors.As(err, &refused) {
		return refused.Verdict
	}
	return provenance.Accepted
}

// Whatever bit of a message flips, it is refused: signature, header and payload hang together.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	message, device := signed(t, "truck-1", 5, 3), deviceOf(t, "truck-1")
	now := start + 1e6
	require.Equal(t, provenance.Accepted, judge(message, device, now))
	for i := range message {
		for bit := range 8 {
			altered := bytes.Clone(message)
			altered[i] ^= 1 << bit
			require.NotEqual(t, provenance.Accepted, judge(altered, device, now), "byte %d bit %d", i, bit)
		}
	}
}

func TestES256(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := EncodeKey(private.Public())
	require.NoError(t, err)
	device := deviceOf(t, "d1")
	device.Keys[0].Key = key
	for range 20 {
		message, err := SignFrame(private, 1, 1, packOf("d1", 2), start)
		require.NoError(t, err)
		require.Equal(t, provenance.Accepted, judge(message, device, start+1e6))
		// The twin of the signature (n - s) verifies mathematically, and must not be a second form of the frame.
		f, payload, err := ParseMessage(message)
		require.NoError(t, err)
		s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(f.Signature[32:]))
		twin := append(bytes.Clone(f.Signature[:32]), s.FillBytes(make([]byte, 32))...)
		require.Equal(t, provenance.Malformed, judge(append(assembleFrame(f.Protected, f.PayloadHash, twin), payload...), device, start+1e6))
	}
}

func TestJudge(t *testing.T) {
	now := start + 1e6
	for name, c := range map[string]struct {
		change func(*provenance.Device)
		want   provenance.Verdict
	}{
		"good":               {func(*provenance.Device) {}, provenance.Accepted},
		"other organisation": {func(d *provenance.Device) { d.Organisation = "Other" }, provenance.WrongOrganisation},
		"other lane":         {func(d *provenance.Device) { d.Lane = 4 }, provenance.WrongLane},
		"suspended":          {func(d *provenance.Device) { d.Status = provenance.Suspended }, provenance.DeviceSuspended},
		"revoked":            {func(d *provenance.Device) { d.Status = provenance.Revoked }, provenance.DeviceRevoked},
		"unit":               {func(d *provenance.Device) { d.Unit = "%RH" }, provenance.WrongUnit},
		"key not in force":   {func(d *provenance.Device) { d.Keys[0].FromEpoch = 2; d.Epoch = 2 }, provenance.EpochNotStarted},
		"epoch":              {func(d *provenance.Device) { d.Epoch = 0 }, provenance.EpochNotStarted},
		"other key": {func(d *provenance.Device) {
			d.Keys[0].Key, _ = EncodeKey(fixedSigner(8).Public())
		}, provenance.BadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			device := deviceOf(t, "truck-1")
			c.change(device)
			require.Equal(t, c.want, judge(signed(t, "truck-1", 1, 2), device, now))
		})
	}
	require.Equal(t, provenance.UnknownDevice, judge(signed(t, "truck-1", 1, 2), nil, now))
	require.Equal(t, provenance.FutureTime, judge(signed(t, "truck-1", 1, 2), deviceOf(t, "truck-1"), start-provenance.MaxClockSkew))
	require.Equal(t, provenance.Oversize, judge(make([]byte, provenance.MaxMessage+1), nil, now))
	require.Equal(t, provenance.Malformed, judge(nil, nil, now))
}

func TestKeysThatAreRefused(t *testing.T) {
	okp := func(x []byte) []byte {
		return mustMarshal(coseKey{Type: keyTypeOKP, Algorithm: AlgorithmEdDSA, Curve: curveEd25519, X: x})
	}
	small := make([]byte, 32)
	small[0] = 1 // the identity
	nonCanonical := bytes.Repeat([]byte{0xff}, 32)
	nonCanonical[0], nonCanonical[31] = 0xee, 0x7f // p + 1
	for name, key := range map[string][]byte{
		"small order":   okp(small),
		"non-canonical": okp(nonCanonical),
		"short":         okp(small[:31]),
		"not on curve":  mustMarshal(coseKey{Type: keyTypeEC2, Algorithm: AlgorithmES256, Curve: curveP256, X: make([]byte, 32), Y: make([]byte, 32)}),
		"wrong curve":   mustMarshal(coseKey{Type: keyTypeOKP, Algorithm: AlgorithmEdDSA, Curve: 7, X: small}),
		"empty":         nil,
	} {
		_, err := ParseKey(key)
		require.Error(t, err, name)
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(signed(f, "truck-1", 1, 1))
	f.Add(signed(f, "truck-1", 1, 60))
	f.Fuzz(func(t *testing.T, message []byte) {
		frame, payload, err := ParseMessage(message)
		if err != nil {
			return
		}
		require.Equal(t, frame.Raw, assembleFrame(frame.Protected, frame.PayloadHash, frame.Signature), "a frame has one encoding")
		pack, err := ParsePayload(payload)
		if err != nil {
			return
		}
		again, err := EncodePayload(pack)
		require.NoError(t, err)
		require.Equal(t, payload, again, "a payload has one encoding")
	})
}

func BenchmarkVerifyFrame(b *testing.B) {
	message, device := signed(b, "truck-1", 1, 60), deviceOf(b, "truck-1")
	key, err := ParseKey(device.KeyAt(1))
	require.NoError(b, err)
	for b.Loop() {
		f, payload, err := ParseMessage(message)
		if err == nil {
			err = Judge(f, payload, device, key, Origin{Organisation: "Carrier", Lane: 3, Now: start + 1e7})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse60(b *testing.B) {
	message := signed(b, "truck-1", 1, 60)
	for b.Loop() {
		_, payload, _ := ParseMessage(message)
		if _, err := ParsePayload(payload); err != nil {
			b.Fatal(err)
		}
	}
}
