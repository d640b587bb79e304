package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func run(args ...string) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	code = Run(args, &out, &err)
	return out.String(), err.String(), code
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, command := range [][]string{
		{"demo"},
		{"net", "up"},
		{"net", "down"},
		{"net", "status"},
		{"net", "reset"},
		{"node"},
		{"broker"},
		{"chaincode"},
		{"device", "enrol"},
		{"device", "list"},
		{"replay"},
		{"train"},
		{"trust", "export"},
		{"verify"},
		{"epcis", "validate"},
		{"epcis", "hash"},
		{"eval", "nab"},
		{"eval", "skab"},
		{"eval", "milk"},
		{"audit"},
		{"edge"},
		{"bench"},
		{"faults"},
	} {
		out, _, code := run(append(command, "--help")...)
		require.Equal(t, 0, code, command)
		require.Contains(t, out, "Usage: trailmark "+strings.Join(command, " "), command)
	}
	out, _, code := run("--help")
	require.Equal(t, 0, code)
	require.Contains(t, out, "Exit codes")
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	for _, args := range [][]string{{"nothing"}, {"verify"}, {"verify", "/no/such/file"}, {"device", "enrol"}, {"eval", "milk", "--dir", "/no/such/dir"}, {"demo", "--alert-kind", "x"}} {
		_, stderr, code := run(args...)
		require.Equal(t, 2, code, args)
		require.NotEmpty(t, stderr, args)
	}
}

func TestSettingsComeFromFlagEnvironmentAndFile(t *testing.T) {
	parse := func(args ...string) (Root, error) {
		var root Root
		parser, err := kong.New(&root, kong.Configuration(settings))
		require.NoError(t, err)
		_, err = parser.Parse(args)
		return root, err
	}
	file := filepath.Join(t.TempDir(), "trailmark.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"ingest_lanes": 5, "anchor": "7s", "listen": "127.0.0.1:1"}`), 0o600))
	base := []string{"--config", file, "node", "--org", "carrier", "--dir", "x"}
	root, err := parse(base...)
	require.NoError(t, err)
	require.EqualValues(t, 5, root.Node.Ingest.Lanes)
	require.Equal(t, "127.0.0.1:1", root.Node.Listen)
	t.Setenv("TRAILMARK_LISTEN", "127.0.0.1:2")
	root, err = parse(base...)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", root.Node.Listen, "the environment goes before the file")
	root, err = parse(append(base, "--listen", "127.0.0.1:3")...)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3", root.Node.Listen, "a flag goes before both")
}

// The golden receipts of chaincode/evidence, through the command.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	receipt, trust := filepath.Join(dir, "r.receipt"), filepath.Join(dir, "trust.json")
	unhex(t, "receipt-alert", receipt)
	unhex(t, "trust-alert", trust)
	out, _, code := run("verify", "--trust", trust, receipt)
	require.Equal(t, 0, code)
	require.Contains(t, out, "✓ VERIFIED")
	out, _, code = run("verify", receipt)
	require.Equal(t, 0, code)
	require.Contains(t, out, "no --trust was given")

	data, err := os.ReadFile(receipt)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(receipt, data, 0o600))
	out, _, code = run("verify", "--trust", trust, "--json", receipt)
	require.Equal(t, 1, code)
	require.Contains(t, out, `"verified":false`)
	require.Contains(t, out, `"broken":"`)
}

func unhex(t *testing.T, name, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "chaincode", "evidence", "testdata", "golden", name+".hex"))
	require.NoError(t, err)
	var raw []byte
	for _, word := range strings.Fields(string(text)) {
		for i := 0; i < len(word); i += 2 {
			raw = append(raw, fromHex(word[i])<<4|fromHex(word[i+1]))
		}
	}
	require.NoError(t, os.WriteFile(to, raw, 0o600))
}

func fromHex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func TestEpcis(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "chaincode", "epcis", "testdata", "valid", "*", "input.jsonld"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	_, _, code := run("epcis", "validate", files[0])
	require.Equal(t, 0, code)
	out, _, code := run("epcis", "hash", files[0])
	require.Equal(t, 0, code)
	require.True(t, strings.HasPrefix(out, "ni:///sha-256;"), out)
	bad := filepath.Join(t.TempDir(), "bad.jsonld")
	require.NoError(t, os.WriteFile(bad, []byte(`{"type":"ObjectEvent"}`), 0o600))
	out, _, code = run("epcis", "validate", bad)
	require.Equal(t, 1, code)
	require.Contains(t, out, bad)
}

func TestTrainReportsInWords(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	file := filepath.Join(t.TempDir(), "model.bin")
	out, stderr, code := run("train", "-o", file, "--epochs", "1")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, out, file)
	require.Contains(t, stderr, "sensor-stuck")
	require.NotContains(t, stderr, "%!")
	_, err := os.Stat(file)
	require.NoError(t, err)
}
