package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// plain is the plainest model of where goods are: a parent and a holder for each thing.
type plain struct {
	parent, holder map[string]string
	gone           map[string]bool
}

func (p *plain) outermost(id string) string {
	for p.parent[id] != "" {
		id = p.parent[id]
	}
	return id
}

func (p *plain) heldBy(id string) string { return p.holder[p.outermost(id)] }

func (p *plain) known(id string) bool { return p.holder[id] != "" }

func (p *plain) inside(id, container string) bool {
	for ; id != ""; id = p.parent[id] {
		if id == container {
			return true
		}
	}
	return false
}

// act says whether an event about one thing must be recorded, and does what it does.
func (p *plain) act(by, what, id, container string) bool {
	seen := func(id string) {
		if !p.known(id) {
			p.holder[id] = by
		}
	}
	free := func(id string) bool { return !p.known(id) || p.heldBy(id) == by && !p.gone[id] }
	switch what {
	case "see":
		if !free(id) {
			return false
		}
		seen(id)
	case "destroy":
		if !free(id) {
			return false
		}
		seen(id)
		p.parent[id], p.holder[id], p.gone[id] = "", by, true
	case "pack":
		if !free(id) || !free(container) || p.parent[id] != "" && p.parent[id] != container || p.inside(container, id) {
			return false
		}
		seen(id)
		seen(container)
		p.parent[id] = container
	case "unpack":
		if p.known(container) && p.heldBy(container) != by || p.known(id) && p.parent[id] != container {
			return false
		}
		holder := by
		if p.known(container) {
			holder = p.heldBy(container)
		}
		seen(container)
		seen(id)
		p.parent[id], p.holder[id] = "", holder
	case "give":
		if !p.known(id) || p.gone[id] || p.parent[id] != "" || p.holder[id] != by {
			return false
		}
		p.holder[id] = other(by)
	}
	return true
}

func other(organisation string) string {
	if organisation == maker {
		return carrier
	}
	return maker
}

// TestGoodsAreInOnePlaceAndOneHand drives random events and handovers, alone and in captures of several, and holds the ledger against
// the model after each: every item has the model's parent and holder, every open link is a parent's, and nothing is inside itself.
func TestGoodsAreInOnePlaceAndOneHand(t *testing.T) {
	trade := newTrade(t)
	ids := []string{thing(1), thing(2), pallet(1), pallet(2), pallet(3)}
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{TB: t, ledger: newLedger(), endorsers: trade.endorsers, now: start}
		for key, e := range trade.state {
			w.state[key] = e
		}
		w.version = trade.version
		model := &plain{parent: map[string]string{}, holder: map[string]string{}, gone: map[string]bool{}}
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			w.now += minute
			by := rapid.SampledFrom([]string{maker, carrier}).Draw(rt, "by")
			if rapid.IntRange(0, 3).Draw(rt, "give") == 0 {
				id := rapid.SampledFrom(ids).Draw(rt, "id")
				captures++
				handover := provenance.OfferRequest{ID: "h" + w.now.String()[11:13] + w.now.String()[14:16], To: other(by), Goods: []string{id}}
				_, err := w.submit(by, "custody:Offer", handover)
				require.Equal(rt, model.act(by, "give", id, ""), err == nil, "%s gives %s: %v", by, id, err)
				if err == nil {
					w.must(other(by), "custody:Accept", provenance.ByID{ID: handover.ID})
				}
				continue
			}
			list, want := []fields{}, []bool{}
			for i := range rapid.IntRange(1, 5).Draw(rt, "events") {
				what := rapid.SampledFrom([]string{"see", "pack", "pack", "pack", "unpack", "unpack", "destroy"}).Draw(rt, "what")
				id, container := rapid.SampledFrom(ids).Draw(rt, "id"), rapid.SampledFrom(ids[2:]).Draw(rt, "container")
				if id == container {
					continue // the standard refuses it
				}
				when := w.now + provenance.Time(i)
				list = append(list, map[string]fields{
					"see": object("OBSERVE", "storing", when, id), "destroy": object("DELETE", "destroying", when, id),
					"pack": packing("ADD", container, when, id), "unpack": packing("DELETE", container, when, id),
				}[what])
				want = append(want, model.act(by, what, id, container))
			}
			if len(list) == 0 {
				continue
			}
			capture := answer[provenance.Capture](w, w.must(by, "events:Capture", captureArgument(w, true, list...)))
			got := make([]bool, len(list))
			for i := range got {
				got[i] = true
			}
			for _, r := range capture.Refused {
				got[r.Position] = false
			}
			require.Equal(rt, want, got, "%s: %v: %+v", by, list, capture.Refused)
			w.holdsAgainst(rt, model, ids)
		}
	})
}

