#!/usr/bin/env bash
# Usage: scripts/ring.sh up N [FLAGS] | down | status | kill I | start I | logs I
#
# A mesh of N nodes and a signal server on this machine, for trying things out; a model for test rings of your own.
#   up N [FLAGS]  builds what is missing, writes a configuration, starts everything, waits until all are linked and lets
#                 one node chat. FLAGS go to `config-tool ring`: --topology ring, --base-port 16001, --no-signal, …
#   down          ends what `up` and `start` started: with a goodbye first, by force after five seconds
#   status        one line for each process
#   kill I        kill -9 of node I (a number, or `signal` for the signal server)
#   start I       starts it again
#   logs I        follows its log
# Environment: MESHLINE_RING_DIR  folder of configuration, state, pids and logs (default: ring, beside scripts)
#              MESHLINE_PROFILE   release (default) or debug
#              MESHLINE_BIN       folder with the programs; nothing is built then
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
profile=${MESHLINE_PROFILE:-release}
bin=${MESHLINE_BIN:-${CARGO_TARGET_DIR:-$root/target}/$profile}
dir=$(realpath -m "${MESHLINE_RING_DIR:-$root/ring}")
# `up` leaves this file here: only a folder with it is ever removed.
marker=$dir/.made-by-ring.sh

say() { echo "ring: $*"; }

fail() {
  echo "ring: $*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

node() { "$bin/node" "$@"; }

# Tries a command until it succeeds, for so many seconds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

build() {
  [ -z "${MESHLINE_BIN:-}" ] || return 0
  "$root/scripts/install-deps.sh" build
  [ -x "$bin/node" ] || say "building the five programs ($profile): minutes the first time"
  local flags=(-p signal-server -p node -p view -p proxy -p config-tool)
  [ "$profile" = debug ] || flags+=(--profile "$profile")
  (cd "$root" && cargo build "${flags[@]}")
}

# The processes of this ring by name: the signal server, if there is one, and the nodes in order.
names() {
  [ ! -e "$dir/signal-server.json" ] || echo signal-server
  local i
  for ((i = 1; i <= $(nodes); i++)); do echo "node-$i"; done
}

nodes() { find "$dir" -maxdepth 1 -name 'p[0-9]*.sh' 2>/dev/null | wc -l; }

# `3` and `signal` as they are said, to the name of a process.
name_of() {
  local name=node-${1:-}
  [ "${1:-}" != signal ] || name=signal-server
  names | grep -x "$name" >/dev/null || fail "there is no ${1:-(which?)} here; expected signal or a number from 1 to $(nodes)"
  echo "$name"
}

# Prints the pid if the process runs. A recorded pid may be somebody else's by now: the command line tells.
pid_of() {
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
  grep -qszxF -- "$dir/$1.json" "/proc/$pid/cmdline" && echo "$pid"
}

running() { pid_of "$1" >/dev/null; }
gone() { ! running "$1"; }
any_running() { while read -r name; do ! running "$name" || return 0; done < <(names) && false; }

launch() {
  local command=("$bin/node" run)
  [ "$1" != signal-server ] || command=("$bin/signal-server")
  setsid "${command[@]}" --config "$dir/$1.json" </dev/null >>"$dir/$1.log" 2>&1 &
  echo $! >"$dir/$1.pid"
}

# A process that could not start, for instance because its port is taken, has said why in its log.
ready() {
  local name
  while read -r name; do
    kill -0 "$(cat "$dir/$name.pid")" 2>/dev/null || fail "$name has ended: $(tail -n 1 "$dir/$name.log")"
  done < <(names)
  node wait --for ready --timeout 1s --config "$dir/node-$1.json" >/dev/null 2>&1
}

is_ring() { grep -q '"topology": "ring"' "$dir/node-1.json"; }

# Waits until a node is linked to all others or, on a ring, sees it closed.
linked() {
  local i=$1 count=$2 goal=peers=$(($2 - 1))
  ! is_ring || goal=ring=$count
  node wait --for "$goal" --timeout 30s --config "$dir/node-$i.json" >/dev/null
}

up() {
  local count=${1:-} i
  [[ $count =~ ^[1-9][0-9]{0,2}$ ]] || usage
  shift
  ! any_running || fail "already up in $dir (scripts/ring.sh status); end it with: scripts/ring.sh down"
  build
  [ ! -e "$marker" ] || rm -rf "$dir"
  "$bin/config-tool" ring --nodes "$count" --dir "$dir" --no-proxy "$@" >/dev/null
  touch "$marker"
  while read -r name; do launch "$name"; done < <(names)
  say "started $(names | wc -l) processes; configuration, state and logs are in $dir"
  for ((i = 1; i <= count; i++)); do
    within 30 ready "$i" || fail "node $i is not ready; see $dir/node-$i.log"
  done
  if [ "$count" -gt 1 ]; then
    for ((i = 1; i <= count; i++)); do
      linked "$i" "$count" || fail "node $i is not linked to all others; see scripts/ring.sh status"
    done
  fi
  say "$count nodes are ready and linked"
  status
  say "node 1 says hello: $(node chat send "hello from node 1" --config "$dir/node-1.json")"
  say "the history at node $count:"
  node chat history --config "$dir/node-$count.json"
  say "next, try: scripts/ring.sh kill 2, then: $bin/node chat send 'still there?' --config $dir/node-1.json"
}

down() {
  local name pid ended=0
  while read -r name; do
    pid=$(pid_of "$name") || continue
    kill -TERM "$pid" && ended=$((ended + 1))
  done < <(names)
  while read -r name; do
    within 5 gone "$name" || kill -KILL "$(pid_of "$name")"
    rm -f "$dir/$name.pid"
  done < <(names)
  say "ended $ended processes; logs are still in $dir"
}

status() {
  local name pid state
  printf '%-14s %-12s %-8s %s\n' PROCESS NAME PID STATE
  while read -r name; do
    state='not running'
    if pid=$(pid_of "$name"); then
      state=running
      [ "$name" = signal-server ] || state=$(node status --config "$dir/$name.json" 2>/dev/null \
        | sed -n 's/^state *//p; s/^ring */ring /p' || echo 'does not answer')
    fi
    printf '%-14s %-12s %-8s %s\n' "$name" "$(sed -n 's/^ *"name": "\(.*\)",/\1/p' "$dir/$name.json")" "${pid:--}" "${state//$'\n'/; }"
  done < <(names)
}

case ${1:-} in
  up) up "${@:2}" ;;
  down) down ;;
  status) [ "$(names | wc -l)" -gt 0 ] || fail "nothing in $dir; begin with: scripts/ring.sh up 5"; status ;;
  kill)
    name=$(name_of "${2:-}")
    pid=$(pid_of "$name") || fail "$name is not running"
    kill -KILL "$pid" && within 5 gone "$name"
    say "killed $name (pid $pid)"
    ;;
  start)
    name=$(name_of "${2:-}")
    gone "$name" || fail "$name is running already"
    launch "$name"
    say "started $name (pid $(cat "$dir/$name.pid"))"
    ;;
  logs)
    name=$(name_of "${2:-}")
    exec tail -n 40 -f "$dir/$name.log"
    ;;
  *) usage ;;
esac
