#!/usr/bin/env bash
# Every test there is, in the order in which it is cheapest to fail. What it needs it installs. Needs Go, Node and gcc.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
step() { printf '\n\033[1m== %s\033[0m (%d s)\n' "$*" $((SECONDS - began)); }

if [ "${SKIP_BROWSER:-}" = 1 ]; then
	echo "SKIP_BROWSER=1: the browser test is left out"
else
	CHROMIUM=$(deploy/setup.sh browser)
	export CHROMIUM
fi

step "Vet"
go vet ./... && go vet -tags e2e ./deploy/...

step "Unit and contract tests"
go test -shuffle=on ./...

step "Race detector where goroutines meet"
go test -race -short ./ingest/... ./gateway/... ./chaincode/contract/... ./analytics/service/... ./deploy/supervise/...

step "Fuzz targets, briefly"
FUZZTIME=${FUZZTIME:-3s} deploy/fuzz.sh

step "The page: types, style, unit tests, build"
make --no-print-directory web
(cd web && npm run --silent check && npm run --silent lint && npm run --silent test)

step "Build"
make --no-print-directory build

step "End to end on a real Fabric network"
export TRAILMARK_PROGRAM=$PWD/bin/trailmark
go test -tags e2e -p 1 -count=1 -timeout 15m ./deploy/fabric ./deploy/e2e ./deploy/bench ./deploy/faults

step "Faults, briefly: kill, cut, fill and flood, then audit"
deploy/setup.sh namespaces
bin/trailmark faults --short --seed "${SEED:-$RANDOM}" --log-level error

printf '\nAll tests passed in %d s.\n' $((SECONDS - began))
