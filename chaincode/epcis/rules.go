package epcis

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// eventRules are what each type of event must have besides the types of its fields.
var eventRules = map[string]func(*checker, *value){
	"ObjectEvent":         (*checker).objectEvent,
	"AggregationEvent":    (*checker).aggregationEvent,
	"AssociationEvent":    (*checker).associationEvent,
	"TransactionEvent":    (*checker).transactionEvent,
	"TransformationEvent": (*checker).transformationEvent,
}

func some(v *value, names ...string) bool {
	for _, name := range names {
		if len(v.get(name).list()) > 0 {
			return true
		}
	}
	return false
}

func (c *checker) objectEvent(v *value) {
	switch {
	case some(v, "epcList", "quantityList"):
	case !some(v, "sensorElementList"):
		c.add(v, "event/what", "an ObjectEvent has an epcList or a quantityList, unless it reports sensor data")
	case v.get("epcList") == nil && v.get("readPoint") == nil:
		c.add(v, "event/what", "an ObjectEvent that reports sensor data of no object says where: it needs a readPoint")
	}
	if action := v.get("action").str(); v.get("ilmd") != nil && (action == "OBSERVE" || action == "DELETE") {
		c.add(v, "event/ilmd", "instance and lot master data come with the ADD of an object, not with "+action, "ilmd")
	}
}

func (c *checker) aggregationEvent(v *value) {
	if action := v.get("action").str(); v.get("parentID") == nil && (action == "ADD" || action == "DELETE") {
		c.add(v, "event/parent", "an AggregationEvent with the action "+action+" needs a parentID")
	}
	c.children(v)
}

func (c *checker) associationEvent(v *value) { c.children(v) }

func (c *checker) children(v *value) {
	action := v.get("action").str()
	switch {
	case some(v, "childEPCs", "childQuantityList"):
	case action == "ADD":
		c.add(v, "event/children", "an ADD has childEPCs or a childQuantityList")
	case action == "OBSERVE" && v.get("childEPCs") == nil && v.get("childQuantityList") == nil:
		c.add(v, "event/children", "an OBSERVE has childEPCs or a childQuantityList, if empty ones")
	}
	if parent := v.get("parentID").str(); parent != "" {
		for i, child := range v.get("childEPCs").list() {
			if Canonical(child.str()) == Canonical(parent) {
				c.add(v, "event/own-child", "an object cannot be its own child", "childEPCs", strconv.Itoa(i))
			}
		}
	}
}

func (c *checker) transactionEvent(v *value) {
	if !some(v, "epcList", "quantityList") && v.get("epcList") == nil && v.get("parentID") == nil && v.get("action").str() != "DELETE" {
		c.add(v, "event/what", "a TransactionEvent has an epcList, a quantityList or a parentID, unless its action is DELETE")
	}
}

func (c *checker) transformationEvent(v *value) {
	input, output := some(v, "inputEPCList", "inputQuantityList"), some(v, "outputEPCList", "outputQuantityList")
	switch {
	case input && output:
	case !input && !output:
		c.add(v, "event/what", "a TransformationEvent has inputs and outputs")
	case v.get("transformationID") == nil:
		c.add(v, "event/what", "only events that a transformationID joins may have inputs alone or outputs alone")
	}
}

var offset = regexp.MustCompile(`^[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00)$`)

// common checks what all events have.
func (c *checker) common(v *value) {
	c.time(v, "eventTime")
	c.time(v, "recordTime")
	if o := v.get("eventTimeZoneOffset").str(); o != "" && !offset.MatchString(o) {
		c.add(v, "time/offset", quote(o)+" is no offset from -14:00 to +14:00 with sign, hours and minutes", "eventTimeZoneOffset")
	}
	c.uri(v, "eventID")
	for i := range v.get("certificationInfo").list() {
		if v.get("certificationInfo").kind == array {
			c.uri(v, "certificationInfo", strconv.Itoa(i))
		} else {
			c.uri(v, "certificationInfo")
		}
	}
	c.words(v, bizSteps, "bizStep")
	c.words(v, dispositions, "disposition")
	c.persistentDisposition(v)
	c.uri(v, "parentID")
	c.uri(v, "transformationID")
	c.uri(v, "readPoint", "id")
	c.uri(v, "bizLocation", "id")
	for _, name := range []string{"epcList", "childEPCs", "inputEPCList", "outputEPCList"} {
		for i := range items(v.get(name)) {
			c.uri(v, name, strconv.Itoa(i))
		}
	}
	for _, name := range []string{"quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"} {
		for i, q := range items(v.get(name)) {
			c.quantity(v, q, name, strconv.Itoa(i))
		}
	}
	for i := range items(v.get("bizTransactionList")) {
		c.words(v, transactionTypes, "bizTransactionList", strconv.Itoa(i), "type")
		c.uri(v, "bizTransactionList", strconv.Itoa(i), "bizTransaction")
	}
	for _, name := range []string{"source", "destination"} {
		for i := range items(v.get(name + "List")) {
			c.words(v, partyTypes, name+"List", strconv.Itoa(i), "type")
			c.uri(v, name+"List", strconv.Itoa(i), name)
		}
	}
	for i, s := range items(v.get("sensorElementList")) {
		c.sensorElement(v, s, strconv.Itoa(i))
	}
	c.errorDeclaration(v)
}

// items are those of an array; what is no array the schema has reported.
func items(v *value) []*value {
	if v == nil || v.kind != array {
		return nil
	}
	return v.items
}

