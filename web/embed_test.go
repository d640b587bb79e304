package web_test

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/web"
)

var reference = regexp.MustCompile(`(?:src|href)="([^"]+)"`)

// Every file that index.html names is embedded, and everything but the page itself has a content hash or is the icon.
func TestPageNamesOnlyEmbeddedFiles(t *testing.T) {
	if !web.Built() {
		t.Skip("the dashboard is not built: run npm ci && npm run build in web/")
	}
	page, err := fs.ReadFile(web.Files(), "index.html")
	require.NoError(t, err)
	named := reference.FindAllSubmatch(page, -1)
	require.NotEmpty(t, named)
	for _, match := range named {
		name := string(match[1])
		require.True(t, strings.HasPrefix(name, "/"), "%s must be absolute: the page is served for deep paths too", name)
		_, err := fs.Stat(web.Files(), path.Clean(strings.TrimPrefix(name, "/")))
		require.NoError(t, err, name)
	}
}

// A strict content security policy forbids inline scripts.
func TestPageHasNoInlineScript(t *testing.T) {
	if !web.Built() {
		t.Skip("the dashboard is not built: run npm ci && npm run build in web/")
	}
	page, err := fs.ReadFile(web.Files(), "index.html")
	require.NoError(t, err)
	require.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, string(page))
	require.NotContains(t, string(page), "<style")
}

func TestFilesAreThereWithoutABuild(t *testing.T) {
	_, err := fs.Stat(web.Files(), ".gitkeep")
	require.NoError(t, err)
}
