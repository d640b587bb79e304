package epcis

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedData is where the public documents lie that are not part of the project.
func sharedData(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := filepath.Join(root, "..", "shared", "data", "epcis")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("skipped: the public EPCIS documents are not at %s", dir)
	}
	return dir
}

func TestPublishedHashIDs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sharedData(t), "event-hash", "*"))
	require.NoError(t, err)
	checked := 0
	for _, file := range files {
		extension := filepath.Ext(file)
		if extension != ".jsonld" && extension != ".xml" {
			continue
		}
		checked++
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			want, err := os.ReadFile(strings.TrimSuffix(file, extension) + ".hashes")
			require.NoError(t, err)
			doc, err := Parse(data)
			require.NoError(t, err)
			var got []string
			for _, e := range doc.Events {
				id, err := e.HashID(CBV20)
				require.NoError(t, err)
				pre, err := e.PreHash(CBV20)
				require.NoError(t, err)
				t.Log(pre)
				got = append(got, id)
			}
			require.Equal(t, strings.Fields(string(want)), got)
		})
	}
	require.NotZero(t, checked)
}
