package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/edge/decimal"
	"github.com/trailmark/trailmark/deploy/edge/senml"
	"github.com/trailmark/trailmark/deploy/edge/sparkplug"
)

// mapping says which measurement is which device's, and in which unit.
type mapping struct {
	senml     map[string][]*rule // by SenML name
	sparkplug map[source]*rule
	filters   []string // topics to subscribe to
	devices   []string
}

// rule is one line of a mapping file.
type rule struct {
	Device    string     `yaml:"device"`
	SenML     *senmlRule `yaml:"senml"`
	Sparkplug *source    `yaml:"sparkplug"`
	From      string     `yaml:"from"`   // unit in which the sensor measures; needed for Sparkplug and where SenML does not say
	Unit      string     `yaml:"unit"`   // unit in which the device is enrolled
	Scale     string     `yaml:"scale"`  // in place of a known conversion: value·scale + offset
	Offset    string     `yaml:"offset"` // both decimals or fractions

	line       int
	conversion decimal.Conversion
}

type senmlRule struct {
	Topic string `yaml:"topic"` // MQTT filter
	Name  string `yaml:"name"`  // resolved: base name and name
}

// source names a Sparkplug metric.
type source struct {
	Group  string `yaml:"group"`
	Edge   string `yaml:"edge"`
	Device string `yaml:"device"` // empty for a metric of the edge node itself
	Metric string `yaml:"metric"`
}

const (
	maxMapping = 8 << 20
	maxRules   = 20_000
)

// loadMapping reads a mapping file (YAML, of which JSON is a part). An error names the rule.
func loadMapping(path string) (*mapping, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxMapping+1))
	if err != nil {
		return nil, fmt.Errorf("reading mapping: %w", err)
	}
	if len(text) > maxMapping {
		return nil, fmt.Errorf("mapping %s is larger than %d bytes", path, maxMapping)
	}
	m, err := parseMapping(text)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	return m, nil
}

func parseMapping(text []byte) (*mapping, error) {
	var file struct {
		Version int    `yaml:"version"`
		Rules   []rule `yaml:"rules"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version %d is not known; 1 is", file.Version)
	}
	if len(file.Rules) == 0 || len(file.Rules) > maxRules {
		return nil, fmt.Errorf("%d rules, want 1 to %d", len(file.Rules), maxRules)
	}
	m := &mapping{senml: map[string][]*rule{}, sparkplug: map[source]*rule{}}
	for i := range file.Rules {
		r := &file.Rules[i]
		r.line = i + 1
		if err := m.add(r); err != nil {
			return nil, fmt.Errorf("rule %d (device %q): %w", r.line, r.Device, err)
		}
	}
	m.filters = widest(m.filters)
	slices.Sort(m.devices)
	return m, nil
}

func (m *mapping) add(r *rule) error {
	if err := provenance.CheckIdentifier("device", r.Device); err != nil {
		return err
	}
	if r.Unit == "" {
		return errors.New("unit is missing: the one the device is enrolled with")
	}
	if (r.SenML == nil) == (r.Sparkplug == nil) {
		return errors.New("give one of senml and sparkplug")
	}
	var err error
	switch {
	case r.Scale != "" || r.Offset != "":
		r.conversion, err = decimal.Linear(r.Scale, r.Offset)
	case r.From != "":
		r.conversion, err = decimal.Between(r.From, r.Unit)
	case r.Sparkplug != nil:
		err = errors.New("from is missing: Sparkplug does not say the unit of a metric")
	}
	if err != nil {
		return err
	}
	m.devices = append(m.devices, r.Device)
	if r.SenML != nil {
		return m.addSenML(r)
	}
	s := *r.Sparkplug
	if s.Group == "" || s.Edge == "" || s.Metric == "" || strings.ContainsAny(s.Group+s.Edge+s.Device, "+#/") {
		return errors.New("sparkplug wants group, edge, metric, and device unless the metric is the edge node's own, without wildcards")
	}
	if other := m.sparkplug[s]; other != nil {
		return fmt.Errorf("rule %d is for this metric already", other.line)
	}
	m.sparkplug[s] = r
	m.filters = append(m.filters, fmt.Sprintf("%s/%s/+/%s/#", sparkplug.Namespace, s.Group, s.Edge))
	return nil
}

func (m *mapping) addSenML(r *rule) error {
	if err := checkFilter(r.SenML.Topic); err != nil {
		return err
	}
	if r.SenML.Name == "" {
		return errors.New("senml wants the name, base name included")
	}
	if strings.HasPrefix(r.SenML.Topic, sparkplug.Namespace+"/") {
		return fmt.Errorf("topics below %s carry Sparkplug, not SenML", sparkplug.Namespace)
	}
	for _, other := range m.senml[r.SenML.Name] {
		if other.SenML.Topic == r.SenML.Topic {
			return fmt.Errorf("rule %d is for this topic and name already", other.line)
		}
	}
	m.senml[r.SenML.Name] = append(m.senml[r.SenML.Name], r)
	m.filters = append(m.filters, r.SenML.Topic)
	return nil
}

func checkFilter(filter string) error {
	if filter == "" || len(filter) > 1024 {
		return errors.New("the topic must have 1 to 1024 bytes")
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if level == "#" && i == len(levels)-1 || level == "+" {
			continue
		}
		if strings.ContainsAny(level, "+#\x00") {
			return fmt.Errorf("topic %q: + and # stand alone in a level, # in the last", filter)
		}
	}
	return nil
}

// matches tells whether a topic falls under a filter (MQTT 3.1.1, 4.7), or a filter altogether under another.
func matches(filter, topic string) bool {
	for {
		want, restOfFilter, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, restOfTopic, moreTopic := strings.Cut(topic, "/")
		if want != have && (want != "+" || have == "#") {
			return false
		}
		if !moreFilter || !moreTopic {
			return moreFilter == moreTopic || moreFilter && restOfFilter == "#"
		}
		filter, topic = restOfFilter, restOfTopic
	}
}

// widest drops the filters that another one covers: a broker may deliver a message once for each filter that it matches.
func widest(filters []string) []string {
	slices.Sort(filters)
	filters = slices.Compact(filters)
	return slices.DeleteFunc(slices.Clone(filters), func(f string) bool {
		return slices.ContainsFunc(filters, func(other string) bool {
			return other != f && matches(other, f)
		})
	})
}

// find gives the rule for a measurement on a topic, the first of the file if several match; nil for none.
func (m *mapping) find(topic, name string) *rule {
	for _, r := range m.senml[name] {
		if matches(r.SenML.Topic, topic) {
			return r
		}
	}
	return nil
}

// convert gives a SenML measurement in the device's unit.
func (r *rule) convert(m *senml.Measurement) (provenance.Micro, error) {
	conversion := r.conversion
	if m.Unit != "" {
		switch {
		case r.From != "" && decimal.Canonical(m.Unit) != decimal.Canonical(r.From):
			return 0, fmt.Errorf("measured in %q, but rule %d expects %q", m.Unit, r.line, r.From)
		case r.From == "" && r.Scale == "" && r.Offset == "":
			var err error
			if conversion, err = decimal.Between(m.Unit, r.Unit); err != nil {
				return 0, err
			}
		}
	} else if r.From == "" && r.Scale == "" && r.Offset == "" {
		return 0, fmt.Errorf("the pack gives no unit, and rule %d does not either (from)", r.line)
	}
	return conversion.Apply(m.Value).Micro()
}
