"""docs/benchmarks.md from what was measured."""

from . import MODES, ROWS, in_order
from .goals import goals

NAMES = {1: "1 client"}


def keys(found, depth):
    """The distinct values at a place of keys like `16/simple/pgusher`, in their order."""
    seen = {}
    for key in found:
        seen.setdefault(key.split("/", 2)[depth], None)
    return list(seen)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def shown(value, digits=1):
    # Less than nothing was counted wrong: processes that came or went meanwhile.
    return "" if value is None or value < 0 else f"{value:.{digits}f}"


def of_proxy(name, value, digits=1):
    return "" if name.startswith("direct") else shown(value, digits)


def points(found):
    out = [
        "Reads of one row by its key (`SELECT abalance FROM t WHERE aid = …`, random keys of a million), by the simple protocol, the extended one and prepared. *Ratio* is transactions per "
        "second relative to the direct connection, *proxy* the CPU of the proxy's process per statement, of which *user* outside the kernel, *server* the CPU of PostgreSQL and its backends. "
        "The last three targets have the same protection without pgusher.\n"]
    for clients in keys(found, 0):
        out.append(f"### {NAMES.get(int(clients), clients + ' clients')}\n")
        modes = [mode for mode in MODES if any(key.startswith(f"{clients}/{mode}/") for key in found)]
        head = ["target"] + [title for mode in modes for title in (f"{mode} tps", "ratio", "ms", "proxy µs", "user", "server µs")]
        rows = []
        for name in in_order(key.split("/", 2)[2] for key in found if key.startswith(f"{clients}/")):
            row = [name]
            for mode in modes:
                one, direct = found.get(f"{clients}/{mode}/{name}"), found[f"{clients}/{mode}/direct"]
                row += [f"{one['tps']:.0f}", shown(one["tps"] / direct["tps"], 2), shown(one["ms"], 3), of_proxy(name, one["proxy"]), of_proxy(name, one["user"]), shown(one["server"])] if one else [""] * 6
            rows.append(row)
        out.append(table(head, rows))
    return "\n".join(out)


def shapes(found):
    out = [
        "One client, prepared statements: latency in ms (the least useful figure on a busy machine: see the load), and relative to the same SQL written by hand (`… AND bid > 0 AND pg_has_role(…)`, a CASE for the mask), directly and through the relay.\n"]
    names = keys(found, 1)
    rows = []
    for shape in keys(found, 0):
        base = found[f"{shape}/direct, written by hand"]["ms"]
        relay = found.get(f"{shape}/relay, written by hand", {}).get("ms")
        for name in names:
            one = found[f"{shape}/{name}"]
            rows.append([shape, name, shown(one["ms"], 3), shown(one["ms"] / base, 2), shown(one["ms"] / relay, 2) if relay else "", of_proxy(name, one["proxy"]), shown(one["server"])])
    out.append(table(["query", "target", "ms", "to direct", "to relay", "proxy µs", "server µs"], rows))
    return "\n".join(out)


def tpcb(found):
    rows = []
    for mode in keys(found, 0):
        direct = found[f"{mode}/direct"]
        for key, one in found.items():
            kind, name = key.split("/", 1)
            if kind == mode:
                rows.append([mode, name, f"{one['tps']:.0f}", shown(one["tps"] / direct["tps"], 2), shown(one["ms"], 2), of_proxy(name, one["proxy"], 0), shown(one["server"], 0)])
    return "pgbench's transaction of seven statements, 16 clients; CPU is per transaction. Ten branches: most of the time clients wait for each other's rows.\n\n" + table(
        ["protocol", "target", "tps", "ratio", "ms", "proxy µs", "server µs"], rows)


def logins(found):
    rows = []
    for key, one in found.items():
        kind, name = key.split("/", 1)
        rows.append([kind, name, f"{one['tps']:.0f}", of_proxy(name, one["proxy"], 0), of_proxy(name, one["user"], 0), shown(one["server"], 0)])
    return "A new connection for every statement, 4 clients; PostgreSQL and PgBouncer by md5, pgusher by a token.\n\n" + table(["", "target", "connections/s", "proxy µs", "user", "server µs"], rows)


def streams(found):
    out = [f"{ROWS:,} rows of 100 bytes to and from a client that looks at nothing. *s/GB* is CPU of the proxy per 10⁹ bytes; *growth* the highest growth of its resident memory meanwhile.\n"]
    rows = []
    for kind in ("COPY out", "SELECT", "COPY in"):
        direct = found[f"{kind}/direct"]
        for key, one in found.items():
            if key.startswith(f"{kind}/"):
                name = key.split("/", 1)[1]
                rows.append([kind, name, f"{one['speed']:.0f}", shown(one["speed"] / direct["speed"], 2), of_proxy(name, one["cost"], 2), of_proxy(name, one["growth"])])
    out.append(table(["", "target", "MB/s", "ratio", "s/GB", "growth, MiB"], rows))
    return "\n".join(out)


def stalled(found):
    return "A reader of a million rows stops after the first mebibyte; MiB by which the proxy grows.\n\n" + table(
        ["target", "growth, MiB", "resident, MiB"], [[name, shown(one["growth"]), shown(one["resident"])] for name, one in found.items()])


def idle(found):
    rows = [[name, f"{one['clients']}", shown(one["fresh"]), shown(one["login"]), shown(one["statement"]), shown(one["after"])] for name, one in found.items()]
    return ("Growth of resident memory per idle client, after its login and after one statement each. A proxy that gives each session an upstream connection of its own is asked with fewer.\n\n"
            + table(["target", "clients", "fresh, MiB", "KiB each after login", "after a statement", "MiB after all left"], rows))


