package epcis

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkEvent(b *testing.B) {
	data, err := os.ReadFile("testdata/valid/object-all-fields/input.jsonld")
	require.NoError(b, err)
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			_, err := Parse(data)
			require.NoError(b, err)
		}
	})
	doc, err := Parse(data)
	require.NoError(b, err)
	b.Run("validate", func(b *testing.B) {
		for b.Loop() {
			require.Empty(b, Validate(doc))
		}
	})
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			_, err := doc.Events[0].HashID(CBV20)
			require.NoError(b, err)
		}
	})
}
