package epcis

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A Document is what Parse read: an EPCIS document, a query document or a single event.
type Document struct {
	Events []*Event // in document order

	kind  documentKind
	root  *value
	base  string // JSON pointer of the event list
	xml   bool
	scope *scope
}

type documentKind string

const (
	eventDocument documentKind = "EPCISDocument"
	queryDocument documentKind = "EPCISQueryDocument"
	singleEvent   documentKind = "event"
)

// Kind is "EPCISDocument", "EPCISQueryDocument" or "event".
func (d *Document) Kind() string { return string(d.kind) }

// An Event is one EPCIS event as it came, extensions included.
type Event struct {
	fields  *value
	context *value // the document's @context, nil if there is none or the event is the document
	scope   *scope
	base    string // JSON pointer to the event
}

// Parse reads a document in JSON-LD or XML, whichever it is. Its error is a Problem. What it accepts is well formed
// and within the bounds, and still may break the standard: see Validate.
func Parse(data []byte) (*Document, error) {
	if len(data) > MaxDocumentBytes {
		return nil, Problem{Rule: "limit/document", Message: fmt.Sprintf("a document of more than %d bytes", MaxDocumentBytes)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, Problem{Rule: "encoding/utf-8", Message: "the document is not UTF-8"}
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '<' {
		root, err := parseXML(data)
		if err != nil {
			return nil, err
		}
		if !standardSpace(root.space) {
			return nil, Problem{root.place(), "document/type", fmt.Sprintf("%q of the namespace %q is no EPCIS document", root.name, root.space)}
		}
		return newDocument(modelOf(root), true)
	}
	root, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	return newDocument(root, false)
}

func newDocument(root *value, fromXML bool) (*Document, error) {
	if root.kind != object {
		return nil, Problem{Rule: "document/type", Message: "an EPCIS document is an object, not a " + root.kind.String()}
	}
	d := &Document{kind: eventDocument, root: root, xml: fromXML, scope: newScope(root.get("@context"), nil)}
	body := root.get("epcisBody")
	switch {
	case root.get("type").str() == "EPCISQueryDocument" || body.get("queryResults") != nil:
		d.kind = queryDocument
	case root.get("type").str() != "EPCISDocument" && body == nil:
		if root.get("type").str() == "" && root.get("eventTime") == nil {
			return nil, Problem{root.place(""), "document/type", "neither an EPCIS document nor an event: there is no type"}
		}
		d.kind = singleEvent
		d.Events = []*Event{{fields: root, scope: d.scope}}
		return d, nil
	}
	var list *value
	list, d.base = d.eventList(body)
	events := list.list()
	if len(events) > MaxEvents {
		return nil, Problem{root.place(""), "limit/events", fmt.Sprintf("more than %d events", MaxEvents)}
	}
	for i, fields := range events {
		base := d.base
		if list.kind == array {
			base += "/" + strconv.Itoa(i)
		}
		if fields.kind != object {
			return nil, Problem{fields.place(base), "document/event", "an event is an object, not a " + fields.kind.String()}
		}
		d.Events = append(d.Events, &Event{
			fields: fields, base: base, context: root.get("@context"), scope: newScope(fields.get("@context"), d.scope),
		})
	}
	return d, nil
}

func (d *Document) eventList(body *value) (*value, string) {
	if d.kind == queryDocument {
		results := body.get("queryResults").get("resultsBody")
		for _, name := range []string{"eventList", "event"} {
			if list := results.get(name); list != nil {
				return list, "/epcisBody/queryResults/resultsBody/" + name
			}
		}
		return nil, "/epcisBody/queryResults/resultsBody/eventList"
	}
	if list := body.get("event"); list != nil && body.get("eventList") == nil {
		return list, "/epcisBody/event"
	}
	return body.get("eventList"), "/epcisBody/eventList"
}

// MarshalJSONLD writes the document as JSON-LD: one that was read as JSON-LD in the order and with the digits it
// came with, one that was read as XML in the standard's JSON-LD form.
func (d *Document) MarshalJSONLD() []byte { return d.root.appendJSON(nil) }

// NewEvent is an event that was kept apart from its document: Fields and Context of another Event.
func NewEvent(fields, context []byte) (*Event, error) {
	doc, err := Parse(fields)
	if err != nil {
		return nil, err
	}
	if doc.kind != singleEvent || doc.xml {
		return nil, Problem{Rule: "document/type", Message: "not a single event in JSON-LD"}
	}
	event := doc.Events[0]
	if len(context) > 0 {
		if len(context) > MaxDocumentBytes {
			return nil, Problem{Rule: "limit/document", Message: fmt.Sprintf("a context of more than %d bytes", MaxDocumentBytes)}
		}
		if event.context, err = parseJSON(context); err != nil {
			return nil, err
		}
		event.scope = newScope(event.fields.get("@context"), newScope(event.context, nil))
	}
	return event, nil
}

// Fields is the event's object in JSON-LD, as it stood in its document. Its names may need Context.
func (e *Event) Fields() []byte { return e.fields.appendJSON(nil) }

// Context is the @context of the document around the event, or nil.
func (e *Event) Context() []byte {
	if e.context == nil {
		return nil
	}
	return e.context.appendJSON(nil)
}

// MarshalJSONLD writes the event as a document of its own, with all the context it needs.
func (e *Event) MarshalJSONLD() []byte {
	if e.context == nil {
		return e.Fields()
	}
	context := &value{kind: array, items: slices.Clone(e.context.list())}
	context.items = append(context.items, e.fields.get("@context").list()...)
	whole := e.fields.without("@context")
	whole.members = append([]member{{"@context", context}}, whole.members...)
	return whole.appendJSON(nil)
}

// A QueryResult is what surrounds the events of a query document.
type QueryResult struct {
	QueryName      string
	SubscriptionID string // "" for a poll
	CreationDate   string // RFC 3339
}

// MarshalJSONLD writes events as one query document. Each event stands in it as it stood in the document it was
// captured with; their contexts are joined, and one that contradicts those before it stays with its event.
func (q QueryResult) MarshalJSONLD(events []*Event) []byte {
	context := &value{kind: array, items: []*value{textValue(epcisContext)}}
	joined, prefixes := map[string]bool{epcisContext: true}, map[string]string{}
	list := &value{kind: array}
	for _, e := range events {
		fields := e.fields
		var own []*value
		for _, entry := range e.context.list() {
			if entry.kind == text && isEPCISContext(entry.text) {
				continue // one edition of the standard's context serves all
			}
			written := string(entry.appendJSON(nil))
			switch {
			case joined[written]:
			case contradicts(entry, prefixes):
				own = append(own, entry)
			default:
				joined[written] = true
				for _, m := range entry.members {
					prefixes[m.name] = string(m.value.appendJSON(nil))
				}
				context.items = append(context.items, entry)
			}
		}
		if len(own) > 0 {
			all := &value{kind: array, items: append(own, e.fields.get("@context").list()...)}
			fields = fields.without("@context")
			fields.members = append([]member{{"@context", all}}, fields.members...)
		}
		list.items = append(list.items, fields)
	}
	resultsBody := &value{kind: object}
	resultsBody.set("eventList", list)
	results := &value{kind: object}
	if q.SubscriptionID != "" {
		results.set("subscriptionID", textValue(q.SubscriptionID))
	}
	results.set("queryName", textValue(q.QueryName))
	results.set("resultsBody", resultsBody)
	body := &value{kind: object}
	body.set("queryResults", results)
	doc := &value{kind: object, members: []member{
		{"@context", context},
		{"type", textValue("EPCISQueryDocument")},
		{"schemaVersion", textValue("2.0")},
		{"creationDate", textValue(q.CreationDate)},
		{"epcisBody", body},
	}}
	return doc.appendJSON(nil)
}

func contradicts(entry *value, prefixes map[string]string) bool {
	for _, m := range entry.members {
		if was, ok := prefixes[m.name]; ok && was != string(m.value.appendJSON(nil)) {
			return true
		}
	}
	return false
}
