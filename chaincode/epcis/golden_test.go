package epcis

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files of this package")

// Each folder of testdata/valid holds one document in one or two syntaxes, and the pre-hash strings its events must
// have, one a line, under both editions.
func TestValidDocuments(t *testing.T) {
	folders, err := filepath.Glob("testdata/valid/*")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		inputs, err := filepath.Glob(filepath.Join(folder, "input.*"))
		require.NoError(t, err)
		require.NotEmpty(t, inputs, folder)
		for _, input := range inputs {
			t.Run(strings.TrimPrefix(input, "testdata/valid/"), func(t *testing.T) {
				data, err := os.ReadFile(input)
				require.NoError(t, err)
				doc, err := Parse(data)
				require.NoError(t, err)
				require.Empty(t, Validate(doc))
				got := preHashes(t, doc)
				golden := filepath.Join(folder, "prehashes.txt")
				if *update && !doc.xml {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				if *update && len(inputs) == 1 {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, strings.Split(string(want), "\n"), strings.Split(got, "\n"))

				// Written as JSON-LD and read again, whole or event by event, it is the same and still valid.
				again, err := Parse(doc.MarshalJSONLD())
				require.NoError(t, err)
				require.Empty(t, Validate(again))
				require.Equal(t, got, preHashes(t, again))
				for i, e := range doc.Events {
					alone, err := Parse(e.MarshalJSONLD())
					require.NoError(t, err)
					require.Empty(t, Validate(alone))
					kept, err := NewEvent(e.Fields(), e.Context())
					require.NoError(t, err)
					require.Equal(t, string(e.Fields()), string(kept.Fields()))
					for _, same := range []*Event{alone.Events[0], kept, again.Events[i]} {
						require.Equal(t, id(t, e), id(t, same))
					}
				}
				if !doc.xml {
					require.JSONEq(t, string(data), string(doc.MarshalJSONLD()))
				}
				result := QueryResult{QueryName: "q", CreationDate: "2025-01-01T00:00:00Z"}.MarshalJSONLD(doc.Events)
				queried, err := Parse(result)
				require.NoError(t, err)
				require.Empty(t, Validate(queried))
				require.Equal(t, got, preHashes(t, queried))
			})
		}
	}
}

func id(t *testing.T, e *Event) string {
	t.Helper()
	id, err := e.HashID(CBV20)
	require.NoError(t, err)
	return id
}

func preHashes(t *testing.T, doc *Document) string {
	t.Helper()
	var lines strings.Builder
	for _, e := range doc.Events {
		for _, version := range []Version{CBV20, CBV21} {
			pre, err := e.PreHash(version)
			require.NoError(t, err)
			lines.WriteString(string(version) + " " + pre + "\n")
		}
	}
	return lines.String()
}

// Documents that give one prefix two meanings can still be answered in one query document.
func TestQueryResultJoinsContexts(t *testing.T) {
	read := func(namespace string) *Event {
		doc, err := Parse([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/epcis-context.jsonld",{"ex":"` + namespace + `"},{"both":"urn:both:"}],
			"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2025-01-01T00:00:00Z","epcisBody":{"eventList":[
			{"type":"ObjectEvent","eventTime":"2025-01-01T00:00:00Z","eventTimeZoneOffset":"+00:00","action":"OBSERVE",
			"epcList":["urn:x:1"],"ex:a":1.50,"both:b":{"ex:c":["2","1"]}}]}}`))
		require.NoError(t, err)
		require.Empty(t, Validate(doc))
		return doc.Events[0]
	}
	captured := []*Event{read("https://one.example/"), read("https://two.example/"), read("https://one.example/")}
	written := QueryResult{QueryName: "q", SubscriptionID: "s", CreationDate: "2025-01-02T00:00:00Z"}.MarshalJSONLD(captured)
	doc, err := Parse(written)
	require.NoError(t, err)
	require.Equal(t, "EPCISQueryDocument", doc.Kind())
	require.Empty(t, Validate(doc))
	require.Len(t, doc.Events, 3)
	for i, e := range doc.Events {
		require.Equal(t, id(t, captured[i]), id(t, e))
	}
	require.NotEqual(t, id(t, captured[0]), id(t, captured[1]))
	require.Equal(t, string(captured[0].Fields()), string(doc.Events[0].Fields()), "as it was captured")
	require.Equal(t, string(captured[2].Fields()), string(doc.Events[2].Fields()))
	require.Contains(t, string(doc.Events[1].Fields()), `"@context":[{"ex":"https://two.example/"}]`)
}
