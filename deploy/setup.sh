#!/usr/bin/env bash
# Makes sure of what a step needs, and installs it where that is possible. Usage: deploy/setup.sh node|browser|namespaces
set -euo pipefail

say() { echo "$@" >&2; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

case "${1:-}" in
node)
	command -v node >/dev/null && command -v npm >/dev/null || { say "Node.js 20 or newer and npm are needed to build the page. On Debian: apt-get install nodejs npm"; exit 1; }
	;;
browser)
	for b in chromium chromium-browser google-chrome; do command -v "$b" >/dev/null && { command -v "$b"; exit 0; }; done
	say "· installing Chromium for the browser test (SKIP_BROWSER=1 leaves that test out)"
	if command -v apt-get >/dev/null && as_root apt-get update -qq >&2 && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2 && command -v chromium; then
		exit 0
	fi
	say "No Chromium, and it could not be installed here. Install it (Debian: apt-get install chromium), or run with SKIP_BROWSER=1 to leave the browser test out."
	exit 1
	;;
namespaces)
	for tool in ip iptables mount; do
		command -v "$tool" >/dev/null || { command -v apt-get >/dev/null && as_root apt-get update -qq >&2 && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iproute2 iptables mount >&2; break; }
	done
	command -v ip >/dev/null && command -v iptables >/dev/null || say "Without ip and iptables no peer can be cut off: that fault is played by stopping the peer. Install iproute2 and iptables for the real one."
	;;
*)
	say "usage: deploy/setup.sh node|browser|namespaces"
	exit 2
	;;
esac
