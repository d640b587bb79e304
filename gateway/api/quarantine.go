package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Quarantine holds the messages that ingest refused. What it does not know is a provenance.Error with code NotFound.
type Quarantine interface {
	// List gives at most Limit messages, newest first, and the After of those that follow, empty where none do.
	List(ctx context.Context, filter QuarantineFilter) (messages []QuarantinedMessage, next string, err error)
	Get(ctx context.Context, id string) (QuarantinedMessage, error)
	// Count tells how many wait for each verdict, by the verdict's name.
	Count(ctx context.Context) (map[string]int64, error)
	// Replay puts a message through ingest again, and tells what became of it.
	Replay(ctx context.Context, id string) (Replayed, error)
}

// QuarantineFilter narrows a list; zero fields do not.
type QuarantineFilter struct {
	Device  string
	Verdict string // its name, such as "bad-signature"
	After   string
	Limit   int
}

// QuarantinedMessage is a message that was refused.
type QuarantinedMessage struct {
	ID       string
	Received provenance.Time // the first time
	Last     provenance.Time // the most recent time
	Times    uint64          // how often it was tried
	Topic    string
	Device   string // as it claims; may be empty
	Verdict  string // its name
	Reason   string // in words
	Message  []byte
}

// Replayed is what became of a message that was put through ingest again.
type Replayed struct {
	Accepted bool
	Verdict  string
	Reason   string
}

var errNoIngest = unavailable("This node does not take readings in, so it has no quarantine.", "Ask a node with the ingest role.")

func quarantinedOf(m *QuarantinedMessage) Quarantined {
	shown := Quarantined{
		Id: m.ID, Received: m.Received.Time(), Topic: m.Topic, Device: textSet(m.Device), Verdict: m.Verdict, Reason: m.Reason,
		Size: int32(len(m.Message)), Attempts: int32(min(m.Times, 1<<31-1)),
	}
	if m.Last != m.Received {
		shown.LastAttempt = whenSet(m.Last)
	}
	return shown
}

// ListQuarantine implements listQuarantine.
func (s *server) ListQuarantine(ctx context.Context, r ListQuarantineRequestObject) (ListQuarantineResponseObject, error) {
	if s.Quarantine == nil {
		return nil, errNoIngest
	}
	filter := QuarantineFilter{Device: value(r.Params.Device), Verdict: value(r.Params.Verdict), After: value(r.Params.After), Limit: limit(r.Params.Limit)}
	messages, next, err := s.Quarantine.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	counts, err := s.Quarantine.Count(ctx)
	if err != nil {
		return nil, err
	}
	page := ListQuarantine200JSONResponse{Items: []Quarantined{}, Next: textSet(next), Verdicts: []VerdictCount{}}
	for i := range messages {
		page.Items = append(page.Items, quarantinedOf(&messages[i]))
	}
	for verdict, count := range counts {
		page.Verdicts = append(page.Verdicts, VerdictCount{Verdict: verdict, Reason: reasonOf(verdict), Count: count})
		if filter.Verdict == "" || filter.Verdict == verdict {
			page.Total += count
		}
	}
	slices.SortFunc(page.Verdicts, func(a, b VerdictCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Verdict, b.Verdict))
	})
	if filter.Device != "" {
		page.Total, err = s.countQuarantined(ctx, filter)
	}
	return page, err
}

// countQuarantined goes over the messages of one device; ingest counts by verdict only.
func (s *server) countQuarantined(ctx context.Context, filter QuarantineFilter) (total int64, err error) {
	for filter.After, filter.Limit = "", mostInPage; ; {
		messages, next, err := s.Quarantine.List(ctx, filter)
		if err != nil {
			return 0, err
		}
		total += int64(len(messages))
		if next == "" {
			return total, nil
		}
		filter.After = next
	}
}

// reasonOf says a verdict, given by its name, in words.
func reasonOf(name string) string {
	for v := provenance.Accepted; v.String() != "unknown"; v++ {
		if v.String() == name {
			return v.Reason()
		}
	}
	return name
}

// GetQuarantined implements getQuarantined.
func (s *server) GetQuarantined(ctx context.Context, r GetQuarantinedRequestObject) (GetQuarantinedResponseObject, error) {
	if s.Quarantine == nil {
		return nil, errNoIngest
	}
	m, err := s.Quarantine.Get(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	detail := GetQuarantined200JSONResponse{Item: quarantinedOf(&m), Message: m.Message[:min(len(m.Message), provenance.MaxMessage)]}
	if detail.Message == nil {
		detail.Message = []byte{}
	}
	if f, _, err := evidence.ParseMessage(m.Message); err == nil {
		epoch, sequence, readings := int64(f.ID.Epoch), int64(min(f.ID.Sequence, 1<<63-1)), int32(f.Count)
		first, last := f.First.Time(), f.Last.Time()
		detail.Epoch, detail.Sequence, detail.Readings, detail.First, detail.Last = &epoch, &sequence, &readings, &first, &last
	}
	return detail, nil
}

// ReplayQuarantined implements replayQuarantined.
func (s *server) ReplayQuarantined(ctx context.Context, r ReplayQuarantinedRequestObject) (ReplayQuarantinedResponseObject, error) {
	if !person(ctx).MayReplay {
		return nil, &failure{Forbidden, "Your token does not allow putting messages through ingest again.", "Ask whoever runs this node to let you (mayReplay in people.json)."}
	}
	if s.Quarantine == nil {
		return nil, errNoIngest
	}
	result, err := s.Quarantine.Replay(ctx, r.Id)
	return ReplayQuarantined200JSONResponse{Accepted: result.Accepted, Verdict: result.Verdict, Reason: result.Reason}, err
}
