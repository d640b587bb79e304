package evidence

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// fixed is a source of "randomness" that is the same in every run.
type fixed byte

func (f fixed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

func fixedSigner(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

const start = provenance.Time(1_780_000_000_000)

func packOf(device string, readings int) *Pack {
	p := &Pack{Device: device, Unit: "Cel"}
	for i := range readings {
		p.Readings = append(p.Readings, provenance.Reading{Time: start + provenance.Time(i*60_000), Value: provenance.Micro(4_000_000 + i%7*100_000)})
	}
	return p
}

func signed(t testing.TB, device string, sequence uint64, readings int) []byte {
	t.Helper()
	pack := packOf(device, readings)
	message, err := SignFrame(fixedSigner(7), 1, sequence, pack, pack.Readings[readings-1].Time+1500)
	require.NoError(t, err)
	return message
}

func deviceOf(t testing.TB, id string) *provenance.Device {
	t.Helper()
	key, err := EncodeKey(fixedSigner(7).Public())
	require.NoError(t, err)
	return &provenance.Device{
		ID: id, Organisation: "Carrier", Quantity: "temperature", Unit: "Cel", Min: -40_000_000, Max: 85_000_000,
		CalibrationDue: start + 1e10, Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: key}}, Lane: 3, Changed: start,
	}
}

// chain is a little ledger: it makes receipts as a gateway would, so that the verifier can be tested without one.
type chain struct {
	leaves []provenance.Hash
	raw    [][]byte
	writes [][]Write
	orgs   []string
	skeys  map[string]string
	trust  *Trust
}

func newChain(t testing.TB) *chain {
	c := &chain{skeys: map[string]string{}, trust: &Trust{Version: 1, Channel: "trailmark", Quorum: 2}}
	for i, org := range []string{"Carrier", "Manufacturer", "Regulator"} {
		skey, vkey, err := note.GenerateKey(fixed(i+1), org)
		require.NoError(t, err)
		c.orgs, c.skeys[org] = append(c.orgs, org), skey
		c.trust.Organisations = append(c.trust.Organisations, PinnedOrganisation{MSPID: org, Name: org, LogKey: vkey})
	}
	return c
}

func (c *chain) commit(writes ...Write) int {
	n := len(c.raw)
	leaf := LogLeaf{Channel: "trailmark", Block: uint64(n + 5), Transaction: 0, TransactionID: bytes.Repeat([]byte{byte(n + 1)}, 32), Digest: Digest(writes)}.Encode()
	c.raw, c.writes, c.leaves = append(c.raw, leaf), append(c.writes, writes), append(c.leaves, LeafHash(leaf))
	return n
}

func (c *chain) receipt(t testing.TB, kind string, at []int, keys []string, subject *Subject) *Receipt {
	t.Helper()
	r := &Receipt{Version: 1, Kind: kind, Subject: subject}
	var sizes []int
	for i, org := range c.orgs {
		signer, err := note.NewSigner(c.skeys[org])
		require.NoError(t, err)
		size := len(c.leaves) - i%2 // organisations need not be equally far
		signed, err := SignCheckpoint(signer, "trailmark", uint64(size), Root(c.leaves[:size]))
		require.NoError(t, err)
		r.Notes, sizes = append(r.Notes, signed), append(sizes, size)
	}
	for i, n := range at {
		leaves := RecordLeaves(c.writes[n])
		var e Entry
		for j, w := range c.writes[n] { // fixtures write in key order
			if w.Key == keys[i] {
				proof, err := Prove(leaves, uint64(j))
				require.NoError(t, err)
				e = Entry{Leaf: c.raw[n], Record: EncodeRecord(w), RecordProof: proof, Index: uint64(n)}
			}
		}
		require.NotNil(t, e.Record)
		for _, size := range sizes {
			proof, err := Prove(c.leaves[:size], uint64(n))
			require.NoError(t, err)
			e.Paths = append(e.Paths, proof.Path)
		}
		r.Entries = append(r.Entries, e)
	}
	return r
}

