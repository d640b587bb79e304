// Package web holds the built dashboard, for the gateway to serve. It promises the files as Vite wrote them (index.html
// names everything else, with a content hash in each name) and imports the standard library only. Build it with
// `npm ci && npm run build` in this folder; without that a Go build still works and Built says false.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built dashboard, with index.html at its root if Built.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is a valid path, so this cannot be
	}
	return files
}

// Built tells whether the dashboard was built before this program was.
func Built() bool {
	_, err := fs.Stat(Files(), "index.html")
	return err == nil
}
