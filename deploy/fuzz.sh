#!/usr/bin/env bash
# Runs every fuzz target in the repository for FUZZTIME each (default 60s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-60s}
grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' chaincode gateway ingest analytics deploy | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | sed 's/^func //' | while read -r target; do
		echo "· $target ($(dirname "$file")), $time"
		go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" >/tmp/trailmark-fuzz.$$ 2>&1 || { cat /tmp/trailmark-fuzz.$$; exit 1; }
	done
done
rm -f /tmp/trailmark-fuzz.$$
