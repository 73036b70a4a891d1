"""Workloads that pgbench drives: single rows, shapes of queries, TPC-B, logins."""

import dataclasses
import os
import re
import statistics
import subprocess
import sys
import time

from . import DATABASE, FILTERED, NATIVE, ROWS, SCALE, USER
from .machine import program

POINT = f"\\set aid random(1, {ROWS})\nSELECT {{columns}} FROM {{table}} WHERE aid = :aid{{where}};\n"

# Queries whose plans a filter could spoil.
SHAPES = {
    "point": POINT,
    "range of 100": f"\\set aid random(1, {ROWS - 100})\nSELECT aid, {{columns}} FROM {{table}} WHERE aid BETWEEN :aid AND :aid + 99{{where}};\n",
    "join": f"\\set aid random(1, {ROWS - 20})\nSELECT a.aid, {{columns}}, b.bbalance FROM {{table}} a JOIN pgbench_branches b ON b.bid = a.bid WHERE a.aid BETWEEN :aid AND :aid + 19{{where_a}};\n",
    "ORDER BY … LIMIT 10": f"\\set aid random(1, {ROWS - 1000})\nSELECT aid, {{columns}} FROM {{table}} WHERE aid > :aid{{where}} ORDER BY aid LIMIT 10;\n",
}

