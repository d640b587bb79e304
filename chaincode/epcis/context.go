package epcis

import (
	"fmt"
	"net/url"
	"strings"
)

const epcisContext = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

// wellKnown are the prefixes that the EPCIS context brings.
var wellKnown = map[string]string{
	"cbv":     cbvWeb,
	"cbvmda":  masterDataNamespace,
	"dcterms": "http://purl.org/dc/terms/",
	"epcis":   "https://ref.gs1.org/epcis/",
	"gs1":     gs1Voc,
	"owl":     "http://www.w3.org/2002/07/owl#",
	"rdf":     "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
	"rdfs":    "http://www.w3.org/2000/01/rdf-schema#",
	"xsd":     "http://www.w3.org/2001/XMLSchema#",
}

// CBV writes its master data attributes with this namespace in XML and with a colon after it in JSON-LD.
const masterDataNamespace = "urn:epcglobal:cbv:mda"

// A scope is what the @context of a document and of an event, or XML's namespace declarations, say about names.
type scope struct {
	prefixes map[string]string // prefix or term → IRI
	outer    *scope
	remote   bool // a context that is not the standard's is named by address, and what it defines is unknown here
}

// newScope reads an @context. Contexts are never fetched: the standard's is known, and of others only what is
// written in place counts.
func newScope(context *value, outer *scope) *scope {
	if context == nil && outer != nil {
		return outer
	}
	s := &scope{prefixes: map[string]string{}, outer: outer}
	for _, entry := range context.list() {
		switch entry.kind {
		case text:
			s.remote = s.remote || !isEPCISContext(entry.text)
		case object:
			for _, m := range entry.members {
				iri := m.value.str()
				if m.value.kind == object {
					iri = m.value.get("@id").str()
				}
				if iri != "" && !strings.HasPrefix(m.name, "@") {
					s.prefixes[m.name] = iri
				}
			}
		}
	}
	return s
}

func isEPCISContext(address string) bool {
	u, err := url.Parse(address)
	return err == nil && strings.HasSuffix(u.Path, "/epcis-context.jsonld") &&
		(u.Host == "ref.gs1.org" || u.Host == "gs1.github.io" || u.Host == "ns.gs1.org")
}

func (s *scope) lookup(prefix string) (string, bool) {
	for at := s; at != nil; at = at.outer {
		if iri, ok := at.prefixes[prefix]; ok {
			return iri, true
		}
	}
	iri, ok := wellKnown[prefix]
	return iri, ok
}

func (s *scope) unknown() bool {
	for at := s; at != nil; at = at.outer {
		if at.remote {
			return true
		}
	}
	return false
}

// splitName resolves a member's name into namespace and local name. The namespace of a bare name is "".
func (s *scope) splitName(name string) (namespace, local string, err error) {
	prefix, rest, ok := strings.Cut(name, ":")
	switch {
	case !ok:
		if iri, ok := s.lookup(name); ok && isURI(iri) && s.isTerm(name) {
			namespace, local = splitIRI(iri)
			return namespace, local, nil
		}
		return "", name, nil
	case strings.HasPrefix(rest, "//"):
		namespace, local = splitIRI(name)
		return namespace, local, nil
	}
	iri, ok := s.lookup(prefix)
	if !ok {
		return "", name, fmt.Errorf("the prefix %q is not declared", prefix)
	}
	if iri == masterDataNamespace+":" {
		iri = masterDataNamespace
	}
	return iri, rest, nil
}

// isTerm tells a term that names one property from a prefix, which JSON-LD lets end only in a delimiter.
func (s *scope) isTerm(name string) bool {
	iri, _ := s.lookup(name)
	return iri != "" && !strings.ContainsRune(":/?#[]@", rune(iri[len(iri)-1]))
}

func splitIRI(iri string) (namespace, local string) {
	if i := strings.LastIndexAny(iri, "/#:"); i >= 0 && i+1 < len(iri) {
		return iri[:i+1], iri[i+1:]
	}
	return "", iri
}

// schemes are never read as the prefix of a value, whatever a document declares: a value that starts so is a URI.
var schemes = words("data geo http https mailto ni tag urn")

// expandValue replaces the prefix of a compact URI. Text that merely has a colon in it stays.
func (s *scope) expandValue(text string) string {
	prefix, rest, ok := strings.Cut(text, ":")
	if !ok || rest == "" || strings.HasPrefix(rest, "//") || schemes[prefix] || strings.ContainsAny(text, " \t\r\n") {
		return text
	}
	if iri, ok := s.lookup(prefix); ok {
		return iri + rest
	}
	return text
}
