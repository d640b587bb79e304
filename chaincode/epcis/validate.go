package epcis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Validate reports everything in a document that breaks the standard, in document order: first its structure, by a
// JSON schema, then the rules that a schema cannot hold. A document without problems may be captured. It reports at
// most a thousand problems.
func Validate(doc *Document) []Problem {
	c := &checker{scope: doc.scope}
	switch doc.kind {
	case eventDocument:
		c.document(doc, "EPCISDocument")
	case queryDocument:
		c.document(doc, "EPCISQueryDocument")
	case singleEvent:
		if !doc.xml && doc.root.get("@context") == nil {
			c.add(doc.root, "schema/required", `"@context" is missing`)
		}
	}
	c.flush(0)
	for _, e := range doc.Events {
		before := len(c.problems)
		c.event(e)
		c.flush(before)
		if len(c.problems) >= maxProblems {
			return c.problems[:maxProblems]
		}
	}
	return c.problems
}

// Validate reports everything in one event that breaks the standard.
func (e *Event) Validate() []Problem {
	c := &checker{scope: e.scope}
	c.event(e)
	c.flush(0)
	return c.problems[:min(len(c.problems), maxProblems)]
}

type checker struct {
	scope    *scope
	base     string
	problems []Problem
}

func (c *checker) add(v *value, rule, message string, path ...string) {
	c.problems = append(c.problems, Problem{Place: v.place(c.base, path...), Rule: rule, Message: message})
}

// flush brings the problems from an index on into an order that depends on nothing but the document.
func (c *checker) flush(from int) {
	found := c.problems[from:]
	slices.SortStableFunc(found, func(a, b Problem) int {
		if n := strings.Compare(a.Place, b.Place); n != 0 {
			return n
		}
		if n := strings.Compare(a.Rule, b.Rule); n != 0 {
			return n
		}
		return strings.Compare(a.Message, b.Message)
	})
	c.problems = c.problems[:from+len(slices.Compact(found))]
}

func (c *checker) document(doc *Document, definition string) {
	root := doc.root
	c.checkSchema(root, definition)
	c.checkNames(root)
	if version := root.get("schemaVersion").str(); version != "" && !strings.HasPrefix(version, "2") {
		c.add(root, "document/version", fmt.Sprintf("version %s is not EPCIS 2", quote(version)), "schemaVersion")
	}
	c.time(root, "creationDate")
	if id := root.get("id").str(); id != "" && !isURI(id) {
		c.add(root, "uri/syntax", quote(id)+" is no URI", "id")
	}
	if body := root.get("epcisBody"); doc.kind == eventDocument && body != nil && body.get("eventList") == nil && body.get("event") == nil {
		c.add(root, "schema/required", `"eventList" is missing`, "epcisBody")
	}
}

// event checks one event: its structure, and then its rules, each of which only looks at what has the right type.
func (c *checker) event(e *Event) {
	c.scope, c.base = e.scope, e.base
	fields := e.fields
	eventType := e.Type()
	definition := "Event"
	if _, standard := eventRules[eventType]; standard {
		definition = eventType
	} else if eventType != "" {
		switch {
		case eventType == "QuantityEvent":
			c.add(fields, "event/type", "EPCIS 2.0 has no QuantityEvent; an ObjectEvent with a quantityList takes its place", "type")
		case !isURI(eventType):
			c.add(fields, "event/type", quote(eventType)+" is neither one of the standard's event types nor a URI", "type")
		}
	}
	c.checkSchema(fields, definition)
	c.checkNames(fields)
	if fields.source != nil && fields.get("eventTime") != nil {
		if first := unwrapped(fields.source)[0]; first.name != "eventTime" {
			c.problems = append(c.problems, Problem{first.place(), "xml/order", "an event in XML starts with its eventTime"})
		}
	}
	if rule, ok := eventRules[eventType]; ok {
		rule(c, fields)
	}
	c.common(fields)
}

// checkNames checks that every prefix in a name is declared, down to the values of extensions.
func (c *checker) checkNames(v *value) {
	var walk func(at *value, path []string, scope *scope)
	walk = func(at *value, path []string, scope *scope) {
		switch at.kind {
		case array:
			for i, item := range at.items {
				walk(item, slices.Concat(path, []string{strconv.Itoa(i)}), scope)
			}
		case object:
			if len(path) > 0 && at.get("@context") != nil {
				scope = newScope(at.get("@context"), scope)
			}
			for _, m := range at.members {
				if m.name == "@context" || m.name == "eventList" || m.name == "event" {
					continue
				}
				below := slices.Concat(path, []string{m.name})
				if _, _, err := scope.splitName(m.name); err != nil && !scope.unknown() {
					c.add(v, "context/prefix-undeclared", err.Error(), below...)
				}
				walk(m.value, below, scope)
			}
		}
	}
	walk(v, nil, c.scope)
}