TPCB = """\\set aid random(1, 100000 * {scale})
\\set bid random(1, {scale})
\\set tid random(1, 10 * {scale})
\\set delta random(-5000, 5000)
BEGIN;
UPDATE {table} SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM {table} WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""


def text_for(target, shape):
    return shape.format(table=target.table, columns=target.columns, where=target.where(), where_a=target.where("a."), scale=SCALE)


def pgbench(bench, target, text, mode, clients, seconds, tls=False):
    """One round of so many seconds after everybody has connected: transactions per second, latency in ms, CPU of the proxy (user, system) and of PostgreSQL per transaction in µs."""
    connecting = clients // 25
    while True:
        marks, done = watched(bench, target, text, mode, clients, ["-T", str(1 + seconds + connecting), "-P", "1"], tls)
        # While the last is told, clients go.
        marks = marks[:-1]
        if len(marks) >= 2:
            break
        if connecting > 60:
            raise SystemExit(f"pgbench at {target.name}: {clients} clients do not connect within {connecting} s")
        connecting = 2 * connecting + 1
    # pgbench tells of its progress from when all are connected.
    first, last = marks[0], marks[-1]
    transactions = max(1, sum(tps * (now[0] - before[0]) for (before, _), (now, tps) in zip(marks, marks[1:])))
    spent = [1e6 * (after - before) / transactions for before, after in zip(first[0], last[0])]
    return {
        "tps": transactions / (last[0][0] - first[0][0]), "ms": float(re.search(r"latency average = ([\d.]+)", done).group(1)),
        "user": spent[1], "system": spent[2], "proxy": spent[1] + spent[2], "server": spent[3],
    }


def command(bench, target, text, mode, clients, limit, tls):
    script = bench.directory / "script.sql"
    script.write_text(text)
    return {
        "args": [program("pgbench"), "-n", "-f", str(script), "-M", mode, "-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1)), *limit,
                 "-h", target.host, "-p", str(target.port), "-U", USER, DATABASE],
        "env": os.environ | {"PGPASSWORD": target.password, "PGSSLMODE": "require" if tls else "disable"}, "text": True,
    }


def spent_by(bench, target):
    """The time, and the CPU that the proxy (user, system) and PostgreSQL have spent, in seconds."""
    return time.monotonic(), *(target.process.cpu_split() if target.process else (0, 0)), bench.postgres.family_cpu()


def watched(bench, target, text, mode, clients, limit, tls):
    """What was spent at each line in which pgbench tells of its progress, with the transactions per second since the one before; and what pgbench said in the end."""
    process = subprocess.Popen(**command(bench, target, text, mode, clients, limit, tls), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    marks, told = [], []
    for line in process.stderr:
        told.append(line)
        if found := re.match(r"progress: [\d.]+ s, ([\d.]+) tps", line):
            marks.append((spent_by(bench, target), float(found.group(1))))
    done = process.stdout.read()
    if process.wait() or "aborted" in "".join(told):
        raise SystemExit(f"pgbench at {target.name}: {''.join(told)[-2000:]}")
    return marks, done


def new_connections(bench, target, text, clients, each, tls):
    """The same of so many transactions of each client, every one over a connection of its own."""
    before = spent_by(bench, target)
    done = subprocess.run(**command(bench, target, text, "simple", clients, ["-C", "-t", str(each)], tls), capture_output=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"pgbench at {target.name}: {done.stderr}")
    spent = [1e6 * (after - begin) / (clients * each) for begin, after in zip(before, spent_by(bench, target))]
    return {"tps": 1e6 / spent[0], "user": spent[1], "system": spent[2], "proxy": spent[1] + spent[2], "server": spent[3]}


def medians(rounds):
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def interleaved(bench, options, name, cases):
    """Every case once per round, in turn; a case is a key and what makes one sample."""
    samples = {}
    for number in range(options.rounds):
        for key, sample in cases:
            samples.setdefault(key, []).append(sample())
        print(f"{name}: round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return {key: medians(rounds) | {"rounds": len(rounds), "least ms": min(one.get("ms", 0) for one in rounds)} for key, rounds in samples.items()}


def points(bench, options):
    """Reads of one row by its key, of every proxy and under every kind of protection."""
    cases = []
    for clients in options.clients:
        for mode in options.modes:
            for target in [*bench.proxies(), *bench.governed(), *bench.by_hand()]:
                if mode in target.modes:
                    cases.append((f"{clients}/{mode}/{target.name}", lambda t=target, m=mode, c=clients: pgbench(bench, t, text_for(t, POINT), m, c, options.seconds)))
    return interleaved(bench, options, "points", cases)


def shapes(bench, options):
    """What policies cost by the shape of the query: one client, prepared; protection by hand also through the relay."""
    by_hand = bench.by_hand()
    through = []
    if bench.relay:
        relay = next(target for target in bench.proxies() if target.name == "relay")
        through = [dataclasses.replace(relay, name="relay, written by hand", handwritten=True), dataclasses.replace(relay, name="relay, row security", table=NATIVE)]
    cases = []
    for shape, text in SHAPES.items():
        for target in [*by_hand, *through, *bench.governed()]:
            cases.append((f"{shape}/{target.name}", lambda t=target, q=text: pgbench(bench, t, text_for(t, q), "prepared", 1, options.seconds)))
    return interleaved(bench, options, "shapes", cases)


def tpcb(bench, options):
    """The transactions of TPC-B, 16 clients."""
    filtered = bench.governed()[:1]
    assert filtered[0].table == FILTERED
    cases = []
    for mode in ("simple", "prepared"):
        for target in [*bench.proxies(), *filtered]:
            if mode in target.modes:
                cases.append((f"{mode}/{target.name}", lambda t=target, m=mode: pgbench(bench, t, text_for(t, TPCB), m, 16, options.seconds)))
    return interleaved(bench, options, "TPC-B", cases)


def logins(bench, options):
    """A new connection for every statement, 4 clients: PgBouncer by md5, pgusher by a token."""
    cases = []
    for tls in (False, True):
        for target in bench.proxies():
            if target.name != "relay":
                key = f"{'TLS' if tls else 'plain'}/{target.name}"
                # CPU is told in hundredths of a second: of a proxy's many logins that is little.
                each = 500 if target.process else 50
                cases.append((key, lambda t=target, s=tls, n=each: new_connections(bench, t, text_for(t, POINT), 4, n, s)))
    return interleaved(bench, options, "logins", cases)
