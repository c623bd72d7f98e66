#!/usr/bin/env python3
"""Takes the times of crates/ledger/examples/bench.rs, a store killed with kill -9 among them.

Usage: cargo build --release -p meshline-ledger --example bench && scripts/ledger-bench.py target/release/examples/bench
"""

import signal
import subprocess
import sys
import tempfile
import time


def run(program, verb, folder):
    """Prints a line for each figure; kills the program once it says that it is filled."""
    with subprocess.Popen([program, verb, folder], stdout=subprocess.PIPE, text=True) as running:
        begun = name = count = None
        for line in running.stdout:
            now, words = time.monotonic(), line.split()
            if words[0] == "begin":
                begun, name, count = now, words[1], int(words[2])
            elif words[0] == "end":
                took = now - begun
                print(f"{name:36} {took * 1000:10.1f} ms {count / took:14,.0f} /s", flush=True)
            elif words[0] == "filled":
                running.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        for part in ("all", "fill", "open"):
            run(sys.argv[1], part, scratch)
