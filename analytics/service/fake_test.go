package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// chain is a ledger with its read model, for tests: blocks hold readings, changed plans and alerts.
type chain struct {
	mu        sync.Mutex
	shipments map[string]provenance.Shipment
	readings  map[string][]Reading // by shipment
	height    uint64
	models    []provenance.ModelRequest
	alerts    []provenance.Alert
	requests  []provenance.AlertRequest // what was asked for, refused or not, in order
	parties   []string                  // nil: everybody
	nodes     []*node
	lag       bool // alerts show in the read models with the next block
}

func newChain() *chain {
	return &chain{shipments: map[string]provenance.Shipment{}, readings: map[string][]Reading{}}
}

// cut ends a block that holds readings of a shipment. Nodes see it at once, or when they are told to.
func (c *chain) cut(shipment string, readings ...Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height++
	for _, r := range readings {
		r.Block = c.height
		c.readings[shipment] = append(c.readings[shipment], r)
	}
	for _, n := range c.nodes {
		if !n.behind {
			n.advance()
		}
	}
}

func (c *chain) open(s provenance.Shipment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shipments[s.ID] = s
}

func (c *chain) raised() []provenance.Alert {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.alerts)
}

// node is an organisation's view of the chain: its Projection and its Ledger.
type node struct {
	*chain
	organisation string
	behind       bool // blocks show only when catchUp is called
	seen         uint64
	changed      chan struct{}
	calls        int
	before       func(call int) error                     // asked before every call: an error is returned instead
	after        func(call int) error                     // asked after every call
	refuse       func(a provenance.AlertRequest) error    // asked for every alert
	view         func(shipment string, r []Reading) error // asked for every answer of Recorded
}

func (c *chain) node(organisation string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &node{chain: c, organisation: organisation, changed: make(chan struct{}), seen: c.height}
	c.nodes = append(c.nodes, n)
	return n
}

func (n *node) advance() {
	n.seen = n.height
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) catchUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.advance()
}

// call runs one call of the service, unless the test makes it fail before or after it took effect.
func call[T any](n *node, do func() (T, error)) (T, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	var none T
	if n.before != nil {
		if err := n.before(n.calls); err != nil {
			return none, err
		}
	}
	result, err := do()
	if err == nil && n.after != nil {
		if err := n.after(n.calls); err != nil {
			return none, err
		}
	}
	return result, err
}

func (n *node) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

func (n *node) Height(context.Context) (uint64, error) {
	return call(n, func() (uint64, error) { return n.seen, nil })
}

func (n *node) OpenShipments(context.Context) ([]provenance.Shipment, error) {
	return call(n, func() (open []provenance.Shipment, _ error) {
		for _, s := range n.shipments {
			if s.Closed == 0 {
				open = append(open, s)
			}
		}
		return open, nil
	})
}

func (n *node) Recorded(_ context.Context, shipment string, after, through uint64) ([]Reading, error) {
	return call(n, func() (found []Reading, _ error) {
		if through > n.seen {
			return nil, errors.New("asked for a block that is not projected")
		}
		attachments := n.shipments[shipment].Attachments
		for _, r := range n.readings[shipment] {
			attached := slices.ContainsFunc(attachments, func(a provenance.Attachment) bool { return a.Device == r.Device && a.Holds(r.Time) })
			if attached && (after == 0 || r.Block > after) && r.Block <= through {
				found = append(found, r)
			}
		}
		if n.view != nil {
			return found, n.view(shipment, found)
		}
		return found, nil
	})
}

func (n *node) Alerts(_ context.Context, shipment string) ([]provenance.Alert, error) {
	return call(n, func() (found []provenance.Alert, _ error) {
		for _, a := range n.alerts {
			if a.Shipment == shipment && (!n.lag || uint64(a.Raised) < n.seen) {
				found = append(found, a)
			}
		}
		slices.SortFunc(found, func(a, b provenance.Alert) int { return cmp.Compare(a.ID, b.ID) })
		return found, nil
	})
}

func (n *node) RegisterModel(_ context.Context, m provenance.ModelRequest) error {
	_, err := call(n, func() (any, error) {
		n.models = append(n.models, m)
		return nil, nil
	})
	return err
}

// RaiseAlert follows chaincode/contract: an organisation's first word stands.
func (n *node) RaiseAlert(_ context.Context, r provenance.AlertRequest) error {
	_, err := call(n, func() (any, error) {
		n.requests = append(n.requests, r)
		if n.refuse != nil {
			if err := n.refuse(r); err != nil {
				return nil, err
			}
		}
		word := provenance.AlertAttestation{Organisation: n.organisation, Score: r.Score, InputRoot: r.InputRoot, AsOfBlock: r.AsOfBlock, Time: provenance.Time(n.height)}
		for i := range n.alerts {
			a := &n.alerts[i]
			if a.Shipment != r.Shipment || a.ID != r.ID {
				continue
			}
			if !slices.ContainsFunc(a.Attestations, func(w provenance.AlertAttestation) bool { return w.Organisation == n.organisation }) {
				a.Attestations = append(slices.Clone(a.Attestations), word)
			}
			return nil, nil
		}
		if n.parties != nil && !slices.Contains(n.parties, n.organisation) {
			return nil, provenance.Forbiddenf("%s is no party of shipment %s; it may attest an alert that a party has raised", n.organisation, r.Shipment)
		}
		n.alerts = append(n.alerts, provenance.Alert{
			ID: r.ID, Shipment: r.Shipment, Kind: r.Kind, Score: r.Score, ModelName: r.ModelName, ModelVersion: r.ModelVersion, InputRoot: r.InputRoot,
			Interval: provenance.Interval{From: r.From, To: r.To}, AsOfBlock: r.AsOfBlock, Devices: r.Devices, Readings: r.Readings, Message: r.Message,
			Drivers: r.Drivers, Raised: provenance.Time(n.height), Organisation: n.organisation, Attestations: []provenance.AlertAttestation{word},
		})
		return nil, nil
	})
	return err
}
