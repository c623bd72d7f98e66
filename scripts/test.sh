#!/usr/bin/env bash
# Runs every check and test of meshline; installs what they need first, where it may.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-deps.sh test

if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
  if ! command -v rustup >/dev/null; then
    echo "test: rustfmt or clippy is missing, and there is no rustup to add them" >&2
    exit 1
  fi
  echo "test: adding rustfmt and clippy with rustup"
  rustup component add rustfmt clippy
fi

exec cargo xtask ci
