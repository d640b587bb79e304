package epcis

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// documents are all the documents that tests have, valid or not.
func documents(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, pattern := range []string{"testdata/*/*/input.*", "../../../shared/data/epcis/*/*.jsonld", "../../../shared/data/epcis/*/*.xml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			all = append(all, data)
		}
	}
	require.NotEmpty(t, all)
	return all
}

func validDocuments(t testing.TB) []*Document {
	var valid []*Document
	for _, data := range documents(t) {
		if doc, err := Parse(data); err == nil && len(Validate(doc)) == 0 {
			valid = append(valid, doc)
		}
	}
	require.NotEmpty(t, valid)
	return valid
}

// shuffled changes the order of everything that has none: the members of objects, and the items of lists, except the
// list of events itself.
func shuffled(t *rapid.T, v *value) *value {
	out := &value{kind: v.kind, text: v.text}
	for _, m := range v.members {
		if m.name == "@context" {
			out.members = append(out.members, m)
			continue
		}
		out.members = append(out.members, member{m.name, shuffled(t, m.value)})
	}
	for _, item := range v.items {
		out.items = append(out.items, shuffled(t, item))
	}
	if len(out.members) > 1 {
		out.members = rapid.Permutation(out.members).Draw(t, "members")
	}
	if len(out.items) > 1 {
		out.items = rapid.Permutation(out.items).Draw(t, "items")
	}
	return out
}

func TestHashIgnoresOrder(t *testing.T) {
	docs := validDocuments(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.SampledFrom(docs).Draw(t, "document")
		for _, e := range doc.Events {
			mixed, err := NewEvent(shuffled(t, e.fields).appendJSON(nil), e.Context())
			require.NoError(t, err)
			for _, version := range []Version{CBV20, CBV21} {
				want, err := e.PreHash(version)
				require.NoError(t, err)
				got, err := mixed.PreHash(version)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
}

// A change of any value that makes the event changes the hash.
func TestHashNoticesChange(t *testing.T) {
	docs := validDocuments(t)
	left := []string{"@context", "recordTime", "eventID", "errorDeclaration", "rdfs:comment", "comment"}
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(docs).Filter(func(d *Document) bool { return len(d.Events) > 0 }).Draw(t, "document").Events[0]
		m := rapid.SampledFrom(e.fields.members).Draw(t, "member")
		changed, err := NewEvent(withChange(t, e.fields, m).appendJSON(nil), e.Context())
		require.NoError(t, err)
		was, err := e.HashID(CBV20)
		require.NoError(t, err)
		now, err := changed.HashID(CBV20)
		require.NoError(t, err)
		if slices.Contains(left, m.name) {
			require.Equal(t, was, now, m.name)
		} else {
			require.NotEqual(t, was, now, m.name)
		}
	})
}

// withChange replaces one text or number somewhere below a member by another.
func withChange(t *rapid.T, fields *value, m member) *value {
	if m.name == "@context" {
		return fields
	}
	out := fields.without("")
	out.set(m.name, changedLeaf(t, m.value))
	return out
}

func changedLeaf(t *rapid.T, v *value) *value {
	switch v.kind {
	case object:
		var names []string
		for _, m := range v.members {
			if m.name != "type" || v.get("sensorReport") == nil { // the one member that XML cannot say
				names = append(names, m.name)
			}
		}
		if len(names) == 0 {
			return textValue("changed")
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		out := v.without("")
		out.set(name, changedLeaf(t, v.get(name)))
		return out
	case array:
		if len(v.items) == 0 {
			return &value{kind: array, items: []*value{textValue("urn:changed")}}
		}
		out := &value{kind: array, items: slices.Clone(v.items)}
		i := rapid.IntRange(0, len(v.items)-1).Draw(t, "index")
		out.items[i] = changedLeaf(t, v.items[i])
		return out
	case number:
		return &value{kind: number, text: "77777.25"}
	default:
		return textValue("2031-05-05T05:05:05Z")
	}
}

// Whatever the syntax, a written document reads back the same, and its problems come in the same order each time.
func TestMarshalAndValidateAreStable(t *testing.T) {
	for _, data := range documents(t) {
		doc, err := Parse(data)
		if err != nil {
			continue
		}
		written := doc.MarshalJSONLD()
		again, err := Parse(written)
		require.NoError(t, err)
		require.Equal(t, string(written), string(again.MarshalJSONLD()))
		for range 5 {
			require.Equal(t, Validate(doc), Validate(doc))
			repeated, err := Parse(data)
			require.NoError(t, err)
			require.Equal(t, string(written), string(repeated.MarshalJSONLD()))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range documents(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Parse(data)
		if err != nil {
			require.IsType(t, Problem{}, err)
			return
		}
		problems := Validate(doc)
		written := doc.MarshalJSONLD()
		again, err := Parse(written)
		require.NoError(t, err, "%s", written)
		require.Len(t, again.Events, len(doc.Events))
		for i, e := range doc.Events {
			e.Facts()
			for _, version := range []Version{CBV20, CBV21} {
				id, err := e.HashID(version)
				same, errSame := again.Events[i].HashID(version)
				require.Equal(t, err == nil, errSame == nil)
				require.Equal(t, id, same)
			}
			if alone, err := Parse(e.MarshalJSONLD()); len(problems) == 0 {
				require.NoError(t, err)
				require.Empty(t, Validate(alone))
			}
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, doc := range validDocuments(f) {
		for _, e := range doc.Events {
			for _, name := range []string{"epcList", "childEPCs", "inputEPCList", "outputEPCList"} {
				for _, item := range e.fields.get(name).list() {
					f.Add(item.str(), 7)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, uri string, prefixLength int) {
		canonical := Canonical(uri)
		require.Equal(t, canonical, Canonical(canonical))
		_, _ = checkIdentifier(uri)
		if epc, err := EPCURI(uri, prefixLength); err == nil {
			_ = Canonical(epc)
		}
	})
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"1.0", "-0", "1e-5", "+.5", "12345678901234567890"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plain, ok := decimal(s)
		if !ok {
			require.Equal(t, s, plain)
			return
		}
		again, ok := decimal(plain)
		if len(plain) <= maxNumberBytes {
			require.True(t, ok)
			require.Equal(t, plain, again)
		}
		require.Zero(t, compareDecimals(plain, plain))
	})
}
