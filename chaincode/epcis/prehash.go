package epcis

import (
	"slices"
	"strings"
	"time"
)

// A node is a part of an event in the form that CBV's hash sees: that of XML, where JSON's lists have named items.
type node struct {
	name     string
	text     string
	children []*node
	literal  bool // text is final, name and all
}

type hasher struct {
	edition
	scope *scope
}

func (h hasher) event(eventType string, fields *value) string {
	root := &node{}
	for _, m := range fields.members {
		name := h.name(m.name)
		if h.ignored[name] {
			continue
		}
		root.children = append(root.children, h.field(name, m.value)...)
	}
	var out strings.Builder
	out.WriteString("eventType=" + h.name(eventType))
	for _, o := range h.order {
		out.WriteString(h.take(root, ordered{o.name, canonicalParts[o.name]}))
	}
	out.WriteString(h.rest(root.children))
	return out.String()
}

// take writes the children of one name in their canonical form and removes those it has written completely.
func (h hasher) take(parent *node, o ordered) string {
	var parts []string
	kept := parent.children[:0:0]
	for _, child := range parent.children {
		if child.name != o.name {
			kept = append(kept, child)
			continue
		}
		if part := h.write(child, o); part != "" {
			parts = append(parts, part)
		}
		if len(child.children) > 0 {
			kept = append(kept, child)
		}
	}
	parent.children = kept
	slices.Sort(parts)
	return strings.Join(parts, "")
}

func (h hasher) write(n *node, o ordered) string {
	if n.literal {
		return n.text
	}
	inside := ""
	if o.inside != nil {
		inside = h.inside(n, o.inside)
	}
	own := h.canonical(n.text)
	if isTimeField(n.name) {
		own = canonicalTime(n.text)
	}
	switch {
	case own != "":
		return n.name + "=" + own + inside
	case inside != "":
		return n.name + inside
	default:
		return ""
	}
}

// inside writes the parts of a standard field in order, and behind them its extensions.
func (h hasher) inside(n *node, order []ordered) string {
	var extensions, kept []*node
	alone := len(n.children) == 1
	for _, child := range n.children {
		inline := strings.HasPrefix(child.name, "{")
		if h.slashOnly && (alone || !strings.Contains(child.name, "/}")) {
			inline = false
		}
		if inline {
			extensions = append(extensions, child)
		} else {
			kept = append(kept, child)
		}
	}
	n.children = kept
	var b strings.Builder
	for _, o := range order {
		b.WriteString(h.take(n, o))
	}
	b.WriteString(h.rest(extensions))
	return b.String()
}

// rest writes what the canonical order does not know: ILMD, extensions, and what is left of standard fields.
func (h hasher) rest(nodes []*node) string {
	parts := make([]string, 0, len(nodes))
	for _, n := range nodes {
		if n.literal {
			parts = append(parts, n.text)
			continue
		}
		part := n.name
		if own := h.canonical(n.text); own != "" {
			part += "=" + own
		}
		parts = append(parts, part+h.rest(n.children))
	}
	slices.Sort(parts)
	return strings.Join(parts, "")
}

// name is a member's name with its namespace in braces, or bare for the standard's own. The GS1 web vocabulary is one
// namespace, whichever of its addresses a document knows it by.
func (h hasher) name(name string) string {
	namespace, local, err := h.scope.splitName(name)
	switch {
	case err != nil || namespace == "":
		return name
	case namespace == gs1Voc || namespace == gs1VocLater:
		namespace = h.gs1Voc
	}
	return "{" + namespace + "}" + local
}

func (h hasher) field(name string, v *value) []*node {
	switch name {
	case "epcList", "childEPCs", "inputEPCList", "outputEPCList":
		return h.listOf(name, v, func(item *value) []*node { return h.generic("epc", item) })
	case "quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList":
		return h.listOf(name, v, func(item *value) []*node { return h.generic("quantityElement", item) })
	case "bizTransactionList":
		return h.listOf(name, v, func(item *value) []*node { return h.typed("bizTransaction", item, transactionTypes) })
	case "sourceList":
		return h.listOf(name, v, func(item *value) []*node { return h.typed("source", item, partyTypes) })
	case "destinationList":
		return h.listOf(name, v, func(item *value) []*node { return h.typed("destination", item, partyTypes) })
	case "bizStep":
		return h.words(name, v, bizSteps)
	case "disposition":
		return h.words(name, v, dispositions)
	case "persistentDisposition":
		set := &node{name: name}
		for _, m := range v.membersOrNone() {
			if m.name == "set" || m.name == "unset" {
				set.children = append(set.children, h.words(m.name, m.value, dispositions)...)
			} else {
				set.children = append(set.children, h.generic(h.name(m.name), m.value)...)
			}
		}
		return []*node{set}
	case "sensorElementList":
		return h.listOf(name, v, h.sensorElement)
	}
	return h.generic(name, v)
}

