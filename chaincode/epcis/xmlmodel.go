package epcis

import (
	"fmt"
	"strings"
)

// modelOf writes an XML document in the JSON-LD form of the standard, so that everything after it knows one model.
func modelOf(root *element) *value {
	c := &xmlModel{prefixOf: map[string]string{}, uriOf: map[string]string{}}
	var model *value
	switch root.name {
	case "EPCISDocument", "EPCISQueryDocument":
		model = c.document(root)
	default:
		model = c.event(root)
	}
	context := &value{kind: array, items: []*value{textValue(epcisContext)}}
	for _, prefix := range c.prefixes {
		entry := &value{kind: object}
		entry.set(prefix, textValue(c.uriOf[prefix]))
		context.items = append(context.items, entry)
	}
	model.members = append([]member{{"@context", context}}, model.members...)
	return model
}

// An xmlModel gives every namespace of a document one prefix, since JSON-LD has one context where XML has scopes.
type xmlModel struct {
	prefixOf map[string]string
	uriOf    map[string]string
	prefixes []string // in the order they were met
}

func standardSpace(uri string) bool {
	return uri == "" || strings.HasPrefix(uri, "urn:epcglobal:epcis:xsd:") ||
		strings.HasPrefix(uri, "urn:epcglobal:epcis-query:xsd:") || strings.HasPrefix(uri, "urn:epcglobal:epcis-masterdata:xsd:")
}

func (c *xmlModel) key(prefix, uri, local string) string {
	if uri == "" {
		return local
	}
	return c.prefix(prefix, uri) + ":" + local
}

func (c *xmlModel) prefix(wanted, uri string) string {
	if prefix, ok := c.prefixOf[uri]; ok {
		return prefix
	}
	if uri == gs1VocLater {
		return "gs1"
	}
	for _, known := range sortedKeys(wellKnown) {
		if wellKnown[known] == uri {
			return known
		}
	}
	for n := 1; !c.free(wanted); n++ {
		wanted = fmt.Sprintf("ns%d", n)
	}
	c.prefixOf[uri], c.uriOf[wanted] = wanted, uri
	c.prefixes = append(c.prefixes, wanted)
	return wanted
}

func (c *xmlModel) free(prefix string) bool {
	return prefix != "" && !schemes[prefix] && wellKnown[prefix] == "" && c.uriOf[prefix] == ""
}

// declare makes the prefixes of an element known, all of them, for values that use them. They are sorted, so that the
// same document always gives the same bytes.
func (c *xmlModel) declare(e *element) {
	for _, prefix := range sortedKeys(e.declared) {
		uri := e.declared[prefix]
		if uri == instanceNamespace || uri == schemaNamespace || standardSpace(uri) || !c.free(prefix) {
			continue
		}
		c.uriOf[prefix] = uri
		c.prefixes = append(c.prefixes, prefix)
		if c.prefixOf[uri] == "" {
			c.prefixOf[uri] = prefix
		}
	}
	for _, child := range e.children {
		c.declare(child)
	}
}

func (c *xmlModel) document(root *element) *value {
	c.declare(root)
	doc := &value{kind: object, source: root}
	doc.set("type", textValue(root.name))
	for _, name := range []string{"schemaVersion", "creationDate"} {
		if v := root.attribute(name); v != "" {
			doc.set(name, textValue(v))
		}
	}
	if strings.HasPrefix(root.attribute("schemaVersion"), "1") {
		doc.set("schemaVersion", textValue("2.0")) // XML of EPCIS 1.x is read, and becomes what JSON-LD can say
	}
	for _, a := range root.attributes {
		if a.space != "" && a.space != instanceNamespace && a.space != xmlNamespace {
			doc.set(c.key(a.prefix, a.space, a.name), textValue(a.value))
		}
	}
	for _, child := range unwrapped(root) {
		switch child.name {
		case "EPCISHeader":
			c.header(doc, child)
		case "EPCISBody":
			doc.set("epcisBody", c.body(child))
		default:
			doc.add(c.name(child), c.generic(child))
		}
	}
	return doc
}

