"""A million rows out and in, and a reader that stands still."""

import time

from . import PLAIN, ROWS
from .machine import Watch, settle
from .statements import interleaved
from .wire import Reader


def rows_of(answer):
    """The rows of COPY TO STDOUT as frames of 8 KiB, as psql sends them."""
    rows, at = bytearray(), answer.index(b"d", 5)
    while answer[at] == 0x64:
        length = int.from_bytes(answer[at + 1:at + 5], "big")
        rows += answer[at + 5:at + 1 + length]
        at += 1 + length
    frames = bytearray()
    for start in range(0, len(rows), 8192):
        piece = rows[start:start + 8192]
        frames += b"d" + (len(piece) + 4).to_bytes(4, "big") + piece
    return bytes(frames)


def streams(bench, options):
    """MB/s, the proxy's CPU per 10⁹ bytes, the highest growth of its resident memory."""
    reader, copied = Reader(bench.port, "bench"), bytearray()
    reader.fetch(f"COPY {PLAIN} TO STDOUT", copied)
    reader.close()
    rows = rows_of(bytes(copied))
    cases = []
    for target in [*bench.proxies(), bench.governed()[0], bench.governed()[1], *bench.by_hand()[1:]]:
        cases.append((f"COPY out/{target.name}", lambda t=target: stream(t, lambda r, t=t: r.fetch(f"COPY (SELECT * FROM {t.table}) TO STDOUT" if t.table.endswith("barrier") else f"COPY {t.table} TO STDOUT"), 2)))
        cases.append((f"SELECT/{target.name}", lambda t=target: stream(t, lambda r, t=t: r.fetch(f"SELECT * FROM {t.table}"), 2)))
    for target in bench.proxies():
        cases.append((f"COPY in/{target.name}", lambda t=target: incoming(bench, t, rows)))
    return interleaved(bench, options, "streams", cases)


def stream(target, work, times):
    reader = Reader(target.port, target.password)
    watch = Watch(target.process) if target.process else None
    before, began = target.process.cpu() if target.process else 0, time.monotonic()
    count = sum(work(reader) for _ in range(times))
    elapsed = time.monotonic() - began
    spent = (target.process.cpu() if target.process else 0) - before
    growth = watch.growth() if watch else 0
    reader.close()
    return {"speed": count / elapsed / 1e6, "cost": spent / (count / 1e9), "growth": growth, "seconds": elapsed / times}


def incoming(bench, target, rows):
    bench.sql("TRUNCATE incoming")
    found = stream(target, lambda reader: reader.store("COPY incoming FROM STDIN", rows), 1)
    count = int(bench.sql("SELECT count(*) FROM incoming"))
    if count != ROWS:
        raise SystemExit(f"{target.name}: {count} rows came in of {ROWS}")
    return found


def stalled(bench, options):
    """MiB by which a proxy grows when a reader of a million rows stops after the first mebibyte."""
    found = {}
    for target in bench.proxies()[1:]:
        if not target.process:
            continue
        slow = Reader(target.port, target.password)
        watch = Watch(target.process)
        slow.say(b"Q", f"SELECT * FROM {target.table}".encode() + b"\0")
        slow.exactly(1 << 20)
        settle(target.process)
        found[target.name] = {"growth": watch.growth(), "resident": target.process.resident()}
        slow.close()
    return found
