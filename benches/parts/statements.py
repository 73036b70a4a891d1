"""Workloads that pgbench drives: single rows, shapes of queries, TPC-B, logins."""

import os
import re
import statistics
import subprocess
import sys

from . import DATABASE, FILTERED, MASKED, ROWS, SCALE, USER
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


def pgbench(bench, target, text, mode, clients, limit, tls=False):
    """One round: transactions per second, latency in ms, CPU of the proxy (user, system) and of PostgreSQL per transaction in µs."""
    script = bench.directory / "script.sql"
    script.write_text(text)
    before = target.process.cpu_split() if target.process else (0, 0)
    server_before = bench.postgres.family_cpu()
    command = [program("pgbench"), "-n", "-f", str(script), "-M", mode, "-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1)), *limit,
               "-h", target.host, "-p", str(target.port), "-U", USER, DATABASE]
    environment = os.environ | {"PGPASSWORD": target.password, "PGSSLMODE": "require" if tls else "disable"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode or "aborted" in done.stderr:
        raise SystemExit(f"pgbench at {target.name}: {done.stderr}")
    transactions = max(1, int(re.search(r"actually processed: (\d+)", done.stdout).group(1)))
    after = target.process.cpu_split() if target.process else (0, 0)
    served = bench.postgres.family_cpu() - server_before
    return {
        "tps": float(re.search(r"tps = ([\d.]+)", done.stdout).group(1)),
        "ms": float(re.search(r"latency average = ([\d.]+)", done.stdout).group(1)),
        "user": 1e6 * (after[0] - before[0]) / transactions,
        "system": 1e6 * (after[1] - before[1]) / transactions,
        "proxy": 1e6 * (sum(after) - sum(before)) / transactions,
        "server": 1e6 * served / transactions,
    }


def medians(rounds):
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def interleaved(bench, options, name, cases):
    """Every case once per round, in turn; a case is a key and what makes one sample."""
    samples = {}
    for number in range(options.rounds):
        for key, sample in cases:
            samples.setdefault(key, []).append(sample())
        print(f"{name}: round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return {key: medians(rounds) | {"rounds": len(rounds)} for key, rounds in samples.items()}


def points(bench, options):
    """Reads of one row by its key, of every proxy and under every kind of protection."""
    length = ["-T", str(options.seconds)]
    cases = []
    for clients in options.clients:
        for mode in options.modes:
            for target in [*bench.proxies(), *bench.governed(), *bench.by_hand()]:
                if mode in target.modes:
                    cases.append((f"{clients}/{mode}/{target.name}", lambda t=target, m=mode, c=clients: pgbench(bench, t, text_for(t, POINT), m, c, length)))
    return interleaved(bench, options, "points", cases)


def shapes(bench, options):
    """What policies cost by the shape of the query: one client, prepared; written by hand also through the relay."""
    by_hand = bench.by_hand()
    through = []
    if bench.relay:
        relay = next(target for target in bench.proxies() if target.name == "relay")
        through = [type(relay)("relay, written by hand", relay.port, relay.password, relay.process, handwritten=True)]
    cases = []
    for shape, text in SHAPES.items():
        for target in [*by_hand, *through, *bench.governed()]:
            cases.append((f"{shape}/{target.name}", lambda t=target, q=text: pgbench(bench, t, text_for(t, q), "prepared", 1, ["-T", str(options.seconds)])))
    return interleaved(bench, options, "shapes", cases)


def tpcb(bench, options):
    """The transactions of TPC-B, 16 clients."""
    filtered = bench.governed()[:1]
    assert filtered[0].table == FILTERED
    cases = []
    for mode in ("simple", "prepared"):
        for target in [*bench.proxies(), *filtered]:
            if mode in target.modes:
                cases.append((f"{mode}/{target.name}", lambda t=target, m=mode: pgbench(bench, t, text_for(t, TPCB), m, 16, ["-T", str(options.seconds)])))
    return interleaved(bench, options, "TPC-B", cases)


def logins(bench, options):
    """A new connection for every statement, 4 clients: PgBouncer by md5, pgusher by a token."""
    cases = []
    for tls in (False, True):
        for target in bench.proxies():
            if target.name != "relay":
                key = f"{'TLS' if tls else 'plain'}/{target.name}"
                cases.append((key, lambda t=target, s=tls: pgbench(bench, t, text_for(t, POINT), "simple", 4, ["-C", "-t", "100"], s)))
    return interleaved(bench, options, "logins", cases)
