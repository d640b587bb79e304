package evidence

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func receipts(t testing.TB) map[string]func(testing.TB) (*Receipt, *Trust) {
	return map[string]func(testing.TB) (*Receipt, *Trust){ReceiptReading: readingReceipt, ReceiptAlert: alertReceipt}
}

func TestReceiptVerifies(t *testing.T) {
	for kind, make := range receipts(t) {
		t.Run(kind, func(t *testing.T) {
			r, trust := make(t)
			data, err := r.Encode()
			require.NoError(t, err)
			report, err := Verify(data, trust)
			require.NoError(t, err)
			require.Equal(t, kind, report.Kind)
			require.Equal(t, []string{"Carrier", "Manufacturer", "Regulator"}, report.Organisations)
			require.NotEmpty(t, report.Sentence)
		})
	}
}

// Every single bit of a receipt matters: none can change unseen.
func TestReceiptEveryFlippedBitIsNamed(t *testing.T) {
	for kind, make := range receipts(t) {
		t.Run(kind, func(t *testing.T) {
			r, trust := make(t)
			data, err := r.Encode()
			require.NoError(t, err)
			for i := range data {
				for bit := range 8 {
					altered := bytes.Clone(data)
					altered[i] ^= 1 << bit
					_, err := Verify(altered, trust)
					var broken *VerifyError
					require.ErrorAs(t, err, &broken, "byte %d bit %d", i, bit)
					require.NotEmpty(t, broken.Part)
				}
			}
			for _, altered := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 0), nil} {
				_, err := Verify(altered, trust)
				require.Error(t, err)
			}
		})
	}
}

func TestReceiptRefusals(t *testing.T) {
	verify := func(r *Receipt, trust *Trust) string {
		data, err := r.Encode()
		require.NoError(t, err)
		_, err = Verify(data, trust)
		var broken *VerifyError
		require.ErrorAs(t, err, &broken)
		return broken.Part
	}
	t.Run("too few organisations", func(t *testing.T) {
		r, trust := readingReceipt(t)
		r.Notes = r.Notes[:1]
		for i := range r.Entries {
			r.Entries[i].Paths = r.Entries[i].Paths[:1]
		}
		require.Equal(t, "checkpoints", verify(r, trust))
	})
	t.Run("the same organisation twice", func(t *testing.T) {
		r, trust := readingReceipt(t)
		r.Notes[1] = r.Notes[0]
		require.Equal(t, "checkpoint 2", verify(r, trust))
	})
	t.Run("keys that the receipt's maker chose", func(t *testing.T) {
		r, _ := readingReceipt(t)
		_, other := readingReceipt(t)
		other.Organisations[0].LogKey = "Carrier+00000000+AAAA"
		require.Equal(t, "trust file", verify(r, other))
	})
	t.Run("a transaction that was endorsed but is not in the log", func(t *testing.T) {
		r, trust := readingReceipt(t)
		leaf, err := DecodeLogLeaf(r.Entries[0].Leaf)
		require.NoError(t, err)
		leaf.TransactionID[0] ^= 1 // the same records in a transaction that was not recorded as valid
		r.Entries[0].Leaf = leaf.Encode()
		require.Contains(t, verify(r, trust), "entry 1, log proof")
	})
	t.Run("another model than the alert's", func(t *testing.T) {
		r, trust := alertReceipt(t)
		r.Entries[1], r.Entries[2] = r.Entries[2], r.Entries[1]
		require.Equal(t, "entries", verify(r, trust))
	})
	t.Run("another reading of the frame than claimed", func(t *testing.T) {
		r, trust := readingReceipt(t)
		r.Subject.Reading.Index++
		require.Equal(t, "reading", verify(r, trust))
	})
	t.Run("a device whose key is another", func(t *testing.T) {
		r, trust := readingReceipt(t)
		frame, err := ParseFrame(r.Subject.Frame)
		require.NoError(t, err)
		require.Equal(t, provenance.FrameID{Device: "truck-1", Epoch: 1, Sequence: 3}, frame.ID)
		r.Entries[1] = r.Entries[0]
		require.Equal(t, "entries", verify(r, trust))
	})
}

func TestTrustRefusals(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field": `{"version":1,"channel":"c","quorum":1,"organisations":[],"x":1}`,
		"no quorum":     `{"version":1,"channel":"c","quorum":1,"organisations":[]}`,
		"version":       `{"version":2,"channel":"c","quorum":1,"organisations":[{"mspId":"A","name":"A","logKey":""}]}`,
		"bad key":       `{"version":1,"channel":"c","quorum":1,"organisations":[{"mspId":"A","name":"A","logKey":"A+1+2"}]}`,
		"trailing":      `{"version":1,"channel":"c","quorum":1,"organisations":[]} {}`,
	} {
		_, err := ParseTrust([]byte(text))
		require.Error(t, err, name)
	}
}

func FuzzVerify(f *testing.F) {
	for _, make := range receipts(f) {
		r, _ := make(f)
		data, err := r.Encode()
		require.NoError(f, err)
		f.Add(data)
	}
	_, trust := readingReceipt(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if report, err := Verify(data, trust); err == nil {
			require.NotEmpty(t, report.Checks)
		}
	})
}
