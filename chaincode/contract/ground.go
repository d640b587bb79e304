package contract

import (
	"slices"

	"github.com/trailmark/trailmark/chaincode/epcis"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Limits of goods.
const (
	maxNesting  = 32   // containers inside one another
	maxContents = 1000 // in one container that is emptied as a whole
	maxHolders  = 256  // of a lot
)

// ground is the goods and links as a transaction sees them, with its own changes: items and links stand decoded by their keys, nil
// where the ledger has none.
type ground struct {
	tx      *transaction
	items   map[string]*provenance.Item
	links   map[string]*provenance.Link
	changed map[string]bool
}

func newGround(tx *transaction) *ground {
	return &ground{tx: tx, items: map[string]*provenance.Item{}, links: map[string]*provenance.Link{}, changed: map[string]bool{}}
}

// prefetch reads items, and the containers around them level by level: an exchange with the peer each.
func (g *ground) prefetch(ids []string) error {
	for range maxNesting {
		keys, seen := []string{}, map[string]bool{}
		for _, id := range ids {
			if key := provenance.ItemKey(id); !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
		if err := g.tx.prefetch(keys); err != nil {
			return err
		}
		above := []string{}
		for _, id := range ids {
			item, err := g.item(id)
			if err != nil {
				return err
			}
			if item != nil && item.Parent != "" {
				if _, known := g.items[provenance.ItemKey(item.Parent)]; !known {
					above = append(above, item.Parent)
				}
			}
		}
		if len(above) == 0 {
			return nil
		}
		ids = above
	}
	return nil
}

func (g *ground) item(id string) (*provenance.Item, error) {
	key := provenance.ItemKey(id)
	item, ok := g.items[key]
	if ok {
		return item, nil
	}
	item, err := load[provenance.Item](g.tx, key)
	if err == nil {
		g.items[key] = item
	}
	return item, err
}

func (g *ground) link(from, to string) (*provenance.Link, error) {
	key := provenance.LinkKey(from, to)
	link, ok := g.links[key]
	if ok {
		return link, nil
	}
	link, err := load[provenance.Link](g.tx, key)
	if err == nil {
		g.links[key] = link
	}
	return link, err
}

// write puts what has changed.
func (g *ground) write() error {
	keys := make([]string, 0, len(g.changed))
	for key := range g.changed {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		state := any(g.items[key])
		if link, ok := g.links[key]; ok {
			state = link
		}
		if err := g.tx.put(key, state); err != nil {
			return err
		}
	}
	return nil
}

// draft is what one event would change. It takes effect as a whole, or not at all.
type draft struct {
	*ground
	items map[string]*provenance.Item
	links map[string]*provenance.Link
	event *provenance.Event
}

func (g *ground) draft(event *provenance.Event) *draft {
	return &draft{ground: g, items: map[string]*provenance.Item{}, links: map[string]*provenance.Link{}, event: event}
}

// keep lets the draft take effect.
func (d *draft) keep() {
	for key, item := range d.items {
		d.ground.items[key], d.changed[key] = item, true
	}
	for key, link := range d.links {
		d.ground.links[key], d.changed[key] = link, true
	}
}

// item looks at an item; change it only through mine.
func (d *draft) item(id string) (*provenance.Item, error) {
	if item, ok := d.items[provenance.ItemKey(id)]; ok {
		return item, nil
	}
	return d.ground.item(id)
}

// mine makes the draft's own copy of an item, to be changed.
func (d *draft) mine(item *provenance.Item) *provenance.Item {
	key := provenance.ItemKey(item.ID)
	if own, ok := d.items[key]; ok {
		return own
	}
	own := *item
	own.Changed = d.tx.now
	own.Holders = slices.Clip(own.Holders)
	d.items[key] = &own
	return &own
}

func (d *draft) link(from, to string) (*provenance.Link, error) {
	if link, ok := d.links[provenance.LinkKey(from, to)]; ok {
		return link, nil
	}
	return d.ground.link(from, to)
}

// connect records a link, unless it stands.
func (d *draft) connect(from, to string, kind provenance.LinkKind) error {
	link, err := d.link(from, to)
	if err != nil || link != nil && link.Until == 0 && link.Kind == kind {
		return err
	}
	d.links[provenance.LinkKey(from, to)] = &provenance.Link{From: from, To: to, Kind: kind, Event: d.event.Hash, Since: d.event.Time, Recorded: d.tx.now}
	return nil
}

// part ends the link from a container to what was in it.
func (d *draft) part(container, content string) error {
	link, err := d.link(container, content)
	if err != nil || link == nil || link.Until != 0 {
		return err
	}
	ended := *link
	ended.Until = max(d.event.Time, link.Since+1) // never empty, whatever the events' clocks say
	d.links[provenance.LinkKey(container, content)] = &ended
	return nil
}

// contents lists what is in a container, by the order of keys.
func (d *draft) contents(container string) ([]string, error) {
	prefix := provenance.LinksFrom(container)
	from, to := within(prefix)
	stored, err := scan[provenance.Link](d.tx, from, to, maxContents+1)
	if err != nil {
		return nil, err
	}
	if len(stored) > maxContents {
		return nil, provenance.Conflictf("%s has had more than %d things in it; name those to be taken out", container, maxContents)
	}
	keys := map[string]bool{}
	for _, link := range stored {
		keys[provenance.LinkKey(link.From, link.To)] = true
	}
	for _, own := range []map[string]*provenance.Link{d.ground.links, d.links} {
		for key, link := range own {
			if link != nil && link.From == container {
				keys[key] = true
			}
		}
	}
	for _, link := range stored { // so that link finds them
		key := provenance.LinkKey(link.From, link.To)
		if _, ok := d.ground.links[key]; !ok {
			d.ground.links[key] = link
		}
	}
	ordered := make([]string, 0, len(keys))
	for key := range keys {
		ordered = append(ordered, key)
	}
	slices.Sort(ordered)
	contents := []string{}
	for _, key := range ordered {
		link, ok := d.links[key]
		if !ok {
			link = d.ground.links[key]
		}
		if link.Kind == provenance.Contains && link.Until == 0 {
			contents = append(contents, link.To)
		}
	}
	return contents, nil
}

// around gives an item and the containers around it, the outermost last.
func (d *draft) around(item *provenance.Item) ([]*provenance.Item, error) {
	chain := []*provenance.Item{item}
	for item.Parent != "" {
		if len(chain) > maxNesting {
			return nil, provenance.Conflictf("%s is inside more than %d containers", chain[0].ID, maxNesting)
		}
		parent, err := d.item(item.Parent)
		if err != nil {
			return nil, err
		}
		if parent == nil {
			return nil, provenance.NotFoundf("%s, the container of %s, is not on the ledger", item.Parent, item.ID)
		}
		chain, item = append(chain, parent), parent
	}
	return chain, nil
}

// holder is who holds an item: who holds the outermost container around it.
func (d *draft) holder(item *provenance.Item) (outermost *provenance.Item, organisation string, err error) {
	chain, err := d.around(item)
	if err != nil {
		return nil, "", err
	}
	outermost = chain[len(chain)-1]
	return outermost, outermost.Custody.Holder(), nil
}

// custodyOf is an item's custody with what it owes to the containers around it: from when it was packed on, theirs counts.
func (d *draft) custodyOf(item *provenance.Item) (provenance.Custody, error) {
	around, err := d.around(item)
	if err != nil {
		return provenance.Custody{}, err
	}
	custody := around[len(around)-1].Custody
	for i := len(around) - 2; i >= 0; i-- {
		link, err := d.link(around[i].Parent, around[i].ID)
		if err != nil {
			return custody, err
		}
		own := provenance.Custody{Terms: around[i].Custody.Terms}
		for _, term := range custody.Terms {
			if link != nil && term.From > link.Recorded {
				own.Pass(term.Organisation, term.From, term.Handover)
			}
		}
		custody = own
	}
	return custody, nil
}

// checkGoods makes an identifier from outside canonical.
func checkGoods(id string) (string, error) {
	if len(id) == 0 || len(id) > 4*provenance.MaxGoodsIdentifier {
		return "", provenance.Invalidf("identifier of %d bytes, 1 to %d are allowed", len(id), 4*provenance.MaxGoodsIdentifier)
	}
	canonical := epcis.Canonical(id)
	if len(canonical) > provenance.MaxGoodsIdentifier {
		return "", provenance.Invalidf("identifier %.40s… of %d bytes, at most %d are allowed", canonical, len(canonical), provenance.MaxGoodsIdentifier)
	}
	for i := range len(canonical) {
		if c := canonical[i]; c <= ' ' || c > '~' {
			return "", provenance.Invalidf("identifier %.100q holds what no URI does", canonical)
		}
	}
	if c := canonical[0] | 0x20; c < 'a' || c > 'z' {
		return "", provenance.Invalidf("identifier %.100q is no URI", canonical)
	}
	return canonical, nil
}

// knownGoods loads an item or a lot that must be on the ledger.
func (g *ground) knownGoods(id string) (*provenance.Item, error) {
	canonical, err := checkGoods(id)
	if err != nil {
		return nil, err
	}
	item, err := g.item(canonical)
	if err == nil && item == nil {
		err = provenance.NotFoundf("%s is not on the ledger", canonical)
	}
	return item, err
}

// goodsOf makes identifiers canonical, sorted and each once.
func goodsOf(ids []string, limit int) ([]string, error) {
	if n := len(ids); n == 0 || n > limit {
		return nil, provenance.Invalidf("%d goods, 1 to %d are allowed", n, limit)
	}
	goods := make([]string, 0, len(ids))
	for _, id := range ids {
		canonical, err := checkGoods(id)
		if err != nil {
			return nil, err
		}
		goods = append(goods, canonical)
	}
	slices.Sort(goods)
	return slices.Compact(goods), nil
}
