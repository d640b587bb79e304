package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// pagePolicy lets the page load what this node serves, and nothing else; neither scripts nor styles stand in its markup. The verifier of
// receipts is WebAssembly, which 'wasm-unsafe-eval' allows; eval of JavaScript it does not.
const pagePolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes of what a build holds; the machine's own table may say otherwise or nothing.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".wasm": "application/wasm", ".png": "image/png", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8", ".map": "application/json",
}

const unbuilt = `The page is not part of this program: it was compiled before the page was built.

Build both:   make build
or by hand:   (cd web && npm ci && npm run build) && go build -o bin/trailmark ./deploy/cmd/trailmark

The API is there all the same: /api/v1/status, with a token.
`

// newPage serves the embedded page. Its paths are made up by the page itself, so any of them is index.html.
func newPage(files fs.FS, built bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "The page can only be read.")
			return
		}
		if !built {
			plain(w, http.StatusOK, unbuilt)
			return
		}
		serveFile(w, r, files)
	})
}

func serveFile(w http.ResponseWriter, r *http.Request, files fs.FS) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	content, err := fs.ReadFile(files, name)
	if err != nil || strings.HasPrefix(path.Base(name), ".") {
		if strings.HasPrefix(name, "assets/") || !strings.Contains(name, "/") && contentTypes[path.Ext(name)] != "" {
			plain(w, http.StatusNotFound, "There is no such file.") // a script must not be answered with a page
			return
		}
		name = "index.html"
		if content, err = fs.ReadFile(files, name); err != nil {
			plain(w, http.StatusNotFound, "There is no such file.")
			return
		}
	}
	h := w.Header()
	kind := contentTypes[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	if strings.HasPrefix(name, "assets/") { // named by its content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
		sum := sha256.Sum256(content)
		h.Set("ETag", `W/"`+hex.EncodeToString(sum[:12])+`"`)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
