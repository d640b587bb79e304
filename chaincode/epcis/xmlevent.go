package epcis

import (
	"maps"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// event writes an event element in its JSON-LD form.
func (c *xmlModel) event(e *element) *value {
	if e.parent == nil {
		c.declare(e)
	}
	event := &value{kind: object, source: e}
	event.set("type", textValue(c.name(e)))
	for _, child := range unwrapped(e) {
		if !standardSpace(child.space) {
			event.add(c.name(child), c.generic(child))
			continue
		}
		event.add(child.name, c.field(child)) // a field that repeats becomes an array, which the schema then refuses
	}
	return event
}

func (c *xmlModel) field(e *element) *value {
	switch e.name {
	case "bizStep":
		return leaf(e, bizSteps)
	case "disposition":
		return leaf(e, dispositions)
	case "epcList", "childEPCs", "inputEPCList", "outputEPCList":
		return collect(e, func(item *element) *value { return leaf(item, nil) })
	case "quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList":
		return collect(e, c.quantity)
	case "bizTransactionList":
		return collect(e, func(item *element) *value { return c.typed(item, transactionTypes) })
	case "sourceList", "destinationList":
		return collect(e, func(item *element) *value { return c.typed(item, partyTypes) })
	case "readPoint", "bizLocation":
		return c.fields(e, func(child *element) *value { return c.generic(child) })
	case "persistentDisposition":
		return c.persistentDisposition(e)
	case "errorDeclaration":
		return c.errorDeclaration(e)
	case "sensorElementList":
		return collect(e, c.sensorElement)
	case "ilmd":
		return c.fields(e, c.generic)
	default:
		return c.generic(e)
	}
}

func leaf(e *element, v *vocabulary) *value {
	s := e.text
	if v != nil {
		s = v.compact(s)
	}
	return &value{kind: text, text: s, source: e}
}

func collect(e *element, one func(*element) *value) *value {
	list := &value{kind: array, source: e}
	for _, child := range e.children {
		list.items = append(list.items, one(child))
	}
	return list
}

// fields writes an element's children as the members of an object, and its attributes too.
func (c *xmlModel) fields(e *element, one func(*element) *value) *value {
	out := &value{kind: object, source: e}
	c.attributes(out, e, func(string) *vocabulary { return nil })
	for _, child := range unwrapped(e) {
		out.add(c.name(child), one(child))
	}
	return out
}

func (c *xmlModel) quantity(e *element) *value {
	return c.fields(e, func(child *element) *value {
		if child.name == "quantity" {
			return numeric(child.text, child)
		}
		return c.generic(child)
	})
}

// typed writes <source type="…">…</source> as {"type": …, "source": …}.
func (c *xmlModel) typed(e *element, v *vocabulary) *value {
	out := &value{kind: object, source: e}
	c.attributes(out, e, func(string) *vocabulary { return v })
	out.set(e.name, &value{kind: text, text: e.text, source: e})
	for _, child := range e.children {
		out.add(c.name(child), c.generic(child))
	}
	return out
}

func (c *xmlModel) persistentDisposition(e *element) *value {
	out := &value{kind: object, source: e}
	for _, child := range unwrapped(e) {
		if child.name != "set" && child.name != "unset" {
			out.add(c.name(child), c.generic(child))
			continue
		}
		list := out.get(child.name)
		if list == nil {
			list = &value{kind: array, source: child}
			out.set(child.name, list)
		}
		list.items = append(list.items, leaf(child, dispositions))
	}
	return out
}

func (c *xmlModel) errorDeclaration(e *element) *value {
	return c.fields(e, func(child *element) *value {
		switch {
		case !standardSpace(child.space):
			return c.generic(child)
		case child.name == "reason":
			return leaf(child, errorReasons)
		case child.name == "correctiveEventIDs":
			return collect(child, func(id *element) *value { return leaf(id, nil) })
		default:
			return c.generic(child)
		}
	})
}

func (c *xmlModel) sensorElement(e *element) *value {
	out := &value{kind: object, source: e}
	for _, child := range unwrapped(e) {
		switch {
		case !standardSpace(child.space):
			out.add(c.name(child), c.generic(child))
		case child.name == "sensorMetadata":
			out.set("sensorMetadata", c.sensorPart(child))
		case child.name == "sensorReport":
			reports := out.get("sensorReport")
			if reports == nil {
				reports = &value{kind: array, source: child}
				out.set("sensorReport", reports)
			}
			reports.items = append(reports.items, c.sensorPart(child))
		default:
			out.add(c.name(child), c.generic(child))
		}
	}
	return out
}

var sensorNumbers = words("value minValue maxValue meanValue sDev percRank percValue")

func (c *xmlModel) sensorPart(e *element) *value {
	out := &value{kind: object, source: e}
	c.attributes(out, e, func(name string) *vocabulary {
		switch name {
		case "type":
			return measurementTypes
		case "exception":
			return sensorExceptions
		case "component":
			return components
		}
		return nil
	})
	for i := range out.members {
		m := &out.members[i]
		switch {
		case sensorNumbers[m.name]:
			m.value = numeric(m.value.text, e)
		case m.name == "booleanValue":
			switch m.value.text {
			case "true", "1":
				m.value = &value{kind: boolean, text: "true", source: e}
			case "false", "0":
				m.value = &value{kind: boolean, text: "false", source: e}
			}
		}
	}
	for _, child := range e.children {
		out.add(c.name(child), c.generic(child))
	}
	return out
}

func (c *xmlModel) attributes(out *value, e *element, vocabularyOf func(name string) *vocabulary) {
	for _, a := range e.attributes {
		if a.space == instanceNamespace || a.space == xmlNamespace {
			continue
		}
		s := a.value
		if v := vocabularyOf(a.name); v != nil && a.space == "" {
			s = v.compact(s)
		}
		out.add(c.key(a.prefix, a.space, a.name), &value{kind: text, text: s, source: e})
	}
}

// numeric reads XML's decimal, which allows forms that a JSON number does not. What is no number stays text, for
// the schema to refuse.
func numeric(s string, from *element) *value {
	if plain, ok := decimal(s); ok && len(plain) <= maxNumberBytes {
		if !isJSONNumber(s) {
			s = plain
		}
		return &value{kind: number, text: s, source: from}
	}
	return &value{kind: text, text: s, source: from}
}

func isJSONNumber(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	whole, rest := leadingDigits(s)
	if whole == "" || (len(whole) > 1 && whole[0] == '0') {
		return false
	}
	if rest != "" && rest[0] == '.' {
		fraction, after := leadingDigits(rest[1:])
		if fraction == "" {
			return false
		}
		rest = after
	}
	if rest == "" {
		return true
	}
	_, ok := parseExponent(rest)
	return ok
}
