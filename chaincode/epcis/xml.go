package epcis

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	xmlNamespace      = "http://www.w3.org/XML/1998/namespace"
	instanceNamespace = "http://www.w3.org/2001/XMLSchema-instance"
	schemaNamespace   = "http://www.w3.org/2001/XMLSchema"
)

// An element is one XML element with its names resolved and the place it came from.
type element struct {
	prefix, name, space string
	attributes          []attribute
	children            []*element
	text                string
	parent              *element
	number, line        int               // number counts siblings of the same name from 1
	declared            map[string]string // prefix → namespace, as declared on this element
	seen                map[string]int    // how many children of each name there are so far
}

type attribute struct{ prefix, name, space, value string }

func (e *element) place() string {
	var steps []string
	for at := e; at != nil; at = at.parent {
		step := at.name
		if at.prefix != "" {
			step = at.prefix + ":" + step
		}
		if at.number > 1 {
			step = fmt.Sprintf("%s[%d]", step, at.number)
		}
		steps = append(steps, step)
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(steps[i])
	}
	fmt.Fprintf(&b, " (line %d)", e.line)
	return b.String()
}

func (e *element) attribute(name string) string {
	for _, a := range e.attributes {
		if a.space == "" && a.name == name {
			return a.value
		}
	}
	return ""
}

func (e *element) namespace(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlNamespace, true
	}
	for at := e; at != nil; at = at.parent {
		if uri, ok := at.declared[prefix]; ok {
			return uri, true
		}
	}
	return "", prefix == ""
}

// parseXML reads one XML document within the bounds. It refuses a document type that declares anything: entities
// are how a small document becomes a big one, or reads a file.
func parseXML(data []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	decoder.CharsetReader = func(label string, input io.Reader) (io.Reader, error) {
		if asciiSupersets[strings.ToLower(label)] && isASCII(data) {
			return input, nil // in ASCII, all of them are UTF-8
		}
		return nil, fmt.Errorf("the encoding %s is not read: use UTF-8", quote(label))
	}
	var root, at *element
	depth := 0
	for {
		line, column := decoder.InputPos()
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, column = decoder.InputPos()
			return nil, xmlProblem(at, "xml/syntax", fmt.Sprintf("%s (line %d, column %d)", xmlMessage(err), line, column))
		}
		switch t := token.(type) {
		case xml.StartElement:
			if root != nil && at == nil {
				return nil, xmlProblem(root, "xml/syntax", "something follows the end of the document")
			}
			if depth++; depth > MaxDepth {
				return nil, xmlProblem(at, "limit/depth", fmt.Sprintf("more than %d levels inside one another", MaxDepth))
			}
			child, err := openElement(t, at, line)
			if err != nil {
				return nil, err
			}
			if root == nil {
				root = child
			}
			at = child
		case xml.EndElement:
			if at == nil || t.Name.Space != at.prefix || t.Name.Local != at.name {
				return nil, xmlProblem(at, "xml/syntax", fmt.Sprintf("</%s> closes nothing that is open (line %d)", t.Name.Local, line))
			}
			at.text = strings.TrimSpace(at.text)
			at, depth = at.parent, depth-1
		case xml.CharData:
			if at == nil {
				if len(bytes.TrimSpace(t)) > 0 {
					return nil, xmlProblem(nil, "xml/syntax", fmt.Sprintf("text outside the document element (line %d, column %d)", line, column))
				}
				continue
			}
			if at.text == "" && len(bytes.TrimSpace(t)) == 0 {
				continue // the white space between elements
			}
			if len(at.text)+len(t) > MaxStringBytes {
				return nil, xmlProblem(at, "limit/string", fmt.Sprintf("text of more than %d bytes", MaxStringBytes))
			}
			at.text += string(t)
		case xml.Directive:
			if words := strings.Fields(string(t)); len(words) != 2 || words[0] != "DOCTYPE" || strings.ContainsAny(string(t), "[<") {
				return nil, xmlProblem(at, "xml/doctype", fmt.Sprintf("a document type that declares or fetches something is refused (line %d)", line))
			}
		}
	}
	if root == nil || at != nil {
		return nil, xmlProblem(at, "xml/syntax", "the document ends too early")
	}
	return root, nil
}

var asciiSupersets = words("us-ascii ascii iso-8859-1 iso-8859-15 latin1 windows-1252 utf8")

func isASCII(data []byte) bool {
	for _, c := range data {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func openElement(t xml.StartElement, parent *element, line int) (*element, error) {
	e := &element{prefix: t.Name.Space, name: t.Name.Local, parent: parent, number: 1, line: line}
	if parent != nil {
		if parent.seen == nil {
			parent.seen = map[string]int{}
		}
		name := e.prefix + ":" + e.name
		parent.seen[name]++
		e.number = parent.seen[name]
		parent.children = append(parent.children, e)
	}
	for _, a := range t.Attr {
		if len(a.Value) > MaxStringBytes {
			return nil, xmlProblem(e, "limit/string", fmt.Sprintf("an attribute of more than %d bytes", MaxStringBytes))
		}
		switch {
		case a.Name.Space == "xmlns":
			e.declare(a.Name.Local, a.Value)
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			e.declare("", a.Value)
		default:
			for _, other := range e.attributes {
				if other.prefix == a.Name.Space && other.name == a.Name.Local {
					return nil, xmlProblem(e, "xml/duplicate-attribute", fmt.Sprintf("the attribute %q appears twice", a.Name.Local))
				}
			}
			e.attributes = append(e.attributes, attribute{prefix: a.Name.Space, name: a.Name.Local, value: strings.TrimSpace(a.Value)})
		}
	}
	var ok bool
	if e.space, ok = e.namespace(e.prefix); !ok {
		return nil, xmlProblem(e, "xml/prefix-undeclared", fmt.Sprintf("the prefix %q is not declared", e.prefix))
	}
	for i, a := range e.attributes {
		if a.prefix == "" {
			continue // an attribute without a prefix has no namespace, whatever the default is
		}
		if e.attributes[i].space, ok = e.namespace(a.prefix); !ok {
			return nil, xmlProblem(e, "xml/prefix-undeclared", fmt.Sprintf("the prefix %q is not declared", a.prefix))
		}
	}
	return e, nil
}

func (e *element) declare(prefix, uri string) {
	if e.declared == nil {
		e.declared = map[string]string{}
	}
	e.declared[prefix] = uri
}

func xmlProblem(at *element, rule, message string) error {
	p := Problem{Rule: rule, Message: message}
	if at != nil {
		p.Place = at.place()
	}
	return p
}

func xmlMessage(err error) string {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Msg
	}
	return strings.TrimPrefix(err.Error(), "xml: ")
}
