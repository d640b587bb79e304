package sparkplug

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// A golden case is a folder: messages.txt with a topic and the payload in hexadecimal (comments after #) for each message, and
// expected.txt with what the messages come to, line by line.
type message struct {
	topic string
	body  []byte
}

func readCase(t testing.TB, dir string) []message {
	text, err := os.ReadFile(filepath.Join(dir, "messages.txt"))
	require.NoError(t, err)
	var messages []message
	digits := ""
	flush := func() {
		if len(messages) > 0 {
			body, err := hex.DecodeString(digits)
			require.NoError(t, err, dir)
			messages[len(messages)-1].body = body
		}
		digits = ""
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "topic ") {
			flush()
			messages = append(messages, message{topic: strings.TrimSpace(strings.TrimPrefix(line, "topic "))})
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		digits += strings.Join(strings.Fields(line), "")
	}
	flush()
	return messages
}

// play feeds messages and says what became of each.
func play(nodes *Nodes, messages []message) []string {
	var lines []string
	for i, m := range messages {
		topic, err := ParseTopic(m.topic)
		var result Result
		if err == nil {
			result, err = nodes.Take(topic, m.body)
		}
		if err != nil {
			lines = append(lines, fmt.Sprintf("%d error %v", i, err))
		}
		for _, p := range result.Problems {
			lines = append(lines, fmt.Sprintf("%d problem %v", i, p))
		}
		for _, r := range result.Readings {
			lines = append(lines, fmt.Sprintf("%d reading %s %d %s%s", i, strings.Join(slices.DeleteFunc([]string{r.Group, r.Edge, r.Device, r.Metric}, func(s string) bool { return s == "" }), "|"), r.Time, r.Value, r.Other))
		}
		if result.Rebirth {
			lines = append(lines, fmt.Sprintf("%d rebirth", i))
		}
	}
	return lines
}

func TestGoldenCases(t *testing.T) {
	dirs, err := filepath.Glob("testdata/cases/*")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(dirs), 10)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(dir, "expected.txt"))
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(string(want)), strings.Join(play(NewNodes(nil), readCase(t, dir)), "\n"))
		})
	}
}

func TestNodesAreRestored(t *testing.T) {
	messages := readCase(t, "testdata/cases/aliases")
	first := NewNodes(nil)
	play(first, messages[:2])
	stored, err := json.Marshal(first.Node("plant/gw1"))
	require.NoError(t, err)
	node := new(Node)
	require.NoError(t, json.Unmarshal(stored, node))
	require.Equal(t, []string{"0 reading plant|gw1|truck7|Temperature/Front 1700000060000 39.5"}, play(NewNodes(map[string]*Node{"plant/gw1": node}), messages[2:3]))
	lines := play(NewNodes(nil), messages[2:3])
	require.Len(t, lines, 2, "without the births the aliases mean nothing")
	require.Equal(t, "0 rebirth", lines[1])
}

func TestTopics(t *testing.T) {
	for _, bad := range []string{
		"", "spBv1.0", "spAv1.0/g/NDATA/e", "spBv1.0/g/NDATA", "spBv1.0/g/NDATA/e/d", "spBv1.0/g/DDATA/e", "spBv1.0/g/XDATA/e", "spBv1.0//NDATA/e",
		"spBv1.0/g/NDATA/", "spBv1.0/g/DDATA/e/", "spBv1.0/g/DDATA/e/d/x",
	} {
		_, err := ParseTopic(bad)
		require.Error(t, err, bad)
		require.False(t, errors.Is(err, ErrOther), bad)
	}
	for _, other := range []string{"spBv1.0/STATE/host", "spBv1.0/g/NCMD/e", "spBv1.0/g/DCMD/e/d"} {
		_, err := ParseTopic(other)
		require.ErrorIs(t, err, ErrOther, other)
	}
}

func TestRebirthCommand(t *testing.T) {
	topic, err := ParseTopic("spBv1.0/plant/NDATA/gw1")
	require.NoError(t, err)
	require.Equal(t, "spBv1.0/plant/NCMD/gw1", topic.RebirthTopic())
	p, err := parsePayload(RebirthCommand(1_700_000_000_000))
	require.NoError(t, err)
	require.Equal(t, "Node Control/Rebirth", p.metrics[0].name)
	require.Equal(t, Type(11), p.metrics[0].datatype)
	require.Equal(t, uint64(1), p.metrics[0].bits)
	require.EqualValues(t, metricBoolean, p.metrics[0].kind)
}

func TestBounds(t *testing.T) {
	_, err := parsePayload(make([]byte, MaxBytes+1))
	require.ErrorContains(t, err, "at most")
	var many []byte
	for range MaxMetrics + 1 {
		many = protowire.AppendBytes(protowire.AppendTag(many, payloadMetrics, protowire.BytesType), nil)
	}
	_, err = parsePayload(many)
	require.ErrorContains(t, err, "more than 4096 metrics")
}

func FuzzTake(f *testing.F) {
	dirs, err := filepath.Glob("testdata/cases/*")
	require.NoError(f, err)
	for _, dir := range dirs {
		for _, m := range readCase(f, dir) {
			f.Add(m.topic, m.body)
		}
	}
	births := readCase(f, "testdata/cases/aliases")[:2]
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		topic, err := ParseTopic(name)
		if err != nil {
			return
		}
		one, other := NewNodes(nil), NewNodes(nil)
		play(one, births)
		play(other, births)
		m := []message{{name, body}, {name, body}}
		require.Equal(t, play(one, m), play(other, m))
		if result, err := one.Take(topic, body); err == nil {
			for _, r := range result.Readings {
				require.True(t, r.Value.IsSet() != (r.Other != ""))
				if r.Value.IsSet() {
					_, _ = r.Value.Micro()
				}
			}
		}
	})
}