func state(t testing.TB, key string, v any) Write {
	t.Helper()
	value, err := Marshal(v)
	require.NoError(t, err)
	return Write{Key: key, Value: value}
}

// readingReceipt makes a receipt of one reading out of a batch of five frames; alertReceipt one of an alert.
func readingReceipt(t testing.TB) (*Receipt, *Trust) {
	c := newChain(t)
	device := deviceOf(t, "truck-1")
	enrolled := c.commit(state(t, "d/another", deviceOf(t, "another")), state(t, "d/truck-1", device))
	c.commit(state(t, "o/Carrier", &provenance.Organisation{ID: "Carrier", Name: "Carrier", Changed: start}))
	var leaves []provenance.Hash
	var frames, payloads [][]byte
	for i := range 5 {
		f, p, err := SplitMessage(signed(t, "truck-1", uint64(i+1), 10))
		require.NoError(t, err)
		frames, payloads, leaves = append(frames, f), append(payloads, p), append(leaves, LeafHash(f))
	}
	manifest := &provenance.Manifest{Organisation: "Carrier", Lane: 3, Number: 9, Fence: 1, Frames: 5, Readings: 50, Root: Root(leaves), First: start, Last: start + 540_000, Committed: start + 600_000}
	batch := c.commit(state(t, "b/Carrier/3/9", manifest), state(t, "h/truck-1/1", &provenance.Head{Last: 5}), state(t, "l/Carrier/3", &provenance.Lane{Organisation: "Carrier", Lane: 3, Number: 9}))
	for range 4 {
		c.commit(state(t, "o/Carrier", &provenance.Organisation{ID: "Carrier", Name: "again"}))
	}
	proof, err := Prove(leaves, 2)
	require.NoError(t, err)
	reading := packOf("truck-1", 10).Readings[4]
	subject := &Subject{Frame: frames[2], Payload: payloads[2], Proof: proof, Reading: SubjectReading{Index: 4, Time: reading.Time, Value: reading.Value}}
	return c.receipt(t, ReceiptReading, []int{batch, enrolled}, []string{"b/Carrier/3/9", "d/truck-1"}, subject), c.trust
}

func alertReceipt(t testing.TB) (*Receipt, *Trust) {
	c := newChain(t)
	model := &provenance.Model{Name: "cold-chain", Version: "1", Hash: provenance.Hash{1}, Kernel: "k1", TrainingRoot: provenance.Hash{2}, Organisation: "Manufacturer", Registered: start}
	shipment := &provenance.Shipment{ID: "106141412345678908", Organisation: "Manufacturer", Parties: []string{"Carrier", "Manufacturer"}, Profile: "milk", Opened: start}
	alert := &provenance.Alert{
		ID: "spoilage-1", Shipment: shipment.ID, Kind: provenance.KindSpoilage, Score: 900_000, ModelName: "cold-chain", ModelVersion: "1", ModelHash: model.Hash,
		InputRoot: provenance.Hash{3}, Devices: []string{"truck-1"}, Readings: 400, Message: "It will spoil.", Drivers: []provenance.Driver{{Name: "log10", Value: 5_000_000, Unit: "log10 CFU/mL"}},
		Attestations: []provenance.AlertAttestation{{Organisation: "Carrier", Score: 900_000}}, Organisation: "Carrier", Raised: start,
	}
	at := []int{0, c.commit(state(t, "m/cold-chain/1", model)), c.commit(state(t, "s/"+shipment.ID, shipment))}
	at[0] = c.commit(state(t, "a/"+shipment.ID+"/spoilage-1", alert))
	c.commit(state(t, "o/Carrier", &provenance.Organisation{ID: "Carrier"}))
	return c.receipt(t, ReceiptAlert, at, []string{"a/" + shipment.ID + "/spoilage-1", "m/cold-chain/1", "s/" + shipment.ID}, nil), c.trust
}
