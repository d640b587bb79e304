package epcis

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// A Version selects the edition of the event hash ID's rules.
type Version string

// The editions of CBV that define the event hash ID.
const (
	CBV20 Version = "CBV2.0"
	CBV21 Version = "CBV2.1" // a draft
)

// HashID is the CBV event hash ID, ni:///sha-256;…?ver=…: the SHA-256 of PreHash. It leaves out what does not make
// the event: its ID, when it was recorded, and an error declared later.
func (e *Event) HashID(version Version) (string, error) {
	pre, err := e.PreHash(version)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(pre))
	return "ni:///sha-256;" + hex.EncodeToString(sum[:]) + "?ver=" + string(version), nil
}

// PreHash is the string behind HashID: everything that makes the event, in CBV's canonical order and forms.
func (e *Event) PreHash(version Version) (string, error) {
	rules, ok := editions[version]
	if !ok {
		return "", fmt.Errorf("hashing event: no edition %q of the event hash ID", string(version))
	}
	eventType := e.Type()
	if eventType == "" {
		return "", fmt.Errorf("hashing event: %w", Problem{e.fields.place(e.base), "hash/type", "the event has no type"})
	}
	h := hasher{edition: rules, scope: e.scope}
	return h.event(eventType, e.fields), nil
}

// An edition is what the editions of CBV, and the implementations that published hashes of them, differ in.
type edition struct {
	gs1Voc string
	order  []ordered
	// Extensions inside a standard field follow the field's own parts. The reference implementation of CBV 2.0 does
	// so only where the namespace ends in a slash and the field has another part; elsewhere it puts them behind
	// everything else. Published hash IDs depend on it.
	slashOnly bool
	ignored   map[string]bool
}

var neverHashed = `@context type recordTime eventID errorDeclaration comment {http://www.w3.org/2000/01/rdf-schema#}comment `

// The reference implementation of CBV 2.0, which the published hash IDs come from, hashes certificationInfo, puts a
// transaction's parent before its EPCs, and sorts the lists of transactions, sources and destinations in among ILMD and
// extensions rather than where the standard's table has them. We agree with what is published.
var editions = map[Version]edition{
	CBV20: {
		gs1Voc: gs1Voc, slashOnly: true, ignored: words(neverHashed),
		order: canonicalOrder("eventTime", "eventTimeZoneOffset", "certificationInfo", "parentID", "epcList",
			"inputEPCList", "childEPCs", "quantityList", "childQuantityList", "inputQuantityList", "outputEPCList",
			"outputQuantityList", "action", "transformationID", "bizStep", "disposition", "persistentDisposition",
			"readPoint", "bizLocation", "sensorElementList"),
	},
	CBV21: {
		gs1Voc: gs1VocLater, ignored: words(neverHashed + "certificationInfo"),
		order: canonicalOrder("eventTime", "eventTimeZoneOffset", "epcList", "parentID", "inputEPCList", "childEPCs",
			"quantityList", "childQuantityList", "inputQuantityList", "outputEPCList", "outputQuantityList", "action",
			"transformationID", "bizStep", "disposition", "persistentDisposition", "readPoint", "bizLocation",
			"bizTransactionList", "sourceList", "destinationList", "sensorElementList"),
	},
}

// ordered is a field in its place in the canonical property order, with the order inside it.
type ordered struct {
	name   string
	inside []ordered
}

// canonicalParts is the order inside the fields of an event that have an inside.
var canonicalParts = map[string][]ordered{
	"epcList":               canonicalOrder("epc"),
	"inputEPCList":          canonicalOrder("epc"),
	"childEPCs":             canonicalOrder("epc"),
	"outputEPCList":         canonicalOrder("epc"),
	"quantityList":          quantityOrder,
	"childQuantityList":     quantityOrder,
	"inputQuantityList":     quantityOrder,
	"outputQuantityList":    quantityOrder,
	"persistentDisposition": {{"set", nil}, {"unset", nil}},
	"readPoint":             {{"id", nil}},
	"bizLocation":           {{"id", nil}},
	"bizTransactionList":    {{"bizTransaction", nil}},
	"sourceList":            {{"source", nil}},
	"destinationList":       {{"destination", nil}},
	"sensorElementList": {{"sensorElement", []ordered{
		{"sensorMetadata", canonicalOrder("time", "startTime", "endTime", "deviceID", "deviceMetadata", "rawData",
			"dataProcessingMethod", "bizRules")},
		{"sensorReport", canonicalOrder("type", "exception", "deviceID", "deviceMetadata", "rawData",
			"dataProcessingMethod", "time", "microorganism", "chemicalSubstance", "value", "component", "stringValue",
			"booleanValue", "hexBinaryValue", "uriValue", "minValue", "maxValue", "meanValue", "sDev", "percRank",
			"percValue", "uom", "coordinateReferenceSystem")},
	}}},
}

var quantityOrder = []ordered{{"quantityElement", []ordered{{"epcClass", nil}, {"quantity", nil}, {"uom", nil}}}}

func canonicalOrder(names ...string) []ordered {
	order := make([]ordered, len(names))
	for i, name := range names {
		order[i] = ordered{name, nil}
	}
	return order
}
