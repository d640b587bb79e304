package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestValidationNamesTestsThatExist: an auditor who looks for the test of a row must find it.
func TestValidationNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../VALIDATION.md")
	require.NoError(t, err)
	defined := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
			return errorsOr(err, entry)
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, found := range function.FindAllSubmatch(source, -1) {
			defined[string(found[1])] = true
		}
		return err
	}))
	names := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(text), -1)
	require.Greater(t, len(names), 50)
	for _, name := range names {
		require.True(t, defined[name], "deploy/VALIDATION.md names %s, which is nowhere", name)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "| ") {
			cells := strings.Split(line, "|")
			require.NotEmpty(t, strings.TrimSpace(cells[len(cells)-2]), "a row without evidence must say **open**: %s", line)
		}
	}
}

// errorsOr skips a folder, or passes an error on.
func errorsOr(err error, entry fs.DirEntry) error {
	if err == nil && entry.IsDir() {
		return fs.SkipDir
	}
	return err
}
