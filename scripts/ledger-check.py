#!/usr/bin/env python3
"""Judges blocks by docs/LEDGER.md, and by nothing else: a second implementation, to be compared with the first.

Usage: scripts/ledger-check.py FILE
FILE has one JSON document a line. A line with "schema" is a genesis file and begins a chain; every other line is
{"block": "<hex>", "now": <seconds>, "verdict": "ok" or the rule that the other implementation names}.
Prints how many verdicts agree; exits 1 at the first that does not. Slow, standard library only.
"""

import hashlib
import json
import struct
import sys

MAX_MONEY = 2_100_000_000_000_000
NULL = (bytes(32), 0xFFFFFFFF)


class Broken(Exception):
    """A broken rule, by its name."""


def need(condition, rule):
    if not condition:
        raise Broken(rule)


def sha256(data):
    return hashlib.sha256(data).digest()


def sha256d(data):
    return sha256(sha256(data))


def tagged(tag, data):
    prefix = sha256(tag.encode())
    return sha256(prefix + prefix + data)


# ---- ed25519 under ZIP-215 ----

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e1 = (y1 - x1) * (y2 - x2) % P
    e2 = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = e2 - e1, d - c, d + c, e2 + e1
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(scalar, point):
    result = ZERO
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decompress(data):
    """A point, y taken modulo p; None where there is no x."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == (-u) % P:
        x = x * SQRT_M1 % P
    if v * x * x % P != u:
        return None
    if x & 1 != sign:
        x = (-x) % P
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signature_is_valid(key, signature, message):
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    right = add(r, times(k, a))
    negative = ((-right[0]) % P, right[1], right[2], (-right[3]) % P)
    x, y, z, _ = times(8, add(times(s, BASE), negative))
    return x % P == 0 and (y - z) % P == 0


# ---- canonical bytes ----


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "encoding")
        self.at += count
        return self.data[self.at - count : self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def count(self, limit):
        first = self.take(1)[0]
        if first < 0xFD:
            value, least = first, 0
        else:
            size, least = {0xFD: (2, 0xFD), 0xFE: (4, 0x10000), 0xFF: (8, 0x100000000)}[first]
            value = int.from_bytes(self.take(size), "little")
        need(least <= value <= limit, "encoding")
        return value


def put_count(value):
    if value < 0xFD:
        return bytes([value])
    if value <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", value)
    return b"\xfe" + struct.pack("<I", value) if value <= 0xFFFFFFFF else b"\xff" + struct.pack("<Q", value)


class Input:
    def __init__(self, reader):
        self.outpoint = (reader.take(32), reader.u32())
        self.coinbase = self.outpoint == NULL
        outpoint = self.outpoint[0] + struct.pack("<I", self.outpoint[1])
        if self.coinbase:
            self.height = reader.u32()
            extra = reader.take(reader.count(128))
            self.unsigned = outpoint + struct.pack("<I", self.height) + put_count(len(extra)) + extra
        else:
            self.key, self.signature = reader.take(32), reader.take(64)
            self.unsigned = outpoint + self.key


class Output:
    def __init__(self, reader):
        begin = reader.at
        self.amount = reader.u64()
        need(self.amount <= MAX_MONEY, "encoding")
        need(reader.take(1) == b"\0", "encoding")
        self.key_hash = reader.take(20)
        self.bytes = reader.data[begin : reader.at]


class Transaction:
    def __init__(self, reader):
        begin = reader.at
        self.version = reader.u32()
        self.inputs = [Input(reader) for _ in range(reader.count(757))]
        self.outputs = [Output(reader) for _ in range(reader.count(3448))]
        self.lock_time = reader.u32()
        whole = reader.data[begin : reader.at]
        self.size, self.wtxid = len(whole), sha256d(whole)
        self.unsigned = (
            struct.pack("<I", self.version)
            + put_count(len(self.inputs))
            + b"".join(one.unsigned for one in self.inputs)
            + put_count(len(self.outputs))
            + b"".join(one.bytes for one in self.outputs)
            + struct.pack("<I", self.lock_time)
        )
        self.txid = sha256d(self.unsigned)


class Block:
    def __init__(self, data):
        reader = Reader(data)
        header = reader.take(80)
        self.hash, self.size = sha256d(header), len(data)
        self.version, self.previous, self.merkle_root, self.time, self.bits, _ = struct.unpack("<I32s32sIII", header)
        self.transactions = [Transaction(reader) for _ in range(reader.count(24529))]
        need(reader.at == len(data), "encoding")


def merkle(leaves):
    """The root, and whether the tree is mutated."""
    level, mutated = list(leaves), False
    while len(level) > 1:
        mutated |= any(level[i] == level[i + 1] for i in range(0, len(level) - 1, 2))
        if len(level) % 2:
            level.append(level[-1])
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return (level[0] if level else bytes(32)), mutated


# ---- targets ----


def target_of(bits):
    """The target, or None."""
    e, m = bits >> 24, bits & 0x7FFFFF
    if e <= 3:
        m >>= 8 * (3 - e)
    if m == 0 or bits & 0x800000 or e > 34 or (e > 33 and m > 0xFF) or (e > 32 and m > 0xFFFF):
        return None
    return m if e <= 3 else m * 256 ** (e - 3)


def bits_of(target):
    e = (target.bit_length() + 7) // 8
    m = target << 8 * (3 - e) if e <= 3 else target >> 8 * (e - 3)
    if m & 0x800000:
        m, e = m >> 8, e + 1
    return e << 24 | m


# ---- a chain ----


class Chain:
    def __init__(self, file):
        self.file, self.coins, self.blocks = file, {}, []
        self.kind, numbers = next(iter(file["difficulty"].items()))
        self.numbers = list(numbers.values()) + [0] * (2 - len(numbers))
        if self.kind == "asert":
            self.numbers = [numbers["spacing_s"], numbers["half_life_s"]]
        if self.kind == "bitcoin":
            self.numbers = [numbers["spacing_s"], numbers["interval"]]
        self.bits = int(file["bits"], 16)
        self.limit = target_of(self.bits)
        whole, _, part = file["subsidy"].partition(".")
        self.subsidy = int(whole) * 10**8 + int(part.ljust(8, "0"))
        self.genesis()

    def genesis(self):
        first, file = self.file["genesis"], self.file
        kind = ["fixed", "bitcoin", "asert"].index(self.kind)
        params = struct.pack("<IIIIQ", kind, *self.numbers, self.bits, self.subsidy) + struct.pack(
            "<IIII", file["halving_interval"], file["maturity"], file["max_block_size"], file["max_signatures"]
        ) + file["prefix"].encode()
        extra = tagged("meshline/params", params) + first["message"].encode()
        coinbase = struct.pack("<I", 1) + b"\1" + NULL[0] + struct.pack("<II", NULL[1], 0) + put_count(len(extra)) + extra
        coinbase += b"\1" + struct.pack("<Q", self.subsidy_at(0)) + b"\0" + bytes.fromhex(first["owner"]) + struct.pack("<I", 0)
        header = struct.pack("<I32s32sIII", 1, bytes(32), sha256d(coinbase), first["time"], self.bits, first["nonce"])
        block = Block(header + b"\1" + coinbase)
        assert block.hash[::-1].hex() == first["hash"], "the genesis block is another"
        assert int.from_bytes(block.hash, "little") <= self.limit
        self.id = block.hash
        self.apply(block, {}, self.made(block.transactions[0], 0, True))

    def subsidy_at(self, height):
        interval = self.file["halving_interval"]
        halvings = height // interval if interval else 0
        return self.subsidy >> halvings if halvings < 64 else 0

    @staticmethod
    def made(transaction, height, coinbase):
        return {(transaction.txid, index): (output, height, coinbase) for index, output in enumerate(transaction.outputs)}

    def apply(self, block, spent, made):
        for outpoint in spent:
            del self.coins[outpoint]
        self.coins.update(made)
        self.blocks.append(block)

    def bits_due(self):
        parent, height = self.blocks[-1], len(self.blocks) - 1
        if self.kind == "fixed":
            return self.bits
        if self.kind == "bitcoin":
            spacing, interval = self.numbers
            if (height + 1) % interval:
                return parent.bits
            span = spacing * interval
            took = min(max(parent.time - self.blocks[height + 1 - interval].time, span // 4), 4 * span)
            return bits_of(min(target_of(parent.bits) * took // span, self.limit))
        spacing, half_life = self.numbers
        behind = (parent.time - self.blocks[0].time + spacing - spacing * (height + 1)) * 65536
        x = behind // half_life if behind >= 0 else -(-behind // half_life)
        shift, f = x >> 16, x & 0xFFFF
        factor = 65536 + ((195766423245049 * f + 971821376 * f**2 + 5127 * f**3 + 2**47) >> 48)
        target = self.limit * factor
        target = target << shift - 16 if shift >= 16 else target >> 16 - shift
        return bits_of(min(max(target, 1), self.limit))

    def median_time(self):
        times = sorted(block.time for block in self.blocks[-11:])
        return times[len(times) // 2]

    def accept(self, data, now):
        block = Block(data)
        height = len(self.blocks)
        need(block.previous == self.blocks[-1].hash, "unknown_parent")
        need(block.version == 1, "block_version")
        need(block.bits == self.bits_due(), "bits")
        need(int.from_bytes(block.hash, "little") <= target_of(block.bits), "work")
        need(block.time > self.median_time(), "median_time")
        need(block.time <= now + 7200, "future_time")
        self.check_block(block, height)
        self.apply(block, *self.connect(block, height))

    def check_block(self, block, height):
        root, mutated = merkle(transaction.wtxid for transaction in block.transactions)
        need(root == block.merkle_root, "merkle_root")
        need(not mutated, "merkle_mutated")
        need(block.size <= self.file["max_block_size"], "block_size")
        need(block.transactions, "no_transactions")
        coinbase, payments = block.transactions[0], block.transactions[1:]
        need(coinbase.inputs and coinbase.inputs[0].coinbase, "coinbase_first")
        need(len(coinbase.inputs) == 1, "coinbase_only")
        need(coinbase.inputs[0].height == height, "coinbase_height")
        check_transaction(coinbase)
        for payment in payments:
            need(not any(one.coinbase for one in payment.inputs), "coinbase_only")
            check_transaction(payment)
        signatures = sum(len(payment.inputs) for payment in payments)
        need(signatures <= self.file["max_signatures"], "signature_count")

    def connect(self, block, height):
        spent, made, fees, checks, median = {}, {}, 0, [], self.median_time()
        for number, transaction in enumerate(block.transactions):
            lock_time = transaction.lock_time
            need(lock_time == 0 or lock_time < (height if lock_time < 500_000_000 else median), "lock_time")
            if number == 0:
                new = self.made(transaction, height, True)
                need(not any(outpoint in self.coins for outpoint in new), "txid_collision")
                made.update(new)
                continue
            coins = []
            for one in transaction.inputs:
                coin = made.get(one.outpoint) or (None if one.outpoint in spent else self.coins.get(one.outpoint))
                need(coin is not None, "missing_input")
                output, made_at, coinbase = coin
                need(not coinbase or made_at + self.file["maturity"] <= height, "immature")
                need(tagged("meshline/key", one.key)[:20] == output.key_hash, "wrong_key")
                coins.append(output)
            paid_in, paid_out = (sum(output.amount for output in side) for side in (coins, transaction.outputs))
            need(paid_in <= MAX_MONEY, "input_sum")
            need(paid_out <= paid_in, "overspent")
            fees += paid_in - paid_out
            outputs = put_count(len(coins)) + b"".join(output.bytes for output in coins)
            message = tagged("meshline/sighash", self.id + transaction.unsigned + outputs)
            checks += [(one.key, one.signature, message) for one in transaction.inputs]
            for one in transaction.inputs:
                if one.outpoint in made:
                    del made[one.outpoint]
                else:
                    spent[one.outpoint] = True
            made.update(self.made(transaction, height, False))
        taken = sum(output.amount for output in block.transactions[0].outputs)
        need(taken <= self.subsidy_at(height) + fees, "coinbase_value")
        need(all(signature_is_valid(*check) for check in checks), "signature")
        return spent, made


def check_transaction(transaction):
    need(transaction.version == 1, "transaction_version")
    need(transaction.size <= 100_000, "transaction_size")
    need(transaction.inputs, "no_inputs")
    need(transaction.outputs, "no_outputs")
    need(sum(output.amount for output in transaction.outputs) <= MAX_MONEY, "output_sum")
    outpoints = [one.outpoint for one in transaction.inputs]
    need(len(set(outpoints)) == len(outpoints), "duplicate_input")


def judge(chain, line):
    try:
        chain.accept(bytes.fromhex(line["block"]), line["now"])
    except Broken as broken:
        return str(broken)
    return "ok"


def main(path):
    chain, counts = None, {}
    with open(path, encoding="ascii") as lines:
        for number, text in enumerate(lines, 1):
            line = json.loads(text)
            if "schema" in line:
                chain = Chain(line)
                continue
            verdict = judge(chain, line)
            if verdict != line["verdict"]:
                print(f"line {number}: this says {verdict}, the other says {line['verdict']}")
                return 1
            counts[verdict] = counts.get(verdict, 0) + 1
    print(f"{sum(counts.values())} blocks, all verdicts agree: {json.dumps(counts, sort_keys=True)}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except OSError as error:
        sys.exit(f"ledger-check: {error}")