func follow(v *value, path []string) *value {
	for _, name := range path {
		v = v.step(name)
	}
	return v
}

func (c *checker) uri(v *value, path ...string) {
	s := follow(v, path).str()
	if s == "" {
		return // absent, or of a type that the schema has reported
	}
	if !isURI(s) {
		c.add(v, "uri/syntax", quote(s)+" is no URI", path...)
		return
	}
	if rule, err := checkIdentifier(s); err != nil {
		c.add(v, rule, err.Error(), path...)
	}
}

func (c *checker) words(v *value, of *vocabulary, path ...string) {
	if s := follow(v, path).str(); s != "" {
		if problem := of.check(s); problem != "" {
			c.add(v, of.rule, problem, path...)
		}
	}
}

var dateTime = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})$`)

func (c *checker) time(v *value, path ...string) (time.Time, bool) {
	s := follow(v, path).str()
	if s == "" {
		return time.Time{}, false
	}
	if !dateTime.MatchString(s) {
		c.add(v, "time/syntax", quote(s)+" is no date and time with an offset, such as 2022-04-07T10:00:00.000+02:00", path...)
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		c.add(v, "time/range", quote(s)+" is no time that exists", path...)
		return time.Time{}, false
	}
	if zone := s[len(s)-6:]; s[len(s)-1] != 'Z' && !offset.MatchString(zone) {
		c.add(v, "time/range", "the offset "+quote(zone)+" is beyond -14:00 to +14:00", path...)
	}
	return t, true
}

func (c *checker) quantity(v, q *value, path ...string) {
	at := func(name string) []string { return append(append([]string{}, path...), name) }
	c.uri(v, at("epcClass")...)
	amount := q.get("quantity")
	if amount == nil {
		if q.get("uom") != nil {
			c.add(v, "quantity/uom", "a unit of measure needs a quantity", at("uom")...)
		}
		return
	}
	plain, ok := decimal(amount.text)
	switch {
	case amount.kind != number || !ok:
	case strings.HasPrefix(plain, "-"):
		c.add(v, "quantity/negative", "a quantity cannot be negative", at("quantity")...)
	case q.get("uom") == nil && strings.Contains(plain, "."):
		c.add(v, "quantity/count", "a quantity without a unit of measure counts whole instances", at("quantity")...)
	}
}

func (c *checker) persistentDisposition(v *value) {
	const name = "persistentDisposition"
	set := map[string]bool{}
	for i, item := range items(v.get(name).get("set")) {
		c.words(v, dispositions, name, "set", strconv.Itoa(i))
		set[dispositions.expand(item.str())] = true
	}
	for i, item := range items(v.get(name).get("unset")) {
		c.words(v, dispositions, name, "unset", strconv.Itoa(i))
		if set[dispositions.expand(item.str())] {
			c.add(v, "event/persistentDisposition", "the same disposition is set and unset", name, "unset", strconv.Itoa(i))
		}
	}
	if p := v.get(name); p != nil && p.kind == object && !some(p, "set", "unset") {
		c.add(v, "event/persistentDisposition", "nothing is set or unset", name)
	}
}

func (c *checker) errorDeclaration(v *value) {
	const name = "errorDeclaration"
	c.time(v, name, "declarationTime")
	c.words(v, errorReasons, name, "reason")
	own := v.get("eventID").str()
	for i, id := range items(v.get(name).get("correctiveEventIDs")) {
		c.uri(v, name, "correctiveEventIDs", strconv.Itoa(i))
		if own != "" && id.str() == own {
			c.add(v, "event/corrective", "an event cannot correct itself", name, "correctiveEventIDs", strconv.Itoa(i))
		}
	}
}

func (c *checker) sensorElement(v, sensor *value, index string) {
	at := func(rest ...string) []string { return append([]string{"sensorElementList", index}, rest...) }
	c.time(v, at("sensorMetadata", "time")...)
	start, hasStart := c.time(v, at("sensorMetadata", "startTime")...)
	end, hasEnd := c.time(v, at("sensorMetadata", "endTime")...)
	if hasStart && hasEnd && end.Before(start) {
		c.add(v, "sensor/interval", "the interval ends before it starts", at("sensorMetadata", "endTime")...)
	}
	for _, name := range []string{"deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"} {
		c.uri(v, at("sensorMetadata", name)...)
	}
	for i, report := range items(sensor.get("sensorReport")) {
		c.sensorReport(v, report, at("sensorReport", strconv.Itoa(i)))
	}
}

func (c *checker) sensorReport(v, report *value, path []string) {
	at := func(name string) []string { return append(append([]string{}, path...), name) }
	c.words(v, measurementTypes, at("type")...)
	c.words(v, sensorExceptions, at("exception")...)
	c.words(v, components, at("component")...)
	c.time(v, at("time")...)
	for _, name := range []string{
		"deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules", "microorganism", "chemicalSubstance",
		"uriValue", "coordinateReferenceSystem",
	} {
		c.uri(v, at(name)...)
	}
	low, high := report.get("minValue"), report.get("maxValue")
	if low != nil && high != nil && low.kind == number && high.kind == number {
		a, _ := decimal(low.text)
		b, _ := decimal(high.text)
		if compareDecimals(a, b) > 0 {
			c.add(v, "sensor/range", fmt.Sprintf("the least value %s is greater than the greatest, %s", a, b), at("minValue")...)
		}
	}
	if (report.get("percRank") == nil) != (report.get("percValue") == nil) {
		c.add(v, "sensor/percentile", "percRank and percValue only mean something together", path...)
	}
}
