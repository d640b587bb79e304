package provenance

// Limits of recalls.
const (
	MaxRecalled     = 100  // lots and items that a recall names
	MaxFreezeEdges  = 1000 // in one transaction
	MaxAnswers      = 500  // in one transaction
	MaxAnswersKept  = 32   // to one thing
	MaxRecallTotals = 50_000
)

// Recall calls goods back. State key r/{ID}. What is under it is counted when it is asked for and when it is closed, not with
// every answer: holders who answer at the same time must not conflict.
type Recall struct {
	ID           string        `cbor:"1,keyasint" json:"id"`
	Organisation string        `cbor:"2,keyasint" json:"organisation"` // who recalls
	Goods        []string      `cbor:"3,keyasint" json:"goods"`        // canonical identifiers of the lots and items named, rising
	Reason       string        `cbor:"4,keyasint" json:"reason"`
	Drill        bool          `cbor:"5,keyasint" json:"drill"` // it freezes nothing and is answered all the same
	Opened       Time          `cbor:"6,keyasint" json:"opened"`
	Closed       Time          `cbor:"7,keyasint" json:"closed"` // 0 while open
	Conclusion   string        `cbor:"8,keyasint" json:"conclusion"`
	Totals       *RecallTotals `cbor:"9,keyasint,omitempty" json:"totals,omitempty"` // at its close
}

// RecallTotals show how effective a recall is.
type RecallTotals struct {
	Things      uint32 `cbor:"1,keyasint" json:"things"`   // under the recall, transformations apart
	Answered    uint32 `cbor:"2,keyasint" json:"answered"` // all who were asked have answered
	Quarantined uint32 `cbor:"3,keyasint" json:"quarantined"`
	Destroyed   uint32 `cbor:"4,keyasint" json:"destroyed"`
	Sold        uint32 `cbor:"5,keyasint" json:"sold"`
	NotFound    uint32 `cbor:"6,keyasint" json:"notFound"`
	Partial     bool   `cbor:"7,keyasint" json:"partial"` // there are more than MaxRecallTotals
}

// Recalled is one thing under a recall. State key f/{Recall}/{hash of ID}.
type Recalled struct {
	Recall  string         `cbor:"1,keyasint" json:"recall"`
	ID      string         `cbor:"2,keyasint" json:"id"`
	Via     string         `cbor:"3,keyasint" json:"via"`   // what it came under the recall through, empty if it is named
	Kind    LinkKind       `cbor:"4,keyasint" json:"kind"`  // of the link from Via, where there is one
	Event   Hash           `cbor:"5,keyasint" json:"event"` // that made the link
	Asked   []string       `cbor:"6,keyasint" json:"asked"` // who held it when it came under the recall; nobody for a transformation
	Added   Time           `cbor:"7,keyasint" json:"added"`
	Answers []RecallAnswer `cbor:"8,keyasint" json:"answers"` // as they came
}

// RecallAnswer is a holder's word on what became of a thing.
type RecallAnswer struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Answer       Answer `cbor:"2,keyasint" json:"answer"`
	Person       string `cbor:"3,keyasint" json:"person"` // by the node's word
	Comment      string `cbor:"4,keyasint" json:"comment"`
	Time         Time   `cbor:"5,keyasint" json:"time"`
}

// Answer is what became of a thing under a recall.
type Answer string

// The answers. Destroyed is for good.
const (
	AnswerQuarantined Answer = "quarantined"
	AnswerDestroyed   Answer = "destroyed"
	AnswerSold        Answer = "sold"
	AnswerNotFound    Answer = "not-found"
)

// Known tells whether it is one of the answers.
func (a Answer) Known() bool {
	return a == AnswerQuarantined || a == AnswerDestroyed || a == AnswerSold || a == AnswerNotFound
}

// Newest returns an organisation's newest answer, "" for none.
func (r *Recalled) Newest(organisation string) Answer {
	for i := len(r.Answers) - 1; i >= 0; i-- {
		if r.Answers[i].Organisation == organisation {
			return r.Answers[i].Answer
		}
	}
	return ""
}

// Count adds one thing to the totals. Where several hold parts of a lot, the newest answer of each counts.
func (t *RecallTotals) Count(r *Recalled) {
	if len(r.Asked) == 0 {
		return
	}
	t.Things++
	answered := true
	for _, organisation := range r.Asked {
		answered = answered && r.Newest(organisation) != ""
	}
	if answered || len(r.Asked) == 1 && len(r.Answers) > 0 { // an item may have gone to another, who answers for it
		t.Answered++
	}
	for i, a := range r.Answers {
		newest := true
		for _, later := range r.Answers[i+1:] {
			newest = newest && later.Organisation != a.Organisation
		}
		if !newest {
			continue
		}
		switch a.Answer {
		case AnswerQuarantined:
			t.Quarantined++
		case AnswerDestroyed:
			t.Destroyed++
		case AnswerSold:
			t.Sold++
		case AnswerNotFound:
			t.NotFound++
		}
	}
}

// RecallRequest is the argument of recalls:Open.
type RecallRequest struct {
	ID     string   `json:"id"`
	Goods  []string `json:"goods"` // EPC URIs or GS1 Digital Links of lots and items
	Reason string   `json:"reason"`
	Drill  bool     `json:"drill"`
}

// FreezeRequest is the argument of recalls:Freeze: a chunk of what is downstream, each edge from something that is under the
// recall already, or comes under it by an edge before.
type FreezeRequest struct {
	Recall string       `json:"recall"`
	Edges  []RecallEdge `json:"edges"`
}

// RecallEdge leads from one thing to the next downstream: from an input to a transformation, from that to an output, from
// a lot to its item, from what is packed to its container, and from a container that the recall names to what is in it.
type RecallEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// FreezeResult is what recalls:Freeze did.
type FreezeResult struct {
	Added     uint32 `json:"added"`
	Unchanged uint32 `json:"unchanged"` // under the recall already
}

// AnswerRequest is the argument of recalls:Answer, by who holds the goods.
type AnswerRequest struct {
	Recall  string   `json:"recall"`
	Goods   []string `json:"goods"`
	Answer  Answer   `json:"answer"`
	Person  string   `json:"person"`
	Comment string   `json:"comment"`
}

// CloseRecall is the argument of recalls:Close.
type CloseRecall struct {
	ID         string `json:"id"`
	Conclusion string `json:"conclusion"`
}

// RecalledPage is the argument of recalls:Things: a part of what is under a recall, in the order of the hashes of identifiers.
type RecalledPage struct {
	Recall string `json:"recall"`
	After  string `json:"after"` // identifier of the last thing of the page before
	Limit  uint32 `json:"limit"` // 1 to MaxPage; 0 means MaxPage
}

// RecalledName names a thing under a recall.
type RecalledName struct {
	Recall string `json:"recall"`
	ID     string `json:"id"`
}