func (c *xmlModel) body(e *element) *value {
	body := &value{kind: object, source: e}
	for _, child := range unwrapped(e) {
		switch child.name {
		case "EventList":
			body.set("eventList", c.events(child))
		case "QueryResults":
			results := &value{kind: object, source: child}
			for _, part := range unwrapped(child) {
				if part.name == "resultsBody" {
					results.set("resultsBody", c.body(part))
				} else {
					results.set(c.name(part), c.generic(part))
				}
			}
			body.set("queryResults", results)
		default:
			body.add(c.name(child), c.generic(child))
		}
	}
	return body
}

func (c *xmlModel) events(e *element) *value {
	list := &value{kind: array, source: e}
	for _, child := range unwrapped(e) {
		list.items = append(list.items, c.event(child))
	}
	return list
}

// header keeps who sent the document to whom, as the names that JSON-LD gives it, and the master data.
func (c *xmlModel) header(doc *value, e *element) {
	header := &value{kind: object, source: e}
	for _, child := range unwrapped(e) {
		switch child.name {
		case "StandardBusinessDocumentHeader":
			for _, part := range child.children {
				switch part.name {
				case "Sender", "Receiver":
					if id := find(part, "Identifier"); id != nil {
						doc.set(strings.ToLower(part.name), textValue(id.text))
					}
				case "DocumentIdentification":
					if id := find(part, "InstanceIdentifier"); id != nil {
						doc.set("instanceIdentifier", textValue(id.text))
					}
				}
			}
		case "EPCISMasterData":
			header.set("epcisMasterData", c.masterData(child))
		default:
			header.add(c.name(child), c.generic(child))
		}
	}
	if len(header.members) > 0 {
		doc.set("epcisHeader", header)
	}
}

func (c *xmlModel) masterData(e *element) *value {
	vocabularies := &value{kind: array, source: e}
	for _, list := range unwrapped(e) {
		for _, vocabulary := range list.children {
			elements := &value{kind: array, source: vocabulary}
			for _, wrapper := range vocabulary.children {
				for _, item := range wrapper.children {
					elements.items = append(elements.items, c.vocabularyElement(item))
				}
			}
			entry := &value{kind: object, source: vocabulary}
			entry.set("type", textValue(vocabulary.attribute("type")))
			entry.set("vocabularyElementList", elements)
			vocabularies.items = append(vocabularies.items, entry)
		}
	}
	data := &value{kind: object, source: e}
	data.set("vocabularyList", vocabularies)
	return data
}

func (c *xmlModel) vocabularyElement(e *element) *value {
	out := &value{kind: object, source: e}
	out.set("id", textValue(e.attribute("id")))
	attributes := &value{kind: array, source: e}
	children := &value{kind: array, source: e}
	for _, part := range unwrapped(e) {
		switch part.name {
		case "attribute":
			a := &value{kind: object, source: part}
			a.set("id", textValue(part.attribute("id")))
			bare := *part
			bare.attributes = nil
			a.set("attribute", c.generic(&bare))
			attributes.items = append(attributes.items, a)
		case "children":
			for _, id := range part.children {
				children.items = append(children.items, textValue(id.text))
			}
		}
	}
	if len(attributes.items) > 0 {
		out.set("attributes", attributes)
	}
	if len(children.items) > 0 {
		out.set("children", children)
	}
	return out
}

func find(e *element, name string) *element {
	for _, child := range e.children {
		if child.name == name {
			return child
		}
	}
	return nil
}

// unwrapped is an element's children without the wrappers that EPCIS 1.x put around what it added later.
func unwrapped(e *element) []*element {
	var children []*element
	for _, child := range e.children {
		if standardSpace(child.space) && (child.name == "extension" || child.name == "baseExtension") {
			children = append(children, unwrapped(child)...)
		} else {
			children = append(children, child)
		}
	}
	return children
}

func (c *xmlModel) name(e *element) string {
	if standardSpace(e.space) {
		return e.name
	}
	return c.key(e.prefix, e.space, e.name)
}

// generic writes an element that the standard says nothing about: text, or an object of what is inside it.
func (c *xmlModel) generic(e *element) *value {
	out := &value{kind: object, source: e}
	for _, a := range e.attributes {
		if a.space != instanceNamespace && a.space != xmlNamespace {
			out.add(c.key(a.prefix, a.space, a.name), textValue(a.value))
		}
	}
	for _, child := range e.children {
		out.add(c.name(child), c.generic(child))
	}
	if len(out.members) == 0 {
		return &value{kind: text, text: e.text, source: e}
	}
	if e.text != "" {
		out.set("#text", textValue(e.text))
	}
	return out
}