def many(found):
    one = next(iter(found.values()))
    rows = [[key, f"{one['tps']:.0f}", shown(one["tps"] / found["one principal"]["tps"], 2), shown(one["ms"], 2), shown(one["proxy"]), shown(one["server"]), f"{one['connections']:.0f}"] for key, one in found.items()]
    return (f"{one['clients']} clients at once, at most {one['upstream']} upstream connections; prepared reads of ten ids of which one belongs to whoever asks. Every answer is checked while the load runs: exactly "
            "the one row of one's own. The difference between the rows is what it costs to give a connection another identity for nearly every statement.\n\n" + table(["clients log in as", "tps", "ratio", "ms", "proxy µs", "server µs", "upstream connections"], rows))


def tpch(found):
    names = list(found)
    rows = [["all"] + [f"{found[name]['all']:.2f}" for name in names], ["ratio"] + [shown(found[name]["all"] / found["direct"]["all"], 2) for name in names],
            ["proxy, ms of CPU"] + [of_proxy(name, found[name]["proxy"], 0) for name in names]]
    for query in (key for key in found["direct"] if key.startswith("Q")):
        rows.append([query] + [f"{found[name][query]:.3f}" for name in names])
    return ("The 22 queries after each other, by the simple protocol, scale 0.1; seconds. *Policies*: a row filter on `orders` that lets all rows through and a mask on `customer` that masks nothing, so that all targets "
            "have the same work (their answers are compared); the last column is row security and a security-barrier view by hand.\n\n" + table(["", *names], rows))


def scale(found):
    out = ["`cargo bench --bench scale`: 100,000 users in five of a thousand groups each, a million grants on ten thousand tables, in memory.\n\n```\n" + found["bench"] + "\n```\n"]
    if "store" in found:
        out.append("The same from the policy store in PostgreSQL:\n")
        out.append(table(["", ""], [[key, shown(value, 2)] for key, value in found["store"].items()]))
    return "\n".join(out)


def analysis(found):
    return "`cargo bench --bench analysis`: one statement by itself, no connection.\n\n```\n" + found["bench"] + "\n```\n"


def soak(found):
    done = ", ".join(f"{count:,} {what}" for what, count in sorted(found["done"].items(), key=lambda item: -item[1]))
    spread = [found["samples"][int(len(found["samples"]) * n / 8)] for n in range(8)] if len(found["samples"]) >= 8 else found["samples"]
    rows = [[f"{sample['at']:.0f} s", shown(sample["resident"]), f"{sample['connections']}", f"{sample['files']}", f"{sample['threads']}"] for sample in spread]
    return (f"{found['seconds']:.0f} seconds, {found['clients']} clients of {found['principals']} principals: {done}. Every answer was checked. "
            + ("Nothing was wrong." if not found["faults"] else "**Wrong: " + "; ".join(found["faults"]) + ".**")
            + f"\n\n{table(['after', 'resident, MiB', 'upstream connections', 'open files', 'threads'], rows)}\nIn the end {found['end']:.1f} MiB, {found['files_left']} open files.\n")


SECTIONS = {
    "points": ("Single rows", points), "shapes": ("What policies cost, by the shape of the query", shapes), "tpcb": ("TPC-B", tpcb), "tpch": ("TPC-H", tpch), "streams": ("Streams", streams),
    "stalled": ("A reader that stands still", stalled), "logins": ("Logins", logins), "idle": ("Idle clients", idle), "many": ("Many principals", many), "scale": ("Many grants", scale),
    "analysis": ("Analysis of a statement", analysis), "soak": ("Soak", soak),
}


def markdown(measured):
    """The report; each part says itself when, on which commit and how busy a machine it was measured."""
    first = next(iter(measured.values()))["about"]
    out = [
        "# Benchmarks\n",
        "Written by `make bench` (`benches/run`; `make soak` for the last part). `benches/README.md` says what each figure is and how to read it. Proxies are compared by CPU per statement, and only "
        "within one table: all its rows were measured in turn, in interleaved rounds, medians of which are shown.\n",
        "![latency and CPU per statement](benchmarks.svg)\n" if "points" in measured else "",
        f"- Machine: {first['machine']}. Client, proxy and server share it, on the loopback.",
        f"- {first['postgres']} (fsync, autovacuum and jit off), {first['pgbouncer']}, {first['rustc']}.",
        "- `relay` is `benches/relay.rs`: bytes from socket to socket on tokio, looking at nothing. It is the floor of any proxy.",
        "- *Load* is that of the machine before and after a part. Where it is far above the number of CPUs, other work ran at the same time: throughput and latency then say little, CPU per "
        "statement can be compared within a table, though all of it is higher than on a machine of one's own.\n",
    ]
    rows = [list(row) for row in goals(measured)]
    if rows:
        out.append("## Goals\n\n" + table(["", "goal", "measured"], rows))
    for name, (title, write) in SECTIONS.items():
        if name in measured:
            about = measured[name]["about"]
            out.append(f"## {title}\n")
            out.append(f"<sub>{about['date']}, commit {about['commit']} ({about['build']} build), load {about['load'][0]:.1f} to {about['load'][1]:.1f}"
                       + (f", {about['rounds']} rounds of {about['seconds']} s" if name in ("points", "shapes", "tpcb", "many") else f", {about['rounds']} rounds" if name in ("tpch", "streams", "logins") else "")
                       + f": `{about['command']}`</sub>\n")
            out.append(write(measured[name]["found"]))
    return "\n".join(out).rstrip() + "\n"
