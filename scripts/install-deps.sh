#!/usr/bin/env bash
# Usage: scripts/install-deps.sh [build|test]
# Brings what building (or, by default, testing) needs beside Rust. As root on a Debian it installs what is missing and
# says so; otherwise it says what is missing and what is left out without it. Fails only if nothing could be built.
set -euo pipefail

# For what | command or file | Debian packages | what is left out without it
needs='build|cc|gcc libc6-dev|nothing can be built
build|/etc/ssl/certs/ca-certificates.crt|ca-certificates|downloading the libraries meshline uses may fail
test|openssl|openssl|tests that join a mesh with openssl s_client are skipped
test|ncat|ncat|tests that join a mesh with ncat are skipped
test|curl|curl|tests that call the HTTP interfaces with curl are skipped
test|jq|jq|tests that read --json with jq are skipped
test|ip|iproute2|lab tests (hosts made of network namespaces) are skipped
test|unshare|util-linux|lab tests (hosts made of network namespaces) are skipped
test|nft|nftables|lab tests behind NATs are skipped
test|conntrack|conntrack|lab tests behind NATs are skipped
test|faketime|faketime|tests with wrong clocks are skipped
test|python3|python3|the second implementation of the ledger is not compared with the first
test|tmux|tmux|tests of the console on a terminal are skipped
test|chromium|chromium|browser tests are skipped
test|chromedriver|chromium-driver|browser tests are skipped
test|ssh|openssh-client|tests that carry ssh through a tunnel are skipped
test|sshd|openssh-server|tests that carry ssh through a tunnel are skipped
test|rsync|rsync|tests that carry rsync through a tunnel are skipped
test|miniupnpd|miniupnpd-nftables|tests that have a real router forward ports are skipped
test|redis-server|redis-server redis-tools|tests that carry redis through a tunnel, or share a list through it, are skipped
test|psql|postgresql postgresql-client|tests that carry psql through a tunnel are skipped
test|/usr/lib/python3/dist-packages/websockets|python3-websockets|tests that carry a WebSocket through a tunnel are skipped
test|avahi-daemon|avahi-daemon|tests that meet avahi on the local segment are skipped
test|avahi-browse|avahi-utils|tests that meet avahi on the local segment are skipped
test|dbus-daemon|dbus-daemon|tests that meet avahi on the local segment are skipped
test|dnsmasq|dnsmasq-base|tests that carry DNS through a tunnel are skipped
test|dig|bind9-dnsutils|tests that carry DNS through a tunnel are skipped
test|iperf3|iperf3|tests that carry iperf3 through a tunnel are skipped
test|lighttpd|lighttpd|tests that carry HTTP through a tunnel are skipped
test|wrk|wrk|tests that carry 500 connections through a tunnel are skipped'

purpose=${1:-test}
PATH=$PATH:/usr/sbin:/sbin

present() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing() {
  local for_what thing packages lost
  while IFS='|' read -r for_what thing packages lost; do
    if [ "$for_what" = build ] || [ "$purpose" = test ]; then
      present "$thing" || printf '%s|%s|%s\n' "$thing" "$packages" "$lost"
    fi
  done <<<"$needs"
}

install() {
  echo "install-deps: installing with apt-get: $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
}

read -r -a packages < <(missing | cut -d '|' -f 2 | sort -u | tr '\n' ' '; echo)
if [ "${#packages[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ] && present apt-get; then
  install "${packages[@]}" || echo "install-deps: apt-get failed; going on with what is there"
fi

missing | while IFS='|' read -r thing packages lost; do
  echo "install-deps: no $thing: $lost (Debian: apt-get install $packages)"
done

if ! present cc; then
  echo "install-deps: a C compiler is needed" >&2
  exit 1
fi
if ! present cargo; then
  echo "install-deps: cargo is not on the PATH; get Rust from https://rustup.rs (or run: . ~/.cargo/env) and start again" >&2
  exit 1
fi
