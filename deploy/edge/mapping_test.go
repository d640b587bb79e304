package edge

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/+", "a/b", true},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"#", "x/y", true},
		{"+/b", "a/b", true},
		{"a/+", "a", false},
		{"a/+", "a/b/c", false},
		{"a", "a/b", false},
		{"a/b", "a", false},
		{"a/+/c", "a/b/d", false},
		{"+", "", true},
		{"a/+", "a/", true},
	} {
		require.Equal(t, c.want, matches(c.filter, c.topic), "%s %s", c.filter, c.topic)
	}
}

func TestWidest(t *testing.T) {
	require.Equal(t, []string{"a/#", "b/+", "c/+/d"}, widest([]string{"c/+/d", "a/b", "a/#", "a/+/#", "b/+", "b/c", "a/b", "c/e/d"}))
	require.Equal(t, []string{"a/#"}, widest([]string{"a/+", "a/#"}))
	require.Equal(t, []string{"#"}, widest([]string{"a/#", "#"}))
}

func TestMappingErrorsNameTheRule(t *testing.T) {
	const good = "version: 1\nrules:\n- {device: a, unit: Cel, senml: {topic: x, name: n}}\n"
	m, err := parseMapping([]byte(good))
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, m.filters)
	for text, want := range map[string]string{
		"":                      "EOF",
		"version: 2\nrules: []": "version 2 is not known",
		"version: 1":            "0 rules",
		"version: 1\nrules:\n- {device: a, unit: Cel, sensor: x}":                                                  "field sensor not found",
		good + "- {device: a b, unit: Cel, senml: {topic: x, name: m}}":                                            `rule 2 (device "a b")`,
		good + "- {device: b, senml: {topic: x, name: m}}":                                                         "unit is missing",
		good + "- {device: b, unit: Cel}":                                                                          "give one of senml and sparkplug",
		good + "- {device: b, unit: Cel, senml: {topic: x, name: n}}":                                              "rule 1 is for this topic and name already",
		good + "- {device: b, unit: Cel, senml: {topic: 'x#', name: n}}":                                           "stand alone in a level",
		good + "- {device: b, unit: Cel, senml: {topic: 'spBv1.0/g/#', name: n}}":                                  "carry Sparkplug",
		good + "- {device: b, unit: Cel, senml: {topic: y}}":                                                       "senml wants the name",
		good + "- {device: b, unit: Cel, from: lx, senml: {topic: y, name: n}}":                                    `no conversion from "lx"`,
		good + "- {device: b, unit: Cel, scale: '0', senml: {topic: y, name: n}}":                                  "scale: 0",
		good + "- {device: b, unit: Cel, sparkplug: {group: g, edge: e, metric: m}}":                               "from is missing",
		good + "- {device: b, unit: Cel, from: F, sparkplug: {group: '+', edge: e, metric: m}}":                    "without wildcards",
		good + "- {device: b, unit: Cel, from: F, sparkplug: {group: g, metric: m}}":                               "sparkplug wants group",
		good + strings.Repeat("- {device: b, unit: Cel, from: F, sparkplug: {group: g, edge: e, metric: m}}\n", 2): "rule 2 is for this metric already",
	} {
		_, err := parseMapping([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte("version: 1\nrules:\n- {device: a, unit: Cel, from: F, senml: {topic: a/+, name: n}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseMapping(text); err == nil {
			require.NotEmpty(t, m.devices)
			require.NotEmpty(t, m.filters)
		}
	})
}
