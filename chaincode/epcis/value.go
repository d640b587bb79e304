package epcis

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

func (k kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// A value is a JSON value that keeps what encoding/json's maps would lose: the order of members, the digits of a
// number as they were written, and, when it was read from XML, the element it came from.
type value struct {
	kind    kind
	text    string // of a string; the digits of a number; "true" or "false"
	items   []*value
	members []member
	source  *element
}

type member struct {
	name  string
	value *value
}

func textValue(s string) *value { return &value{kind: text, text: s} }

func (v *value) get(name string) *value {
	if v == nil || v.kind != object {
		return nil
	}
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return nil
}

// str is the text of a string value, and "" for anything else.
func (v *value) str() string {
	if v == nil || v.kind != text {
		return ""
	}
	return v.text
}

// list is the items of an array; a single value stands for an array of one, as in JSON-LD.
func (v *value) list() []*value {
	switch {
	case v == nil || v.kind == null:
		return nil
	case v.kind == array:
		return v.items
	default:
		return []*value{v}
	}
}

func (v *value) set(name string, to *value) {
	for i := range v.members {
		if v.members[i].name == name {
			v.members[i].value = to
			return
		}
	}
	v.members = append(v.members, member{name, to})
}

// add appends like set, but a name that is there already becomes an array: how XML repeats an element.
func (v *value) add(name string, to *value) {
	for i := range v.members {
		if v.members[i].name != name {
			continue
		}
		was := v.members[i].value
		if was.kind != array || was.source != nil {
			was = &value{kind: array, items: []*value{was}}
			v.members[i].value = was
		}
		was.items = append(was.items, to)
		return
	}
	v.members = append(v.members, member{name, to})
}

// without is a shallow copy that lacks one member.
func (v *value) without(name string) *value {
	kept := &value{kind: v.kind, source: v.source, members: make([]member, 0, len(v.members))}
	for _, m := range v.members {
		if m.name != name {
			kept.members = append(kept.members, m)
		}
	}
	return kept
}

// plain is the value as encoding/json would decode it with UseNumber.
func (v *value) plain() any {
	switch v.kind {
	case null:
		return nil
	case boolean:
		return v.text == "true"
	case number:
		return json.Number(v.text)
	case text:
		return v.text
	case array:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = item.plain()
		}
		return items
	default:
		members := make(map[string]any, len(v.members))
		for _, m := range v.members {
			members[m.name] = m.value.plain()
		}
		return members
	}
}

func (v *value) appendJSON(to []byte) []byte {
	switch v.kind {
	case null:
		return append(to, "null"...)
	case boolean, number:
		return append(to, v.text...)
	case text:
		return appendQuoted(to, v.text)
	case array:
		to = append(to, '[')
		for i, item := range v.items {
			if i > 0 {
				to = append(to, ',')
			}
			to = item.appendJSON(to)
		}
		return append(to, ']')
	default:
		to = append(to, '{')
		for i, m := range v.members {
			if i > 0 {
				to = append(to, ',')
			}
			to = appendQuoted(to, m.name)
			to = append(to, ':')
			to = m.value.appendJSON(to)
		}
		return append(to, '}')
	}
}

// appendQuoted writes a JSON string. It escapes only what JSON demands, so that a URI stays readable.
func appendQuoted(to []byte, s string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c == '\n':
			to = append(to, `\n`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c == '\t':
			to = append(to, `\t`...)
		case c < 0x20:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			to = append(to, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			to = utf8.AppendRune(to, r)
			i += size
			continue
		}
		i++
	}
	return append(to, '"')
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// place names where a path of member names and indexes leads: a JSON pointer, or for XML the nearest element.
func (v *value) place(base string, path ...string) string {
	at := v
	var nearest *element
	for i := 0; ; i++ {
		if at != nil && at.source != nil {
			nearest = at.source
		}
		if i == len(path) {
			break
		}
		at = at.step(path[i])
	}
	if nearest != nil {
		return nearest.place()
	}
	var b strings.Builder
	b.WriteString(base)
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscape.Replace(p))
	}
	return b.String()
}

func (v *value) step(name string) *value {
	if v == nil {
		return nil
	}
	if v.kind == array {
		index := 0
		for _, c := range []byte(name) {
			if c < '0' || c > '9' || index > len(v.items) {
				return nil
			}
			index = index*10 + int(c-'0')
		}
		if index < len(v.items) {
			return v.items[index]
		}
		return nil
	}
	return v.get(name)
}
