package epcis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// parseJSON reads one JSON text within the bounds. Of a member that an object names twice the last counts, as nearly
// every reader has it (GS1's own examples contain such objects); what is written from here has it once.
func parseJSON(data []byte) (*value, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	p := jsonParser{data: data, tokens: decoder}
	root, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, p.problem("", "json/syntax", "something follows the end of the document")
	}
	return root, nil
}

type jsonParser struct {
	data   []byte
	tokens *json.Decoder
}

func (p *jsonParser) value(at string, depth int) (*value, error) {
	token, err := p.tokens.Token()
	if err != nil {
		return nil, p.syntax(at, err)
	}
	if depth > MaxDepth {
		return nil, p.problem(at, "limit/depth", fmt.Sprintf("more than %d levels inside one another", MaxDepth))
	}
	switch t := token.(type) {
	case nil:
		return &value{kind: null}, nil
	case bool:
		return &value{kind: boolean, text: fmt.Sprint(t)}, nil
	case json.Number:
		if len(t) > maxNumberBytes {
			return nil, p.problem(at, "limit/string", fmt.Sprintf("a number of more than %d characters", maxNumberBytes))
		}
		if _, ok := decimal(string(t)); !ok {
			return nil, p.problem(at, "limit/number", fmt.Sprintf("a number with an exponent beyond %d", maxExponent))
		}
		return &value{kind: number, text: string(t)}, nil
	case string:
		if len(t) > MaxStringBytes {
			return nil, p.problem(at, "limit/string", fmt.Sprintf("a string of more than %d bytes", MaxStringBytes))
		}
		return textValue(t), nil
	case json.Delim:
		if t == '[' {
			return p.array(at, depth)
		}
		return p.object(at, depth)
	}
	return nil, p.problem(at, "json/syntax", "unexpected token")
}

func (p *jsonParser) array(at string, depth int) (*value, error) {
	v := &value{kind: array}
	for i := 0; p.tokens.More(); i++ {
		item, err := p.value(fmt.Sprintf("%s/%d", at, i), depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	if _, err := p.tokens.Token(); err != nil {
		return nil, p.syntax(at, err)
	}
	return v, nil
}

func (p *jsonParser) object(at string, depth int) (*value, error) {
	v := &value{kind: object}
	index := map[string]int{}
	for p.tokens.More() {
		token, err := p.tokens.Token()
		if err != nil {
			return nil, p.syntax(at, err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, p.problem(at, "json/syntax", "a member's name must be a string")
		}
		if len(name) > MaxStringBytes {
			return nil, p.problem(at, "limit/string", fmt.Sprintf("a member's name of more than %d bytes", MaxStringBytes))
		}
		below := at + "/" + pointerEscape.Replace(name)
		item, err := p.value(below, depth+1)
		if err != nil {
			return nil, err
		}
		if i, again := index[name]; again {
			v.members[i].value = item
			continue
		}
		index[name] = len(v.members)
		v.members = append(v.members, member{name, item})
	}
	if _, err := p.tokens.Token(); err != nil {
		return nil, p.syntax(at, err)
	}
	return v, nil
}

func (p *jsonParser) syntax(at string, err error) error {
	offset := p.tokens.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	message := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, message = int64(len(p.data)), "the document ends too early"
	}
	return p.problem(at, "json/syntax", message+p.position(offset))
}

func (p *jsonParser) problem(at, rule, message string) error {
	if rule != "json/syntax" {
		message += p.position(p.tokens.InputOffset())
	}
	return Problem{Place: at, Rule: rule, Message: message}
}

func (p *jsonParser) position(offset int64) string {
	offset = min(max(offset, 0), int64(len(p.data)))
	before := p.data[:offset]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf(" (line %d, column %d)", line, column)
}
