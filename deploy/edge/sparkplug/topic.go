package sparkplug

import (
	"errors"
	"fmt"
	"strings"
)

// Topic is a parsed Sparkplug topic: spBv1.0/{group}/{kind}/{edge}[/{device}].
type Topic struct {
	Group, Kind, Edge string
	Device            string // empty for the edge node itself
}

// The kinds of message that carry readings, or end them.
const (
	nodeBirth   = "NBIRTH"
	nodeData    = "NDATA"
	nodeDeath   = "NDEATH"
	deviceBirth = "DBIRTH"
	deviceData  = "DDATA"
	deviceDeath = "DDEATH"
)

// ErrOther means a message that is Sparkplug's but carries no readings: commands and state.
var ErrOther = errors.New("a message without readings")

// Namespace begins every topic.
const Namespace = "spBv1.0"

// ParseTopic reads a topic.
func ParseTopic(topic string) (Topic, error) {
	parts := strings.Split(topic, "/")
	if len(parts) < 2 || parts[0] != Namespace {
		return Topic{}, fmt.Errorf("topic %.200q: want %s/{group}/{kind}/{edge}[/{device}]", topic, Namespace)
	}
	if parts[1] == "STATE" {
		return Topic{}, ErrOther
	}
	if len(parts) < 4 || len(parts) > 5 || parts[1] == "" || parts[3] == "" || len(parts) == 5 && parts[4] == "" {
		return Topic{}, fmt.Errorf("topic %.200q: want %s/{group}/{kind}/{edge}[/{device}]", topic, Namespace)
	}
	t := Topic{Group: parts[1], Kind: parts[2], Edge: parts[3]}
	if len(parts) == 5 {
		t.Device = parts[4]
	}
	switch t.Kind {
	case nodeBirth, nodeData, nodeDeath:
		if t.Device != "" {
			return t, fmt.Errorf("topic %.200q: %s is of an edge node and names no device", topic, t.Kind)
		}
	case deviceBirth, deviceData, deviceDeath:
		if t.Device == "" {
			return t, fmt.Errorf("topic %.200q: %s names a device", topic, t.Kind)
		}
	case "NCMD", "DCMD":
		return t, ErrOther
	default:
		return t, fmt.Errorf("topic %.200q: kind %q is unknown", topic, t.Kind)
	}
	return t, nil
}

// Node names the edge node.
func (t Topic) Node() string { return t.Group + "/" + t.Edge }
