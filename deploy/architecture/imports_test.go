// Package architecture holds the tests of the house's shape: who may import whom.
package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/trailmark/trailmark/"

// allowed is the table of ../shared/design/architecture.md: a room may import itself, what stands here, and libraries. What is not
// listed may import nothing of ours. An empty string stands for the standard library only.
var allowed = map[string][]string{
	"chaincode/provenance": {},
	"chaincode/evidence":   {"chaincode/provenance"},
	"chaincode/epcis":      {"chaincode/provenance"},
	"chaincode/contract":   {"chaincode/provenance", "chaincode/evidence", "chaincode/epcis"},
	"ingest":               {"chaincode/provenance", "chaincode/evidence"},
	"analytics":            {"chaincode/provenance", "chaincode/evidence"},
	"gateway":              {"chaincode/provenance", "chaincode/evidence", "chaincode/epcis", "web"},
	"web":                  {},
	"deploy":               {"chaincode", "ingest", "analytics", "gateway", "web"},
}

type listed struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
}

// room finds the entry of the table that a package of ours belongs to.
func room(path string) string {
	path = strings.TrimPrefix(path, module)
	for name := range allowed {
		if path == name || strings.HasPrefix(path, name+"/") {
			return name
		}
	}
	return ""
}

func mayImport(from, to string) bool {
	if strings.HasPrefix(to, from) {
		return true
	}
	for _, ok := range allowed[from] {
		if to == ok || strings.HasPrefix(to, ok+"/") {
			return true
		}
	}
	return false
}

func TestNoArrowOutsideTheTable(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		from := room(p.ImportPath)
		require.NotEmpty(t, from, "%s is in no room of the architecture", p.ImportPath)
		seen[from] = true
		for _, to := range p.Imports { // tests may import anything
			if strings.HasPrefix(to, module) {
				require.True(t, mayImport(from, room(to)), "%s imports %s: the table has no such arrow", p.ImportPath, to)
			}
		}
	}
	for name := range allowed {
		require.True(t, seen[name], "room %s has no package: has it moved?", name)
	}
}

func TestProvenanceUsesTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "-deps", "./chaincode/provenance") {
		require.True(t, p.Standard || strings.HasPrefix(p.ImportPath, module+"chaincode/provenance"), "provenance depends on %s", p.ImportPath)
	}
}

func TestNothingImportsDeploy(t *testing.T) {
	for _, p := range list(t, "./...") {
		if room(p.ImportPath) == "deploy" {
			continue
		}
		for _, to := range p.Imports {
			require.False(t, strings.HasPrefix(to, module+"deploy"), "%s imports %s", p.ImportPath, to)
		}
	}
}
