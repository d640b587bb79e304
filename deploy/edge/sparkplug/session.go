package sparkplug

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trailmark/trailmark/deploy/edge/decimal"
)

// Reading is a metric's value, with its name found.
type Reading struct {
	Group, Edge, Device string // Device is empty for a metric of the edge node itself
	Metric              string
	Value               decimal.Number // not set where Other says what the metric holds instead
	Other               string
	Time                int64 // of acquisition, milliseconds since 1970
}

// Nodes keeps what edge nodes have announced in their BIRTH certificates. It can be stored and restored, for births are not repeated
// when a listener restarts. It is for one goroutine.
type Nodes struct {
	nodes map[string]*Node
}

// Node is an edge node that has been born.
type Node struct {
	Birth    uint64            `json:"birth"`    // bdSeq of the NBIRTH
	Sequence uint64            `json:"sequence"` // of the last message, modulo 256
	Aliases  map[uint64]string `json:"aliases"`  // name, after "device\x00"
	Types    map[string]Type   `json:"types"`    // by device and name
}

// Bounds on what a broker can make us remember.
const (
	maxNodes   = 4096
	maxAliases = 1 << 16 // of a node
)

// NewNodes begins with what was stored, or with nothing.
func NewNodes(stored map[string]*Node) *Nodes {
	n := &Nodes{nodes: map[string]*Node{}}
	maps.Copy(n.nodes, stored)
	return n
}

// Node gives a node to be stored; nil if it is not known, or has died.
func (n *Nodes) Node(name string) *Node { return n.nodes[name] }

// Result is what a message came to.
type Result struct {
	Readings []Reading
	Problems []error // of single metrics: the others stand
	Changed  bool    // the node is to be stored anew
	Rebirth  bool    // the node should be asked to announce itself again
}

// Take reads a message. An error means that nothing of it can be used; where Result.Rebirth is set beside it, a BIRTH may help.
func (n *Nodes) Take(topic Topic, body []byte) (Result, error) {
	p, err := parsePayload(body)
	if err != nil {
		return Result{}, err
	}
	if topic.Kind == nodeDeath {
		return n.death(topic, p), nil
	}
	node := n.nodes[topic.Node()]
	var result Result
	switch {
	case topic.Kind == nodeBirth:
		if len(n.nodes) >= maxNodes && node == nil {
			return result, fmt.Errorf("more than %d edge nodes", maxNodes)
		}
		node = &Node{Birth: birthNumber(p), Aliases: map[uint64]string{}, Types: map[string]Type{}}
		n.nodes[topic.Node()] = node
		result.Changed = true
		if p.sequence != nil {
			node.Sequence = *p.sequence
		}
	case node == nil && (topic.Kind == deviceBirth || hasAliases(p)):
		return Result{Rebirth: true}, fmt.Errorf("edge node %s has not announced itself (no NBIRTH was seen), so its aliases are unknown", topic.Node())
	case node != nil && p.sequence != nil:
		result.Rebirth = *p.sequence != (node.Sequence+1)%256
		node.Sequence = *p.sequence
	}
	switch topic.Kind {
	case deviceDeath:
		node.forget(topic.Device)
		result.Changed = true
		return result, nil
	case nodeBirth, deviceBirth:
		if topic.Kind == deviceBirth {
			node.forget(topic.Device)
		}
		if err := node.learn(topic.Device, p); err != nil {
			return result, err
		}
		result.Changed = true
	}
	for i := range p.metrics {
		reading, problem := node.read(topic, &p.metrics[i])
		if errors.Is(problem, errUnknownAlias) {
			result.Rebirth = true
		}
		switch {
		case problem != nil:
			result.Problems = append(result.Problems, fmt.Errorf("metric %d: %w", i, problem))
		case reading != nil:
			result.Readings = append(result.Readings, *reading)
		}
	}
	return result, nil
}

// death ends a node, unless the certificate is of a life before the present one: it may come late.
func (n *Nodes) death(topic Topic, p *payload) Result {
	node := n.nodes[topic.Node()]
	if node == nil || node.Birth != birthNumber(p) {
		return Result{}
	}
	delete(n.nodes, topic.Node())
	return Result{Changed: true}
}

const birthMetric = "bdSeq"

