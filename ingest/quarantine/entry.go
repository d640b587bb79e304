// Package quarantine keeps the messages that ingest or the contract refused: their bytes, the verdict, and a sentence a
// person can act on. It can be browsed, exported, and its messages replayed after the cause is mended.
//
// An entry is identified by topic and bytes, so the same bad message sent again counts on one entry. The store is bounded in
// entries and bytes; the oldest then move to archive files beside it (NDJSON, as exported), which are bounded too. Nothing
// leaves without being counted and logged. It imports of ours provenance.
package quarantine

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Entry is a refused message.
type Entry struct {
	ID       string             `json:"id"`
	Received provenance.Time    `json:"received"` // first time
	Last     provenance.Time    `json:"last"`     // most recent time
	Times    uint64             `json:"times"`    // how often it came
	Topic    string             `json:"topic"`
	Device   string             `json:"device"` // by the topic's word; it need not exist
	Verdict  provenance.Verdict `json:"verdict"`
	Reason   string             `json:"reason"`   // the verdict in a word
	Detail   string             `json:"detail"`   // what was wrong, in a sentence
	Batch    string             `json:"batch"`    // where the contract refused it: organisation/lane/number; else empty
	Replayed provenance.Time    `json:"replayed"` // when it was last sent round again; 0 if never, or if it came back since
	Message  []byte             `json:"message"`
}

// maxText bounds what a stranger can make us store beside the message itself.
const maxText = 1024

// NewEntry makes an entry from what arrived.
func NewEntry(received provenance.Time, topic string, message []byte, verdict provenance.Verdict, detail string) Entry {
	hash := sha256.New()
	hash.Write([]byte(topic))
	hash.Write([]byte{0})
	hash.Write(message)
	if detail == "" {
		detail = verdict.Reason()
	}
	return Entry{
		ID: hex.EncodeToString(hash.Sum(nil)[:16]), Received: received, Last: received, Times: 1,
		Topic: clean(topic), Device: clean(topic[strings.LastIndexByte(topic, '/')+1:]),
		Verdict: verdict, Reason: verdict.String(), Detail: clean(detail), Message: message,
	}
}

func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// size is what an entry counts against the limit.
func (e *Entry) size() int64 {
	return int64(len(e.Message) + len(e.Topic) + len(e.Device) + len(e.Detail) + 128)
}
