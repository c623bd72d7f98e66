#!/usr/bin/env bash
# Usage: scripts/ledger-tutorial.sh [--kill-first] [--race] [--reorganise] [FLAGS]
#
# The tutorial of the ledger on three nodes that never stop: a central node makes a chain, a wallet node and a miner join,
# the wallet node pays twice, the miner mines, and everybody sees the same balances: 9, 9, 1, 1, miner 10, central 10.
#   --kill-first  the central node is killed after step 3: nobody misses it
#   --race        both payments are made at once, on two nodes
#   --reorganise  before the last look three blocks, with both payments in them, lose against four of another node
# FLAGS go to `config-tool ring`: --base-port 16001, …
# Environment: MESHLINE_TUTORIAL_DIR  folder of configuration, state and logs, which is kept (default: a temporary one)
#              MESHLINE_PROFILE       release (default) or debug
#              MESHLINE_BIN           folder with the programs (default: target, or else those on the PATH)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
profile=${MESHLINE_PROFILE:-release}
bin=${MESHLINE_BIN:-${CARGO_TARGET_DIR:-$root/target}/$profile}
[ -x "$bin/node" ] || bin=$(dirname "$(command -v node || echo "$bin/node")")
# Of wallets that go with the folder.
export MESHLINE_WALLET_PASSPHRASE=${MESHLINE_WALLET_PASSPHRASE:-ledger tutorial}
patience=30
pids=()

say() { echo "tutorial: $*"; }

fail() {
  echo "tutorial: $*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

kill_first='' race='' reorganise='' flags=()
for word in "$@"; do
  case $word in
    --kill-first) kill_first=yes ;;
    --race) race=yes ;;
    --reorganise) reorganise=yes ;;
    -h | --help) usage ;;
    *) flags+=("$word") ;;
  esac
done

[ -x "$bin/node" ] && [ -x "$bin/config-tool" ] || fail "no programs in $bin: cargo build --release, or set MESHLINE_BIN"
"$bin/node" --help 2>/dev/null | grep -q ledger || fail "$bin/node is another program: set MESHLINE_BIN"
command -v jq >/dev/null || fail "there is no jq, which reads what the commands print"

if [ -n "${MESHLINE_TUTORIAL_DIR:-}" ]; then
  dir=$(realpath -m "$MESHLINE_TUTORIAL_DIR")
else
  dir=$(mktemp -d)
fi

# What was started here ends with this, however that ends.
clean() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [ -n "${MESHLINE_TUTORIAL_DIR:-}" ] || rm -rf "$dir"
}
trap clean EXIT

# `node` of a node by its number.
of() {
  local config=$dir/node-$1.json
  shift
  "$bin/node" "$@" --config "$config"
}

# A member of the document a command prints.
get() {
  local path=$1
  shift
  of "$@" --json | jq -r "$path"
}

# Tries a command until it succeeds.
within() {
  local what=$1 deadline=$((SECONDS + patience))
  shift
  until "$@" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || fail "not within $patience s: $what"
    sleep 0.1
  done
}

answers() { of "$1" status >/dev/null; }
at_height() { [ "$(get .height "$1" ledger status)" -ge "$2" ]; }
waiting() { [ "$(get .mempool.transactions "$1" ledger status)" -eq "$2" ]; }
same_tip() { [ "$(get .tip "$1" ledger status)" = "$(get .tip "$2" ledger status)" ]; }
has() { [ "$(get .balance "$1" wallet balance "$2")" = "$3" ]; }

# Adds to the configuration of a node.
configure() {
  local config=$dir/node-$1.json
  jq "$2" "$config" >"$config.new" && mv "$config.new" "$config"
}

launch() {
  "$bin/node" run --config "$dir/node-$1.json" </dev/null >>"$dir/node-$1.log" 2>&1 &
  pids[$1]=$!
  within "node $1 answers (see $dir/node-$1.log)" answers "$1"
}

new() { get .address "$1" wallet new; }

pay() {
  local node=$1 from=$2 to=$3 amount=$4
  shift 4
  of "$node" wallet send --from "$from" --to "$to" --amount "$amount" "$@" | head -n 1
}