func (w *world) holdsAgainst(rt *rapid.T, model *plain, ids []string) {
	for _, id := range ids {
		_, known := w.state[provenance.ItemKey(id)]
		require.Equal(rt, model.known(id), known, id)
		if !known {
			continue
		}
		item := w.item(id)
		require.Equal(rt, model.parent[id], item.Parent, id)
		require.Equal(rt, model.gone[id], item.Status == provenance.Destroyed, id)
		require.Equal(rt, model.heldBy(id), w.holder(id), id)
		require.IsNonDecreasing(rt, times(item.Custody.Terms))
	}
	open := map[string]string{}
	for key := range w.state {
		if strings.HasPrefix(key, "g/") {
			if link := at[provenance.Link](w, key); link.Until == 0 {
				require.NotContains(rt, open, link.To, "in two containers")
				open[link.To] = link.From
			}
		}
	}
	for _, id := range ids {
		require.Equal(rt, model.parent[id], open[id], id)
	}
}

func times(terms []provenance.CustodyTerm) []provenance.Time {
	list := []provenance.Time{}
	for _, term := range terms {
		list = append(list, term.From)
	}
	return list
}

// TestRealDocumentsAreCaptured takes the published documents, JSON and XML, each with the hash IDs published for it.
func TestRealDocumentsAreCaptured(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/data/epcis/*/*")
	require.NoError(t, err)
	if len(paths) == 0 {
		t.Skip("the documents are not here")
	}
	for _, path := range paths {
		if extension := filepath.Ext(path); extension != ".jsonld" && extension != ".xml" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			document, err := epcis.Parse(text)
			require.NoError(t, err)
			capture := &evidence.Capture{ID: "job", Proceed: true}
			for _, event := range document.Events {
				capture.Events = append(capture.Events, evidence.CapturedEvent{Fields: event.Fields(), Context: event.Context()})
			}
			argument, err := evidence.EncodeCapture(capture)
			require.NoError(t, err)
			w := newTrade(t)
			w.now += 10 * 365 * 24 * 60 * minute // some events are dated ahead
			record := answer[provenance.Capture](w, w.must(maker, "events:Capture", argument))
			require.Equal(t, int(record.Events), int(record.Recorded)+len(record.Refused))
			for _, refused := range record.Refused {
				t.Logf("event %d: %s: %s", refused.Position, refused.Code, refused.Message)
			}
			require.Empty(t, record.Refused)
			for _, event := range document.Events {
				pre, err := event.PreHash(epcis.CBV20)
				require.NoError(t, err)
				require.Contains(t, w.state, provenance.EventKey(sha256.Sum256([]byte(pre))))
			}
			published, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".hashes")
			if err != nil {
				return
			}
			for _, line := range strings.Fields(string(published)) {
				digits, ok := strings.CutPrefix(line, "ni:///sha-256;")
				if !ok || len(digits) < 64 {
					continue
				}
				raw, err := hex.DecodeString(digits[:64])
				require.NoError(t, err)
				require.Contains(t, w.state, provenance.EventKey(provenance.Hash(raw)), "the published hash ID")
			}
		})
	}
}
