#!/usr/bin/env bash
# golangci-lint over the Go code, svelte-check and biome over the page. The linter is built from source once, into the user's cache.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.15.0
bin=${XDG_CACHE_HOME:-$HOME/.cache}/trailmark/golangci-lint-$version/golangci-lint
if [ ! -x "$bin" ]; then
	echo "· building golangci-lint $version (once)"
	GOBIN=$(dirname "$bin") CGO_ENABLED=0 go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi
"$bin" run --build-tags e2e ./...
(cd web && npm run --silent check && npm run --silent lint)
