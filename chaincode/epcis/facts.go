package epcis

import "time"

// Facts is what an event says, in one form whatever form it was written in: identifiers are canonical Digital Links
// (see Canonical), words of the standard's vocabularies are bare, words of others are full URIs, times are in UTC.
// It is for deciding, joining and indexing; what it leaves out, extensions above all, is in Fields.
type Facts struct {
	Type                string
	EventID             string // as written
	EventTime           time.Time
	RecordTime          time.Time // zero if the event does not say
	EventTimeZoneOffset string
	Action              string // "" for a transformation
	BizStep             string
	Disposition         string
	SetDispositions     []string
	UnsetDispositions   []string
	ReadPoint           string
	BizLocation         string

	// What the event is about. An ObjectEvent's and a TransactionEvent's objects are EPCs and Quantities, an
	// AggregationEvent's and an AssociationEvent's are Children; a TransformationEvent has inputs and outputs.
	Parent           string
	EPCs             []string
	Quantities       []Quantity
	Children         []string
	ChildQuantities  []Quantity
	Inputs           []string
	InputQuantities  []Quantity
	Outputs          []string
	OutputQuantities []Quantity
	TransformationID string

	Transactions []Typed
	Sources      []Typed
	Destinations []Typed
	Sensors      []SensorReport

	Error *ErrorDeclaration // nil unless the event declares an earlier one to be wrong
}

// A Quantity is an amount of a class of objects. Amount is exact decimal digits, and "" where it is not said.
type Quantity struct{ Class, Amount, UOM string }

// Typed is a business transaction, source or destination. Type may be "" for a transaction.
type Typed struct{ Type, ID string }

// A SensorReport is one line of a sensor element, with what the element's metadata say of all its lines. Value, Min,
// Max and Mean are exact decimal digits, and "" where they are not said.
type SensorReport struct {
	Type, Exception, Component string
	DeviceID, RawData          string
	Time, Start, End           time.Time // zero where not said
	Value, Min, Max, Mean, UOM string
}

// An ErrorDeclaration says that an event did not happen as it was reported.
type ErrorDeclaration struct {
	Time       time.Time
	Reason     string
	Corrective []string // IDs of the events that set it right
}

// Type is the event's type as it is written: the standard's bare name, or a URI of someone's own.
func (e *Event) Type() string { return e.fields.get("type").str() }

// EventID is the identifier that the event brings, or "".
func (e *Event) EventID() string { return e.fields.get("eventID").str() }

// Facts reads the event. Of an event with problems it reads what has the right form.
func (e *Event) Facts() Facts {
	r := factReader{e.scope}
	v := e.fields
	facts := Facts{
		Type: e.Type(), EventID: e.EventID(),
		EventTime: readTime(v.get("eventTime")), RecordTime: readTime(v.get("recordTime")),
		EventTimeZoneOffset: v.get("eventTimeZoneOffset").str(), Action: v.get("action").str(),
		BizStep: r.word(v.get("bizStep"), bizSteps), Disposition: r.word(v.get("disposition"), dispositions),
		ReadPoint: r.id(v.get("readPoint").get("id")), BizLocation: r.id(v.get("bizLocation").get("id")),
		Parent: r.id(v.get("parentID")), TransformationID: r.id(v.get("transformationID")),
		EPCs: r.ids(v.get("epcList")), Quantities: r.quantities(v.get("quantityList")),
		Children: r.ids(v.get("childEPCs")), ChildQuantities: r.quantities(v.get("childQuantityList")),
		Inputs: r.ids(v.get("inputEPCList")), InputQuantities: r.quantities(v.get("inputQuantityList")),
		Outputs: r.ids(v.get("outputEPCList")), OutputQuantities: r.quantities(v.get("outputQuantityList")),
		Transactions: r.typed(v.get("bizTransactionList"), "bizTransaction", transactionTypes),
		Sources:      r.typed(v.get("sourceList"), "source", partyTypes),
		Destinations: r.typed(v.get("destinationList"), "destination", partyTypes),
	}
	for _, item := range v.get("persistentDisposition").get("set").list() {
		facts.SetDispositions = append(facts.SetDispositions, r.word(item, dispositions))
	}
	for _, item := range v.get("persistentDisposition").get("unset").list() {
		facts.UnsetDispositions = append(facts.UnsetDispositions, r.word(item, dispositions))
	}
	for _, element := range v.get("sensorElementList").list() {
		for _, report := range element.get("sensorReport").list() {
			facts.Sensors = append(facts.Sensors, r.sensor(element.get("sensorMetadata"), report))
		}
	}
	if declaration := v.get("errorDeclaration"); declaration != nil {
		facts.Error = &ErrorDeclaration{
			Time:   readTime(declaration.get("declarationTime")),
			Reason: r.word(declaration.get("reason"), errorReasons),
		}
		for _, id := range declaration.get("correctiveEventIDs").list() {
			facts.Error.Corrective = append(facts.Error.Corrective, id.str())
		}
	}
	return facts
}

type factReader struct{ scope *scope }

func (r factReader) id(v *value) string { return Canonical(r.scope.expandValue(v.str())) }

func (r factReader) word(v *value, of *vocabulary) string {
	if compact := of.compact(v.str()); of.words[compact] {
		return compact
	}
	return r.scope.expandValue(v.str())
}

func (r factReader) ids(v *value) []string {
	var ids []string
	for _, item := range v.list() {
		if id := r.id(item); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r factReader) quantities(v *value) []Quantity {
	var quantities []Quantity
	for _, item := range v.list() {
		quantities = append(quantities, Quantity{r.id(item.get("epcClass")), digits(item.get("quantity")), item.get("uom").str()})
	}
	return quantities
}

func (r factReader) typed(v *value, name string, of *vocabulary) []Typed {
	var all []Typed
	for _, item := range v.list() {
		all = append(all, Typed{r.word(item.get("type"), of), r.id(item.get(name))})
	}
	return all
}

func (r factReader) sensor(metadata, report *value) SensorReport {
	either := func(name string) *value {
		if own := report.get(name); own != nil {
			return own
		}
		return metadata.get(name)
	}
	return SensorReport{
		Type: r.word(report.get("type"), measurementTypes), Exception: r.word(report.get("exception"), sensorExceptions),
		Component: r.word(report.get("component"), components),
		DeviceID:  r.id(either("deviceID")), RawData: r.id(either("rawData")),
		Time: readTime(either("time")), Start: readTime(metadata.get("startTime")), End: readTime(metadata.get("endTime")),
		Value: digits(report.get("value")), Min: digits(report.get("minValue")), Max: digits(report.get("maxValue")),
		Mean: digits(report.get("meanValue")), UOM: report.get("uom").str(),
	}
}

func digits(v *value) string {
	if v == nil || v.kind != number {
		return ""
	}
	plain, _ := decimal(v.text)
	return plain
}

func readTime(v *value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.str())
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
