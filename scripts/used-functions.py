#!/usr/bin/env python3
"""Writes the linker script that puts together what an idle view uses of its program.

The system maps 64 KiB around every page of a program that is touched. Where what is used lies scattered over all of it,
nearly all of it is in memory. `view/used.ld` names what is used, and the linker puts that side by side.

    scripts/used-functions.py RECORDING... PROGRAM > view/used.ld

`cargo xtask thing` does all of it: a build with names, a view with two links under callgrind, and the list.

Whatever the view is to be quick at (start, links, readings) it has to be asked for while it runs under callgrind; it is
ended with SIGTERM. Names (`v0`, as `cargo thing` has them) stand without the hashes of a build. One that nothing has any
more does no harm.
"""

import re
import subprocess
import sys

# What has no section of its own: code for the processor at hand, of which another machine may use another variant, and
# what compilers hold for unlikely, of which somebody always comes by.
WHOLE = """
*25519*.o(.text) *aesni*.o(.text) *aes-gcm*.o(.text) *ghash*.o(.text) *sha256-*.o(.text) *sha512-*.o(.text)
*rdrand*.o(.text) *(.text.startup.* .text.unlikely.* .text._RN*4sha26sha256* .text._RN*4sha26sha512*)
""".strip()


def used(path):
    """The names of all functions that ran, those of libraries among them."""
    names, ran = {}, set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            found = re.match(r"(c?)fn=(\(\d+\))(?: (.*))?$", line)
            if not found:
                continue
            called, number, name = found.groups()
            if name:
                names[number] = name
            if not called and number in names:
                # Callgrind counts how deep a function calls itself.
                ran.add(re.sub(r"'\d+$", "", names[number]))
    return ran


def functions(path):
    """Every function of the program with its bytes."""
    text = subprocess.run(["nm", "-S", path], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] in "tTwW"}


def plain(symbol):
    """A name as a pattern: without the hashes of crates and what counts their letters (`v0`), without the version of
    aws-lc, and without the number that tells a function from others of its name, which is another in each build."""
    if symbol.startswith("_R"):
        symbol = re.sub(r"B[0-9A-Za-z]{1,3}_", "B*_", re.sub(r"Cs[0-9A-Za-z]{6,12}_", "Cs*_", symbol))
    symbol = re.sub(r"^aws_lc_\d+_\d+_\d+_", "aws_lc_*_", symbol).split(".llvm.")[0]
    return re.sub(r"\.\d+$", "", symbol)


def main():
    *recorded, program = sys.argv[1:]
    ran, sizes = set().union(*map(used, recorded)), functions(program)
    # What would stand in the way of the linker's own quoting is left where it is.
    names = {plain(symbol) for symbol in ran if symbol in sizes}
    names = sorted(name for name in names if re.fullmatch(r"[\w$.*]+", name))
    chosen = set(names)
    found = sum(size for symbol, size in sizes.items() if plain(symbol) in chosen)
    exact = sum(size for symbol, size in sizes.items() if symbol in ran)
    print(f"{exact} bytes of functions ran, {len(names)} patterns find {found}", file=sys.stderr)
    print("/* What an idle view uses of its program, side by side: written by scripts/used-functions.py. */")
    print(f"SECTIONS {{ .text.used : {{\n{WHOLE}\n*(")
    print("\n".join(f".text.{name} .text.{name}.*" for name in names))
    print(") } } INSERT BEFORE .text;")


if __name__ == "__main__":
    main()
