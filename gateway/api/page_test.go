package api_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/web"
)

var reference = regexp.MustCompile(`(?:src|href)="(/[^"]+)"`)

func TestServesThePageAndAllItNames(t *testing.T) {
	if !web.Built() {
		t.Skip("the page is not built: run npm ci && npm run build in web/")
	}
	n := newNode(t, nil)
	for _, path := range []string{"/", "/shipments/milk-1", "/shipments/a.json", "/index.html", "/../etc/passwd"} {
		got := n.ask("GET", path, "", "")
		if path == "/../etc/passwd" && got.Code != http.StatusOK { // the mux cleans it
			continue
		}
		require.Equal(t, http.StatusOK, got.Code, path)
		require.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"))
		require.Equal(t, "no-cache", got.Header().Get("Cache-Control"))
		require.Contains(t, got.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.Contains(t, got.Header().Get("Content-Security-Policy"), "script-src 'self' 'wasm-unsafe-eval';")
		require.NotContains(t, got.Header().Get("Content-Security-Policy"), "'unsafe-")
		require.Contains(t, got.Body.String(), `<div id="app">`)
	}
	index := n.ask("GET", "/", "", "").Body.String()
	named := reference.FindAllStringSubmatch(index, -1)
	require.NotEmpty(t, named)
	for _, match := range named {
		got := n.ask("GET", match[1], "", "")
		require.Equal(t, http.StatusOK, got.Code, match[1])
		require.NotContains(t, got.Header().Get("Content-Type"), "html", match[1])
		require.Equal(t, "nosniff", got.Header().Get("X-Content-Type-Options"))
		if filepath.Dir(match[1]) == "/assets" {
			require.Contains(t, got.Header().Get("Cache-Control"), "immutable")
		}
	}
	for _, path := range []string{"/assets/none.js", "/none.js", "/.gitkeep"} {
		got := n.ask("GET", path, "", "")
		if path != "/.gitkeep" {
			require.Equal(t, http.StatusNotFound, got.Code, path)
		}
		require.NotEqual(t, "application/octet-stream", got.Header().Get("Content-Type"))
	}
	require.Equal(t, http.StatusMethodNotAllowed, n.ask("POST", "/", "", "").Code)
}

func TestCompressesText(t *testing.T) {
	n := full(t)
	request := httptest.NewRequest(http.MethodGet, "/api/v1/shipments/milk-1", nil)
	request.Header.Set("Authorization", "Bearer "+officer)
	request.Header.Set("Accept-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	n.handler.ServeHTTP(recorder, request)
	require.Equal(t, "gzip", recorder.Header().Get("Content-Encoding"))
}

// The verifier for browsers is served as what it is, so that a browser compiles it while it loads, and compressed.
func TestServesTheVerifier(t *testing.T) {
	if !web.Built() {
		t.Skip("the page is not built: run npm ci && npm run build in web/")
	}
	found, err := fs.Glob(web.Files(), "assets/verifier-*.wasm")
	require.NoError(t, err)
	require.Len(t, found, 1)
	n := newNode(t, nil)
	request := httptest.NewRequest(http.MethodGet, "/"+found[0], nil)
	request.Header.Set("Accept-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	n.handler.ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code)
	require.Equal(t, "application/wasm", recorder.Header().Get("Content-Type"))
	require.Equal(t, "gzip", recorder.Header().Get("Content-Encoding"))
	require.Contains(t, recorder.Header().Get("Cache-Control"), "immutable")
	require.Less(t, recorder.Body.Len(), 3_000_000)
}

// What go generate writes is what is committed.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	require.NoError(t, err)
	source := filepath.Join(strings.TrimSpace(string(cache)), "github.com/oapi-codegen/oapi-codegen/v2@v2.8.2")
	if _, err := os.Stat(source); err != nil {
		t.Skip("the generator is not in the module cache: run go generate ./gateway/api once")
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "generate"), "./cmd/oapi-codegen")
	build.Dir, build.Env = source, append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Skipf("the generator cannot be built from the module cache alone: %s", output)
	}
	for _, name := range []string{"openapi.yaml", "oapi-codegen.yaml"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	generate := exec.Command(filepath.Join(dir, "generate"), "-config", "oapi-codegen.yaml", "openapi.yaml")
	generate.Dir = dir
	output, err := generate.CombinedOutput()
	require.NoError(t, err, string(output))
	committed, err := os.ReadFile("api.gen.go")
	require.NoError(t, err)
	written, err := os.ReadFile(filepath.Join(dir, "api.gen.go"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(committed, written), "openapi.yaml has changed: run go generate ./gateway/api")
}