func birthNumber(p *payload) uint64 {
	for i := range p.metrics {
		if p.metrics[i].name == birthMetric {
			return p.metrics[i].bits
		}
	}
	return 0
}

func hasAliases(p *payload) bool {
	for i := range p.metrics {
		if p.metrics[i].name == "" {
			return true
		}
	}
	return false
}

func key(device, name string) string { return device + "\x00" + name }

// learn takes names, aliases and types of a BIRTH.
func (n *Node) learn(device string, p *payload) error {
	for i := range p.metrics {
		m := &p.metrics[i]
		if m.name == "" {
			return fmt.Errorf("metric %d of a BIRTH has no name", i)
		}
		if len(n.Types) >= maxAliases || len(n.Aliases) >= maxAliases {
			return fmt.Errorf("edge node announces more than %d metrics", maxAliases)
		}
		n.Types[key(device, m.name)] = m.datatype
		if m.alias == nil {
			continue
		}
		if other, taken := n.Aliases[*m.alias]; taken && other != key(device, m.name) {
			return fmt.Errorf("alias %d stands for %q already; an edge node gives each alias once", *m.alias, strings.ReplaceAll(other, "\x00", "/"))
		}
		n.Aliases[*m.alias] = key(device, m.name)
	}
	return nil
}

// forget drops what a device announced.
func (n *Node) forget(device string) {
	if n == nil {
		return
	}
	of := func(k string) bool { owner, _, _ := strings.Cut(k, "\x00"); return owner == device }
	maps.DeleteFunc(n.Aliases, func(_ uint64, k string) bool { return of(k) })
	maps.DeleteFunc(n.Types, func(k string, _ Type) bool { return of(k) })
}

var errUnknownAlias = errors.New("its BIRTH was not seen")

// read gives nil for a metric that holds no reading: one that is null, or the session's own number.
func (n *Node) read(topic Topic, m *metric) (*Reading, error) {
	name := m.name
	if name == "" {
		if m.alias == nil {
			return nil, errors.New("neither a name nor an alias")
		}
		var known bool
		if n != nil {
			name, known = n.Aliases[*m.alias]
		}
		device, rest, _ := strings.Cut(name, "\x00")
		if !known {
			return nil, fmt.Errorf("alias %d is not known: %w", *m.alias, errUnknownAlias)
		}
		if device != topic.Device {
			return nil, fmt.Errorf("alias %d is of device %q, not of %q", *m.alias, device, topic.Device)
		}
		name = rest
	}
	if m.null || name == birthMetric {
		return nil, nil
	}
	datatype := m.datatype
	if datatype == 0 && n != nil {
		datatype = n.Types[key(topic.Device, name)]
	}
	r := &Reading{Group: topic.Group, Edge: topic.Edge, Device: topic.Device, Metric: name}
	var err error
	if m.kind == 0 {
		return nil, fmt.Errorf("%q has no value and does not say that it is null", name)
	}
	if r.Value, r.Other, err = m.number(datatype); err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	if m.time == nil {
		return nil, fmt.Errorf("%q has no time of its own; when it was published is not when it was acquired", name)
	}
	if *m.time > 1<<52 {
		return nil, fmt.Errorf("%q: %d is no time in milliseconds since 1970", name, *m.time)
	}
	r.Time = int64(*m.time)
	return r, nil
}

// RebirthTopic is where a node is asked to announce itself again.
func (t Topic) RebirthTopic() string { return Namespace + "/" + t.Group + "/NCMD/" + t.Edge }

// RebirthCommand is the body of that request.
func RebirthCommand(now int64) []byte {
	var m []byte
	m = protowire.AppendString(protowire.AppendTag(m, metricName, protowire.BytesType), "Node Control/Rebirth")
	m = protowire.AppendVarint(protowire.AppendTag(m, metricTime, protowire.VarintType), uint64(now))
	m = protowire.AppendVarint(protowire.AppendTag(m, metricDatatype, protowire.VarintType), 11)
	m = protowire.AppendVarint(protowire.AppendTag(m, metricBoolean, protowire.VarintType), 1)
	var p []byte
	p = protowire.AppendVarint(protowire.AppendTag(p, payloadTimestamp, protowire.VarintType), uint64(now))
	return protowire.AppendBytes(protowire.AppendTag(p, payloadMetrics, protowire.BytesType), m)
}
