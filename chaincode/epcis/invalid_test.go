package epcis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const validObjectEvent = `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"ex":"https://ns.example.com/epcis/"}],
"type":"ObjectEvent","eventTime":"2025-01-01T00:00:00Z","eventTimeZoneOffset":"+00:00","action":"OBSERVE","epcList":["urn:epc:id:sgtin:4012345.011111.9876"]}`

// Each case changes members of a valid event (null removes one) and names the place and the rule that must be reported.
func TestBrokenEvents(t *testing.T) {
	cases := []struct{ name, change, place, rule string }{
		{"no context", `{"@context":null}`, "", "schema/required"},
		{"no time", `{"eventTime":null}`, "", "schema/required"},
		{"no offset", `{"eventTimeZoneOffset":null}`, "", "schema/required"},
		{"no action", `{"action":null}`, "", "schema/required"},
		{"unknown type", `{"type":"ObjectEvents"}`, "/type", "event/type"},
		{"type of 1.x", `{"type":"QuantityEvent"}`, "/type", "event/type"},
		{"wrong action", `{"action":"CREATE"}`, "/action", "schema/enum"},
		{"action in lower case", `{"action":"observe"}`, "/action", "schema/enum"},
		{"date alone", `{"eventTime":"22-07-2026"}`, "/eventTime", "time/syntax"},
		{"time without offset", `{"eventTime":"2025-01-01T00:00:00"}`, "/eventTime", "time/syntax"},
		{"time with comma", `{"eventTime":"2025-01-01T00:00:00,5Z"}`, "/eventTime", "time/syntax"},
		{"30 February", `{"eventTime":"2025-02-30T00:00:00Z"}`, "/eventTime", "time/range"},
		{"time's own offset", `{"eventTime":"2025-02-03T00:00:00+15:00"}`, "/eventTime", "time/range"},
		{"time as number", `{"eventTime":1735689600}`, "/eventTime", "schema/type"},
		{"record time", `{"recordTime":"yesterday"}`, "/recordTime", "time/syntax"},
		{"offset without sign", `{"eventTimeZoneOffset":"01:00"}`, "/eventTimeZoneOffset", "time/offset"},
		{"offset beyond", `{"eventTimeZoneOffset":"+14:30"}`, "/eventTimeZoneOffset", "time/offset"},
		{"offset's minutes", `{"eventTimeZoneOffset":"+01:60"}`, "/eventTimeZoneOffset", "time/offset"},
		{"offset Z", `{"eventTimeZoneOffset":"Z"}`, "/eventTimeZoneOffset", "time/offset"},
		{"biz step", `{"bizStep":"transforming"}`, "/bizStep", "cbv/bizStep"},
		{"biz step as URN", `{"bizStep":"urn:epcglobal:cbv:bizstep:transforming"}`, "/bizStep", "cbv/bizStep"},
		{"biz step as web URI", `{"bizStep":"https://ref.gs1.org/cbv/BizStep-transforming"}`, "/bizStep", "cbv/bizStep"},
		{"biz step with a blank", `{"bizStep":"ex: a"}`, "/bizStep", "cbv/bizStep"},
		{"disposition", `{"disposition":"in_transport"}`, "/disposition", "cbv/disposition"},
		{"empty disposition", `{"disposition":""}`, "/disposition", "schema/empty"},
		{"set", `{"persistentDisposition":{"set":["gone"]}}`, "/persistentDisposition/set/0", "cbv/disposition"},
		{"set and unset", `{"persistentDisposition":{"set":["recalled"],"unset":["cbv:Disp-recalled"]}}`, "/persistentDisposition/unset/0", "event/persistentDisposition"},
		{"nothing set", `{"persistentDisposition":{}}`, "/persistentDisposition", "event/persistentDisposition"},
		{"transaction type", `{"bizTransactionList":[{"type":"bill","bizTransaction":"urn:x:1"}]}`, "/bizTransactionList/0/type", "cbv/bizTransactionType"},
		{"transaction missing", `{"bizTransactionList":[{"type":"po"}]}`, "/bizTransactionList/0", "schema/required"},
		{"transaction no URI", `{"bizTransactionList":[{"type":"po","bizTransaction":"4711"}]}`, "/bizTransactionList/0/bizTransaction", "uri/syntax"},
		{"source type", `{"sourceList":[{"type":"place","source":"urn:epc:id:sgln:952012.345678.0"}]}`, "/sourceList/0/type", "cbv/sourceDestType"},
		{"source type missing", `{"sourceList":[{"source":"urn:epc:id:sgln:952012.345678.0"}]}`, "/sourceList/0", "schema/required"},
		{"destination", `{"destinationList":[{"type":"location","destination":"urn:epc:id:sgln:952012.34567.0"}]}`, "/destinationList/0/destination", "key/epc-uri"},
		{"error reason", `{"errorDeclaration":{"declarationTime":"2025-01-02T00:00:00Z","reason":"oops"}}`, "/errorDeclaration/reason", "cbv/errorReason"},
		{"error time missing", `{"errorDeclaration":{"reason":"incorrect_data"}}`, "/errorDeclaration", "schema/required"},
		{"corrects itself", `{"eventID":"urn:x:1","errorDeclaration":{"declarationTime":"2025-01-02T00:00:00Z","correctiveEventIDs":["urn:x:1"]}}`, "/errorDeclaration/correctiveEventIDs/0", "event/corrective"},
		{"certification", `{"certificationInfo":42}`, "/certificationInfo", "schema/type"},
		{"event ID", `{"eventID":"one"}`, "/eventID", "uri/syntax"},
		{"nothing", `{"epcList":null}`, "", "event/what"},
		{"nothing but empty lists", `{"epcList":[],"quantityList":[]}`, "", "event/what"},
		{"sensor nowhere", `{"epcList":null,"sensorElementList":[{"sensorReport":[{"type":"Mass","value":1}]}]}`, "", "event/what"},
		{"the same EPC twice", `{"epcList":["urn:x:1","urn:x:1"]}`, "/epcList", "schema/unique"},
		{"EPC no URI", `{"epcList":["4012345000054"]}`, "/epcList/0", "uri/syntax"},
		{"EPC a number", `{"epcList":[4012345000054]}`, "/epcList/0", "schema/type"},
		{"EPC list a string", `{"epcList":"urn:x:1"}`, "/epcList", "schema/type"},
		{"SGTIN too short", `{"epcList":["urn:epc:id:sgtin:4012345.01111.9876"]}`, "/epcList/0", "key/epc-uri"},
		{"SGTIN without serial", `{"epcList":["urn:epc:id:sgtin:4012345.011111"]}`, "/epcList/0", "key/epc-uri"},
		{"SGTIN with bare slash", `{"epcList":["urn:epc:id:sgtin:4012345.011111.a/b"]}`, "/epcList/0", "key/epc-uri"},
		{"unknown EPC scheme", `{"epcList":["urn:epc:id:sgtni:4012345.011111.1"]}`, "/epcList/0", "key/epc-uri"},
		{"tag URI", `{"epcList":["urn:epc:tag:sgtin-96:0.4012345.011111.1"]}`, "/epcList/0", "key/epc-uri"},
		{"GTIN check digit", `{"epcList":["https://id.gs1.org/01/04012345111119/21/1"]}`, "/epcList/0", "key/check-digit"},
		{"SSCC check digit elsewhere", `{"epcList":["https://shop.example.com/a/00/040123451111111111"]}`, "/epcList/0", "key/check-digit"},
		{"GRAI check digit", `{"epcList":["https://id.gs1.org/8003/030013450007718765"]}`, "/epcList/0", "key/check-digit"},
		{"GLN check digit elsewhere", `{"bizLocation":{"id":"http://gln.example.com/gln/4012345000055"}}`, "/bizLocation/id", "key/check-digit"},
		{"Digital Link too short", `{"epcList":["https://id.gs1.org/01/0401234511111/21/1/22"]}`, "/epcList/0", "key/digital-link"},
		{"qualifiers in disorder", `{"epcList":["https://id.gs1.org/01/04012345111118/21/1/10/A"]}`, "/epcList/0", "key/digital-link"},
		{"location check digit", `{"readPoint":{"id":"https://id.gs1.org/414/4012345000055"}}`, "/readPoint/id", "key/check-digit"},
		{"location without id", `{"bizLocation":{}}`, "/bizLocation", "schema/required"},
		{"location a string", `{"readPoint":"urn:x:1"}`, "/readPoint", "schema/type"},
		{"quantity as text", `{"quantityList":[{"epcClass":"urn:x:1","quantity":"5"}]}`, "/quantityList/0/quantity", "schema/type"},
		{"negative quantity", `{"quantityList":[{"epcClass":"urn:x:1","quantity":-5,"uom":"KGM"}]}`, "/quantityList/0/quantity", "quantity/negative"},
		{"half a thing", `{"quantityList":[{"epcClass":"urn:x:1","quantity":0.5}]}`, "/quantityList/0/quantity", "quantity/count"},
		{"unit of nothing", `{"quantityList":[{"epcClass":"urn:x:1","uom":"KGM"}]}`, "/quantityList/0/uom", "quantity/uom"},
		{"unit in lower case", `{"quantityList":[{"epcClass":"urn:x:1","quantity":1,"uom":"kg"}]}`, "/quantityList/0/uom", "schema/pattern"},
		{"quantity of nothing", `{"quantityList":[{"quantity":1}]}`, "/quantityList/0", "schema/required"},
		{"unknown field of a quantity", `{"quantityList":[{"epcClass":"urn:x:1","amount":5}]}`, "/quantityList/0/amount", "field/unknown"},
		{"ILMD while observing", `{"ilmd":{"ex:grade":"A"}}`, "/ilmd", "event/ilmd"},
		{"ILMD without namespace", `{"action":"ADD","ilmd":{"grade":"A"}}`, "/ilmd/grade", "field/unknown"},
		{"unknown field", `{"colour":"red"}`, "/colour", "field/unknown"},
		{"slip of a field", `{"bizstep":"shipping"}`, "/bizstep", "field/unknown"},
		{"field of another event", `{"childEPCs":["urn:x:1"]}`, "/childEPCs", "field/unknown"},
		{"slip where a context is unknown", `{"@context":["https://ref.gs1.org/standards/epcis/epcis-context.jsonld","https://x.example/c.jsonld"],"bizstep":"shipping"}`, "/bizstep", "field/unknown"},
		{"prefix not declared", `{"foo:bar":"1"}`, "/foo:bar", "context/prefix-undeclared"},
		{"prefix not declared inside", `{"ex:a":[{"foo:bar":"1"}]}`, "/ex:a/0/foo:bar", "context/prefix-undeclared"},
		{"pointer escapes", `{"ex:a/b":{"foo:~":"1"}}`, "/ex:a~1b/foo:~0", "context/prefix-undeclared"},
		{"sensor without report", `{"sensorElementList":[{"sensorMetadata":{}}]}`, "/sensorElementList/0", "schema/required"},
		{"sensor without type", `{"sensorElementList":[{"sensorReport":[{"value":1}]}]}`, "/sensorElementList/0/sensorReport/0", "schema/required"},
		{"measurement type", `{"sensorElementList":[{"sensorReport":[{"type":"Hotness","value":1}]}]}`, "/sensorElementList/0/sensorReport/0/type", "cbv/measurementType"},
		{"exception", `{"sensorElementList":[{"sensorReport":[{"type":"Mass","exception":"FIRE"}]}]}`, "/sensorElementList/0/sensorReport/0/exception", "cbv/sensorAlertType"},
		{"component", `{"sensorElementList":[{"sensorReport":[{"type":"Angle","component":"w"}]}]}`, "/sensorElementList/0/sensorReport/0/component", "cbv/component"},
		{"sensor value as text", `{"sensorElementList":[{"sensorReport":[{"type":"Mass","value":"1"}]}]}`, "/sensorElementList/0/sensorReport/0/value", "schema/type"},
		{"odd hex digits", `{"sensorElementList":[{"sensorReport":[{"type":"ex:m","hexBinaryValue":"f0f"}]}]}`, "/sensorElementList/0/sensorReport/0/hexBinaryValue", "schema/pattern"},
		{"least above greatest", `{"sensorElementList":[{"sensorReport":[{"type":"Mass","minValue":10.5,"maxValue":9.75}]}]}`, "/sensorElementList/0/sensorReport/0/minValue", "sensor/range"},
		{"half a percentile", `{"sensorElementList":[{"sensorReport":[{"type":"Mass","percRank":50}]}]}`, "/sensorElementList/0/sensorReport/0", "sensor/percentile"},
		{"rank beyond 100", `{"sensorElementList":[{"sensorReport":[{"type":"Mass","percRank":101,"percValue":1}]}]}`, "/sensorElementList/0/sensorReport/0/percRank", "schema/other"},
		{"interval backwards", `{"sensorElementList":[{"sensorMetadata":{"startTime":"2025-01-01T01:00:00Z","endTime":"2025-01-01T01:30:00+01:00"},"sensorReport":[{"type":"Mass","value":1}]}]}`, "/sensorElementList/0/sensorMetadata/endTime", "sensor/interval"},
		{"device no URI", `{"sensorElementList":[{"sensorMetadata":{"deviceID":"probe 1"},"sensorReport":[{"type":"Mass","value":1}]}]}`, "/sensorElementList/0/sensorMetadata/deviceID", "uri/syntax"},
		{"aggregation without parent", `{"type":"AggregationEvent","epcList":null,"action":"ADD","childEPCs":["urn:x:1"]}`, "", "event/parent"},
		{"unpacking without parent", `{"type":"AggregationEvent","epcList":null,"action":"DELETE","childEPCs":["urn:x:1"]}`, "", "event/parent"},
		{"aggregation without children", `{"type":"AggregationEvent","epcList":null,"action":"ADD","parentID":"urn:x:1","childEPCs":[]}`, "", "event/children"},
		{"observed without children", `{"type":"AggregationEvent","epcList":null,"parentID":"urn:x:1"}`, "", "event/children"},
		{"its own child", `{"type":"AggregationEvent","epcList":null,"action":"ADD","parentID":"urn:epc:id:sscc:4012345.0111111111","childEPCs":["https://id.gs1.org/00/040123451111111110"]}`, "/childEPCs/0", "event/own-child"},
		{"association without parent", `{"type":"AssociationEvent","epcList":null,"action":"OBSERVE","childEPCs":["urn:x:1"]}`, "", "schema/required"},
		{"transaction without transactions", `{"type":"TransactionEvent"}`, "", "schema/required"},
		{"transaction with an empty list", `{"type":"TransactionEvent","bizTransactionList":[]}`, "/bizTransactionList", "schema/empty"},
		{"transaction of nothing", `{"type":"TransactionEvent","epcList":null,"bizTransactionList":[{"bizTransaction":"urn:x:1"}]}`, "", "event/what"},
		{"transformation of nothing", `{"type":"TransformationEvent","epcList":null,"action":null}`, "", "event/what"},
		{"transformation into nothing", `{"type":"TransformationEvent","epcList":null,"action":null,"inputEPCList":["urn:x:1"]}`, "", "event/what"},
		{"transformation with an action", `{"type":"TransformationEvent","epcList":null,"inputEPCList":["urn:x:1"],"outputEPCList":["urn:x:2"]}`, "/action", "field/unknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			event, err := parseJSON([]byte(validObjectEvent))
			require.NoError(t, err)
			change, err := parseJSON([]byte(c.change))
			require.NoError(t, err)
			for _, m := range change.members {
				if event = event.without(m.name); m.value.kind != null {
					event.members = append(event.members, m)
				}
			}
			doc, err := Parse(event.appendJSON(nil))
			require.NoError(t, err)
			problems := Validate(doc)
			require.Len(t, problems, 1, "one slip is one problem: %v", problems)
			require.Equal(t, c.place, problems[0].Place, problems[0])
			require.Equal(t, c.rule, problems[0].Rule, problems[0])
			require.NotEmpty(t, problems[0].Message)
		})
	}
	doc, err := Parse([]byte(validObjectEvent))
	require.NoError(t, err)
	require.Empty(t, Validate(doc))
}

// Each folder of testdata/invalid holds a document, and the places and rules of its problems, one a line.
func TestInvalidDocuments(t *testing.T) {
	folders, err := filepath.Glob("testdata/invalid/*")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			inputs, err := filepath.Glob(filepath.Join(folder, "input.*"))
			require.NoError(t, err)
			require.Len(t, inputs, 1)
			data, err := os.ReadFile(inputs[0])
			require.NoError(t, err)
			want, err := os.ReadFile(filepath.Join(folder, "problems.txt"))
			require.NoError(t, err)
			var got strings.Builder
			doc, err := Parse(data)
			var refused Problem
			if errors.As(err, &refused) {
				fmt.Fprintf(&got, "%s\t%s\n", refused.Place, refused.Rule)
			} else {
				for _, p := range Validate(doc) {
					fmt.Fprintf(&got, "%s\t%s\n", p.Place, p.Rule)
				}
			}
			require.Equal(t, string(want), got.String())
		})
	}
}
