package epcis

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	failure "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed schema.json
var schemaText []byte

const schemaAddress = "https://trailmark.invalid/epcis-2.0.json"

// schemas compiles the structure of each kind of document and event, once.
var schemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		panic(fmt.Errorf("reading the embedded schema: %w", err))
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaAddress, document); err != nil {
		panic(fmt.Errorf("adding the embedded schema: %w", err))
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range []string{
		"EPCISDocument", "EPCISQueryDocument", "Event",
		"ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent",
	} {
		compiled[name] = compiler.MustCompile(schemaAddress + "#/$defs/" + name)
	}
	return compiled
})

// checkSchema reports what in a value does not have the structure of the named definition.
func (c *checker) checkSchema(v *value, definition string) {
	err := schemas()[definition].Validate(v.plain())
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		c.schemaProblems(v, invalid)
	}
}

func (c *checker) schemaProblems(v *value, e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *failure.AnyOf:
		c.add(v, "schema/required", "a sensor report has a type or an exception", at...)
		return
	case *failure.PropertyNames:
		c.unknownField(v, append(slices.Clone(at), k.Property))
		return
	case *failure.AdditionalProperties:
		for _, name := range k.Properties {
			c.unknownField(v, append(slices.Clone(at), name))
		}
	case *failure.Required:
		for _, name := range k.Missing {
			c.add(v, "schema/required", fmt.Sprintf("%q is missing", name), at...)
		}
	case *failure.Type:
		c.add(v, "schema/type", fmt.Sprintf("this is a %s, and must be a %s", k.Got, strings.Join(k.Want, " or ")), at...)
	case *failure.Enum:
		c.add(v, "schema/enum", fmt.Sprintf("%s is none of %s", quote(fmt.Sprint(k.Got)), list(k.Want)), at...)
	case *failure.Const:
		c.add(v, "schema/enum", fmt.Sprintf("%s must be %v", quote(fmt.Sprint(k.Got)), k.Want), at...)
	case *failure.Pattern:
		c.add(v, "schema/pattern", fmt.Sprintf("%s does not match %s", quote(k.Got), k.Want), at...)
	case *failure.MinLength:
		c.add(v, "schema/empty", "this must not be empty", at...)
	case *failure.MinItems:
		c.add(v, "schema/empty", fmt.Sprintf("this must have at least %d item", k.Want), at...)
	case *failure.MinProperties:
		c.add(v, "schema/empty", fmt.Sprintf("this must have at least %d member", k.Want), at...)
	case *failure.UniqueItems:
		c.add(v, "schema/unique", fmt.Sprintf("the items %d and %d are the same", k.Duplicates[0], k.Duplicates[1]), at...)
	case *failure.Schema, *failure.Group, *failure.Reference:
	default:
		c.add(v, "schema/other", k.LocalizedString(message.NewPrinter(language.English)), at...)
	}
	for _, cause := range e.Causes {
		c.schemaProblems(v, cause)
	}
}

// unknownField reports a member that the standard does not know and that has no namespace either. A context may
// define a bare name: in place, where it can be seen, or at an address, where only a slip of the standard's own
// names can be told from a definition.
func (c *checker) unknownField(v *value, path []string) {
	name := path[len(path)-1]
	if strings.HasPrefix(name, "_") {
		return // a comment, by custom; a JSON-LD reader drops it
	}
	if namespace, _, err := c.scope.splitName(name); err == nil && namespace != "" {
		return
	}
	for _, known := range standardNames() {
		if strings.EqualFold(known, name) && known != name {
			c.add(v, "field/unknown", fmt.Sprintf("there is no field %s; did you mean %q?", quote(name), known), path...)
			return
		}
		if known == name {
			c.add(v, "field/unknown", fmt.Sprintf("the field %q does not belong here", name), path...)
			return
		}
	}
	if !c.scope.unknown() {
		c.add(v, "field/unknown", fmt.Sprintf("the standard has no field %s here, and an extension needs a namespace", quote(name)), path...)
	}
}

// standardNames are all the names that the schema gives a meaning.
var standardNames = sync.OnceValue(func() []string {
	document, err := parseJSON(schemaText)
	if err != nil {
		panic(fmt.Errorf("reading the embedded schema: %w", err))
	}
	names := map[string]bool{}
	var collect func(v *value)
	collect = func(v *value) {
		for _, m := range v.membersOrNone() {
			if m.name == "properties" {
				for _, property := range m.value.membersOrNone() {
					names[property.name] = true
				}
			}
			collect(m.value)
		}
	}
	collect(document)
	return sortedKeys(names)
})

func list(values []any) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprint(v)
	}
	return strings.Join(quoted, ", ")
}
