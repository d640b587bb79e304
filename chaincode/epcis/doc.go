// Package epcis reads, checks, normalises and identifies GS1 EPCIS 2.0 / CBV 2.0 events.
//
// It promises four things. Parse accepts JSON-LD and XML documents, query documents and single events, and keeps all
// that an event says, extensions included (of XML, not its type annotations, nor all of a document's header).
// Validate names every place that breaks the standard and the rule it breaks. HashID computes the CBV event hash ID,
// the same for the same event in either syntax. Canonical and EPCURI take GS1 identifiers from one form to the other.
//
// Everything here is deterministic and works without a network, a clock or a file, because endorsing peers and a
// verifier in a browser run it and must agree. It may import chaincode/provenance and nothing else of ours.
package epcis

// Bounds on what comes from outside; a document that goes beyond one is refused with the bound's name.
const (
	MaxDocumentBytes = 32 << 20 // of one document, before parsing
	MaxEvents        = 20_000   // in one document
	MaxDepth         = 64       // of objects, arrays or elements inside one another
	MaxStringBytes   = 64 << 10 // of one name, text or number
	maxProblems      = 1_000    // reported for one document; what follows adds nothing for the reader
)

// A Problem is one thing wrong with a document. It is also the error that Parse returns.
type Problem struct {
	Place   string // JSON pointer, or XML path and line
	Rule    string // stable short name of the broken rule, such as "cbv/bizStep"
	Message string
}

func (p Problem) Error() string {
	if p.Place == "" {
		return p.Rule + ": " + p.Message
	}
	return p.Place + ": " + p.Rule + ": " + p.Message
}