func (v *value) membersOrNone() []member {
	if v == nil || v.kind != object {
		return nil
	}
	return v.members
}

func (h hasher) listOf(name string, v *value, item func(*value) []*node) []*node {
	list := &node{name: name}
	for _, i := range v.list() {
		list.children = append(list.children, item(i)...)
	}
	if len(list.children) == 0 {
		return nil
	}
	return []*node{list}
}

// typed writes a transaction, source or destination: one line of its type and itself.
func (h hasher) typed(name string, v *value, types *vocabulary) []*node {
	line := ""
	if t := v.get("type").str(); t != "" {
		line = "type=" + h.canonical(types.expand(t))
	}
	if id := h.canonical(v.get(name).str()); id != "" {
		line += name + "=" + id
	}
	return []*node{{name: name, text: line, literal: true}}
}

func (h hasher) words(name string, v *value, of *vocabulary) []*node {
	var nodes []*node
	for _, item := range v.list() {
		nodes = append(nodes, &node{name: name, text: of.expand(item.str())})
	}
	return nodes
}

func (h hasher) sensorElement(v *value) []*node {
	sensor := &node{name: "sensorElement"}
	for _, m := range v.membersOrNone() {
		switch m.name {
		case "type": // JSON-LD may say that a sensor element is one; XML cannot
		case "sensorMetadata", "sensorReport":
			for _, item := range m.value.list() {
				part := &node{name: m.name}
				for _, field := range item.membersOrNone() {
					part.children = append(part.children, h.sensorField(m.name, field)...)
				}
				sensor.children = append(sensor.children, part)
			}
		default:
			sensor.children = append(sensor.children, h.generic(h.name(m.name), m.value)...)
		}
	}
	return []*node{sensor}
}

func (h hasher) sensorField(part string, m member) []*node {
	if part == "sensorReport" && m.value.kind == text {
		switch m.name {
		case "type":
			return []*node{{name: m.name, text: h.webTerm(measurementTypes, m.value.text)}}
		case "exception":
			return []*node{{name: m.name, text: h.webTerm(sensorExceptions, m.value.text)}}
		case "component":
			return []*node{{name: m.name, text: components.expand(m.value.text)}}
		}
	}
	return h.generic(h.name(m.name), m.value)
}

// webTerm expands a term of the GS1 web vocabulary, whose address changed between the editions.
func (h hasher) webTerm(v *vocabulary, s string) string {
	if word, ok := strings.CutPrefix(v.expand(s), v.web); ok {
		return h.gs1Voc + word
	}
	return s
}

// generic writes any value under a name: an array as that name again and again, an object as its members.
func (h hasher) generic(name string, v *value) []*node {
	switch v.kind {
	case null:
		return nil
	case array:
		var nodes []*node
		for _, item := range v.items {
			nodes = append(nodes, h.generic(name, item)...)
		}
		return nodes
	case object:
		n := &node{name: name}
		for _, m := range v.members {
			switch m.name {
			case "@context":
			case "#text":
				n.text = m.value.text
			default:
				n.children = append(n.children, h.generic(h.name(strings.TrimPrefix(m.name, "@")), m.value)...)
			}
		}
		return []*node{n}
	default:
		return []*node{{name: name, text: v.text}}
	}
}

// canonical brings a value to the one form that all its written forms share.
func (h hasher) canonical(s string) string {
	s = strings.TrimSpace(s)
	for _, v := range []*vocabulary{bizSteps, dispositions, transactionTypes, partyTypes, errorReasons} {
		if word, ok := strings.CutPrefix(s, v.urn); ok {
			return v.web + word
		}
	}
	if plain, ok := decimal(s); ok {
		return plain
	}
	if term, ok := strings.CutPrefix(s, "gs1:"); ok && term != "" && !strings.ContainsAny(term, " \t\r\n") {
		return h.gs1Voc + term
	}
	return Canonical(h.scope.expandValue(s))
}

func isTimeField(name string) bool {
	switch name {
	case "eventTime", "time", "startTime", "endTime":
		return true
	}
	return false
}

// canonicalTime is a time in UTC to the millisecond, the rest rounded half up. What is no time stays as it is.
func canonicalTime(s string) string {
	s = strings.TrimSpace(s)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.UTC().Add(500 * time.Microsecond).Format("2006-01-02T15:04:05.000Z")
}
