package epcis

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestFacts(t *testing.T) {
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return at
	}
	const lot, sgtin = "https://id.gs1.org/01/04012345123456", "https://id.gs1.org/01/04012345111118/21/"
	want := Facts{
		Type: "ObjectEvent", EventID: "urn:uuid:5b0e7e2e-3f0c-4c68-8f0e-0f3c6b7f2a11",
		EventTime: utc("2025-03-01T08:15:00.0005Z"), RecordTime: utc("2025-03-01T08:16:00Z"), EventTimeZoneOffset: "+01:00",
		Action: "ADD", BizStep: "commissioning", Disposition: "active",
		SetDispositions: []string{"completeness_verified"}, UnsetDispositions: []string{"completeness_inferred"},
		ReadPoint: "https://id.gs1.org/414/4012345000054", BizLocation: "https://id.gs1.org/414/4012345000054/254/A",
		EPCs:       []string{sgtin + "B%2F7", sgtin + "A7"},
		Quantities: []Quantity{{lot + "/10/M-25", "200.5", "KGM"}, {lot, "3", ""}},
		Transactions: []Typed{
			{"po", "urn:epcglobal:cbv:bt:4012345000009:PO1"}, {"", "http://transactions.example.com/9"},
		},
		Sources:      []Typed{{"owning_party", "https://id.gs1.org/417/4012345000009"}},
		Destinations: []Typed{{"https://cold.example.org/epcis/hub", "https://id.gs1.org/417/4023333000000"}},
	}
	start, end := utc("2025-03-01T07:00:00Z"), utc("2025-03-01T08:00:00Z")
	device := "https://id.gs1.org/8004/4000001111"
	want.Sensors = []SensorReport{
		{Type: "Temperature", Exception: "ALARM_CONDITION", DeviceID: device, Start: start, End: end, Min: "-0.5", Max: "4", Mean: "2", UOM: "CEL"},
		{Type: "Angle", Component: "longitude", DeviceID: device, Start: start, End: end, Value: "11.104301", UOM: "DD"},
		{Type: "https://cold.example.org/epcis/doorOpen", DeviceID: device, Start: start, End: end},
		{Type: "https://cold.example.org/epcis/code", DeviceID: device, Start: start, End: end},
	}
	data, err := os.ReadFile("testdata/valid/object-all-fields/input.jsonld")
	require.NoError(t, err)
	doc, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, "EPCISDocument", doc.Kind())
	require.Empty(t, cmp.Diff(want, doc.Events[0].Facts()))

	// What XML says of the same event differs only in what JSON-LD cannot keep apart: the order of lists.
	data, err = os.ReadFile("testdata/valid/object-all-fields/input.xml")
	require.NoError(t, err)
	doc, err = Parse(data)
	require.NoError(t, err)
	got := doc.Events[0].Facts()
	require.ElementsMatch(t, want.EPCs, got.EPCs)
	require.ElementsMatch(t, want.Quantities, got.Quantities)
	require.ElementsMatch(t, want.Sensors, got.Sensors)
	require.ElementsMatch(t, want.Destinations, got.Destinations)

	data, err = os.ReadFile("testdata/valid/events-of-every-type/input.jsonld")
	require.NoError(t, err)
	doc, err = Parse(data)
	require.NoError(t, err)
	require.Equal(t, &ErrorDeclaration{
		Time: utc("2025-03-01T23:00:00Z"), Reason: "incorrect_data",
		Corrective: []string{"urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"},
	}, doc.Events[5].Facts().Error)
}

func TestEncodings(t *testing.T) {
	const event = `<ObjectEvent><eventTime>2026-07-22T06:45:00Z</eventTime></ObjectEvent>`
	_, err := Parse([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?>` + event))
	require.NoError(t, err)
	_, err = Parse([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?><ObjectEvent>ü</ObjectEvent>`))
	require.ErrorContains(t, err, "use UTF-8")
	_, err = Parse([]byte("\xff\xfe<\x00"))
	require.ErrorContains(t, err, "encoding/utf-8")
	_, err = Parse([]byte("\xef\xbb\xbf" + event))
	require.NoError(t, err)
}

func TestBounds(t *testing.T) {
	deep := func(open, middle, end string, n int) []byte {
		var b []byte
		for range n {
			b = append(b, open...)
		}
		b = append(b, middle...)
		for range n {
			b = append(b, end...)
		}
		return b
	}
	many := []byte(`{"type":"EPCISDocument","epcisBody":{"eventList":[{}`)
	for range MaxEvents {
		many = append(many, ",{}"...)
	}
	many = append(many, "]}}"...)
	for rule, data := range map[string][]byte{
		"limit/depth":    deep(`{"a":`, "1", "}", MaxDepth+2),
		"limit/string":   append(append([]byte(`{"type":"`), deep("a", "", "", MaxStringBytes+1)...), `"}`...),
		"limit/events":   many,
		"limit/document": make([]byte, MaxDocumentBytes+1),
	} {
		_, err := Parse(data)
		require.ErrorContains(t, err, rule)
	}
	_, err := Parse(deep("<a>", "", "</a>", MaxDepth+1))
	require.ErrorContains(t, err, "limit/depth")
	_, err = Parse(append(append([]byte("<a>"), deep("a", "", "", MaxStringBytes+1)...), "</a>"...))
	require.ErrorContains(t, err, "limit/string")
}
