package evidence

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

var update = flag.Bool("update", false, "write the golden vectors anew: only with a new version of the format")

// golden holds bytes against testdata/golden/NAME.hex: what stands on ledgers must stay readable and be written the same.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, wrap(got), 0o644))
	}
	require.Equal(t, string(vector(t, name)), string(got), "%s differs from its golden vector", name)
}

func vector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
	require.NoError(t, err)
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	require.NoError(t, err)
	return raw
}

func wrap(raw []byte) []byte {
	var out bytes.Buffer
	for text := hex.EncodeToString(raw); text != ""; {
		n := min(120, len(text))
		fmt.Fprintln(&out, text[:n])
		text = text[n:]
	}
	return out.Bytes()
}

func TestGoldenMessages(t *testing.T) {
	golden(t, "message-ed25519-1", signed(t, "truck-1", 5, 1))
	golden(t, "message-ed25519-60", signed(t, "truck-1", 6, 60))
	device := deviceOf(t, "truck-1")
	golden(t, "cose-key-ed25519", device.Keys[0].Key)
	require.Equal(t, provenance.Accepted, judge(vector(t, "message-ed25519-60"), device, start+1e7))
	// ES256 signatures are drawn at random, so this vector is only read.
	device.Keys[0].Key = vector(t, "cose-key-es256")
	require.Equal(t, provenance.Accepted, judge(vector(t, "message-es256-3"), device, start+1e7))
}

func TestGoldenState(t *testing.T) {
	device := deviceOf(t, "truck-1")
	receipt, _ := readingReceipt(t)
	manifest, err := DecodeRecord(receipt.Entries[0].Record)
	require.NoError(t, err)
	states := map[string]any{
		"d/truck-1":   device,
		"h/truck-1/1": &provenance.Head{Last: 70, Gaps: []provenance.Gap{{From: 3, To: 3}, {From: 10, To: 12}}},
		"l/Carrier/3": &provenance.Lane{Organisation: "Carrier", Lane: 3, Owner: "ingest-1", Fence: 2, Number: 9, Digest: provenance.Hash{9}, Changed: start},
		"s/106141412345678908": &provenance.Shipment{
			ID: "106141412345678908", Organisation: "Manufacturer", Parties: []string{"Carrier", "Manufacturer"},
			Goods: []provenance.Goods{{GTIN: "09506000134352", Lot: "A1", Description: "Milk", Quantity: 480}}, Profile: "milk-pasteurised",
			Limits: provenance.Limits{Min: 0, Max: 6_000_000, AllowedMinutes: 30}, Initial: 2_400_000, Attachments: []provenance.Attachment{{Device: "truck-1", From: start, To: 0}},
			Opened: start, Changed: start, Origin: "Salzburg", Destination: "Vienna",
		},
		"o/Carrier":                      &provenance.Organisation{ID: "Carrier", Name: "Carrier", LogKey: "Carrier+1+2", Changed: start},
		"c/Carrier/00000000000000000012": &provenance.Checkpoint{Organisation: "Carrier", Size: 12, Root: provenance.Hash{1}, Note: "note", Anchored: start},
		"x/00000000000000000012":         &provenance.Contradiction{Size: 12, Notes: []string{"a", "b"}, Found: start},
	}
	for key, state := range states {
		value, err := Marshal(state)
		require.NoError(t, err)
		golden(t, "state-"+strings.ReplaceAll(key, "/", "-"), value)
		decoded, err := DecodeState(key, value)
		require.NoError(t, err)
		again, err := Marshal(decoded)
		require.NoError(t, err)
		require.Equal(t, value, again)
	}
	golden(t, "state-b-Carrier-3-9", manifest.Value)
	_, err = DecodeState("d/another", vector(t, "state-d-truck-1"))
	require.ErrorContains(t, err, "holds the value of")
}

func TestGoldenBatch(t *testing.T) {
	b := &Batch{Organisation: "Carrier", Lane: 3, Number: 17, Fence: 2}
	for i := range 3 {
		raw, payload, err := SplitMessage(signed(t, "truck-1", uint64(i+1), 2))
		require.NoError(t, err)
		if i == 2 {
			payload = nil
		}
		b.Frames = append(b.Frames, BatchFrame{Received: start + provenance.Time(i*10), Raw: raw, Payload: payload})
	}
	if *update {
		argument, err := EncodeBatch(b)
		require.NoError(t, err)
		golden(t, "batch", argument)
	}
	got, err := DecodeBatch(vector(t, "batch")) // compression may come out otherwise one day; what it says may not
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func TestGoldenLog(t *testing.T) {
	writes := []Write{{Key: "d/b", Value: []byte{1}}, {Key: "d/a", Value: []byte{2, 3}}, {Key: "d/c"}}
	digest := Digest(writes)
	golden(t, "digest", digest[:])
	golden(t, "record", EncodeRecord(writes[1]))
	golden(t, "log-leaf", LogLeaf{Channel: "trailmark", Block: 7, Transaction: 2, TransactionID: bytes.Repeat([]byte{5}, 32), Digest: digest}.Encode())
	skey, _, err := note.GenerateKey(fixed(1), "Carrier")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	signed, err := SignCheckpoint(signer, "trailmark", 12, Root([]provenance.Hash{digest, digest}))
	require.NoError(t, err)
	golden(t, "checkpoint", []byte(signed))
	root := InputRoot([]InputReading{{Device: "b", Time: start, Value: 4}, {Device: "a", Time: start, Value: -4_500_000}})
	golden(t, "input-root", root[:])
}

func TestGoldenReceipts(t *testing.T) {
	for kind, make := range receipts(t) {
		r, trust := make(t)
		data, err := r.Encode()
		require.NoError(t, err)
		golden(t, "receipt-"+kind, data)
		text, err := json.Marshal(trust)
		require.NoError(t, err)
		golden(t, "trust-"+kind, text)
		parsed, err := ParseTrust(text)
		require.NoError(t, err)
		_, err = Verify(vector(t, "receipt-"+kind), parsed)
		require.NoError(t, err)
	}
}
