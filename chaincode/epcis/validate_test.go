package epcis

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublicDocumentsAreValid(t *testing.T) {
	checked := 0
	require.NoError(t, filepath.WalkDir(sharedData(t), func(path string, entry os.DirEntry, err error) error {
		if extension := filepath.Ext(path); err != nil || (extension != ".jsonld" && extension != ".xml") {
			return err
		}
		checked++
		t.Run(entry.Name(), func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			doc, err := Parse(data)
			require.NoError(t, err)
			require.Empty(t, Validate(doc))
			if !doc.xml {
				require.JSONEq(t, string(data), string(doc.MarshalJSONLD()))
			}
		})
		return nil
	}))
	require.NotZero(t, checked)
}