balances() {
  local node=$1
  shift
  while [ "$#" -gt 0 ]; do
    within "the balance of $1 is $2 at node $node" has "$node" "$1" "$2"
    of "$node" wallet balance "$1"
    shift 2
  done
}

# Which nodes there are at the moment.
running() {
  local node
  for node in "${!pids[@]}"; do echo "$node"; done
}

everybody_at() {
  local node
  for node in $(running); do within "node $node is at height $1" at_height "$node" "$1"; done
}

# With the central node's money four blocks are made that nobody else sees, on a node of its own.
make_rival() {
  local rival
  mkdir -p "$dir/node-4.data"
  cp "$dir/node-1.data/wallet" "$dir/node-4.data/wallet"
  cp -r "$dir/node-1.data/ledger" "$dir/node-4.data/ledger"
  rival=$(new 4)
  pay 4 "$central" "$rival" 10 --mine >/dev/null
  for _ in 1 2 3; do pay 4 "$rival" "$rival" 1 --mine >/dev/null; done
}

# Two more blocks stand on that of the payments; then the rival comes with its four.
reorganise() {
  local node=$1 from=$2 lost
  for _ in 1 2; do pay "$node" "$from" "$from" 1 --mine >/dev/null; done
  everybody_at 5
  lost=$(get .tip "$node" ledger status)
  say "the chain ends with $lost at height 5; another node comes with four blocks that nobody has seen"
  launch 4
  everybody_at 6
  say "three blocks were replaced, and with them both payments: they wait again, and the miner mines them again"
  everybody_at 7
}

nodes=3
[ -z "$reorganise" ] || nodes=4
"$bin/config-tool" ring --nodes "$nodes" --dir "$dir" --no-signal --no-proxy --names central,wallet,miner${reorganise:+,rival} \
  --force "${flags[@]}" >/dev/null
wallet_node=2 second_payer=2
[ -z "$race" ] || second_payer=3

say "step 1: the central node makes a chain; two wallets are sent 10 each, and it mines a block for each"
central=$(new 1)
of 1 ledger create --address "$central" | head -n 1
genesis=$dir/node-1.data/ledger/genesis.json
for ((node = 2; node <= nodes; node++)); do configure "$node" ".ledger.genesis = \"$genesis\""; done
wallet_1=$(new 2) wallet_2=$(new "$second_payer") wallet_3=$(new 2) wallet_4=$(new 2)
pay 1 "$central" "$wallet_1" 10 --mine
pay 1 "$central" "$wallet_2" 10 --mine
[ -z "$reorganise" ] || make_rival
launch 1

say "step 2: the wallet node joins and downloads the chain"
launch 2
everybody_at 2
balances 2 "$wallet_1" 10 "$wallet_2" 10 "$central" 10

say "step 3: the miner joins and downloads the chain"
miner=$(new 3)
configure 3 ".ledger.mine_to = \"$miner\""
launch 3
everybody_at 2
if [ -n "$kill_first" ]; then
  say "the central node is killed"
  of 2 wait --for peers=2 >/dev/null
  kill -KILL "${pids[1]}"
  unset 'pids[1]'
fi

say "step 4: two payments of 1"
if [ -n "$race" ]; then
  pay 2 "$wallet_1" "$wallet_3" 1 &
  paying=$!
  pay "$second_payer" "$wallet_2" "$wallet_4" 1
  wait "$paying"
else
  pay 2 "$wallet_1" "$wallet_3" 1
  pay 2 "$wallet_2" "$wallet_4" 1
fi

say "step 5: the miner receives them; step 6: with two of them it mines a block; step 7: everybody has the block"
everybody_at 3
if [ -n "$reorganise" ]; then
  # Whoever has money: the miner has just got some, and its own two blocks go with the others.
  reorganise 3 "$miner"
fi
for node in $(running); do
  within "nothing waits at node $node" waiting "$node" 0
  within "nodes $node and $wallet_node have the same chain" same_tip "$node" "$wallet_node"
done

say "the wallet node looks:"
balances 2 "$wallet_1" 9 "$wallet_2" 9 "$wallet_3" 1 "$wallet_4" 1 "$miner" 10 "$central" 10
for node in $(running); do
  [ "$(get .valid "$node" ledger verify)" = true ] || fail "the chain of node $node is not valid"
done
say "done: the same chain at $(running | wc -l) nodes"
