"""What pgusher is meant to reach, beside what was measured."""

import re

THEIRS = "PgBouncer, session"


def goals(measured):
    """Rows of (goal, bar, measured) as far as there is something to tell; figures come from one run each."""
    found = {part: one["found"] for part, one in measured.items()}
    return [row for part in (statements, shapes, streams, logins, crowds, alone) for row in part(found)]


def ours(points, clients, mode, ending=""):
    """The targets of pgusher with these policies."""
    for key, one in points.items():
        kind, protocol, name = key.split("/", 2)
        if kind == clients and protocol == mode and re.fullmatch(rf"pgusher(, (session|transaction))?{ending}", name):
            yield name, one


def least(one):
    """Of the rounds; what one client waits is lengthened by whatever else runs, never shortened."""
    return one.get("least ms", one["ms"])


def statements(found):
    points = found.get("points", {})
    for mode, bar in (("prepared", "1.0"), ("simple", "1.25")):
        theirs = points.get(f"16/{mode}/{THEIRS}")
        for name, one in ours(points, "16", mode, ", row filter") if theirs else ():
            yield f"CPU of a point query, {mode}, 16 clients: {name}, beside PgBouncer's without a filter", f"at most {bar}", f"{one['proxy'] / theirs['proxy']:.2f} ({one['proxy']:.1f} µs, {theirs['proxy']:.1f} µs)"
    for mode in ("prepared", "simple"):
        direct, theirs = points.get(f"1/{mode}/direct"), points.get(f"1/{mode}/{THEIRS}")
        for name, one in ours(points, "1", mode) if direct and theirs else ():
            added, other = (least(that) - least(direct) for that in (one, theirs))
            yield f"latency added to a point query, {mode}, 1 client: {name}, beside PgBouncer's", "at most 1.2", f"{added / other:.2f} ({added:.3f} ms, {other:.3f} ms)" if other > 0 else "PgBouncer added none"


def shapes(found):
    of = found.get("shapes", {})
    for shape in dict.fromkeys(key.split("/", 1)[0] for key in of):
        for name in ("pgusher, session, row filter and mask", "pgusher, row filter and mask"):
            one, hand = of.get(f"{shape}/{name}"), of.get(f"{shape}/relay, written by hand")
            if one and hand:
                yield f"filter and mask, {shape}: latency beside the same SQL written by hand, through the relay", "at most 1.10", f"{least(one) / least(hand):.2f}"
        for name in ("pgusher, session, row filter", "pgusher, row filter"):
            one, native = of.get(f"{shape}/{name}"), of.get(f"{shape}/relay, row security")
            if one and native:
                yield f"filter, {shape}: latency beside row security by hand, through the relay", "at most 1.0", f"{least(one) / least(native):.2f}"


def streams(found):
    of = found.get("streams", {})
    for kind in ("SELECT", "COPY out"):
        one, theirs = of.get(f"{kind}/pgusher, session", of.get(f"{kind}/pgusher")), of.get(f"{kind}/{THEIRS}")
        if one and theirs:
            yield f"a million rows by {kind}: throughput beside PgBouncer's", "at least 1.0", f"{one['speed'] / theirs['speed']:.2f}"
            yield f"a million rows by {kind}: CPU per GB beside PgBouncer's", "at most 1.0", f"{one['cost'] / theirs['cost']:.2f}"


def logins(found):
    of = found.get("logins", {})
    theirs = of.get(f"plain/{THEIRS}")
    for key, one in of.items():
        if theirs and key.startswith("plain/pgusher"):
            yield f"CPU of a login, {key.split('/', 1)[1]}: by a token, beside PgBouncer's by md5", "at most 1.5", f"{one['proxy'] / theirs['proxy']:.1f} ({one['proxy']:.0f} µs, {theirs['proxy']:.0f} µs)"


def crowds(found):
    for name, one in found.get("idle", {}).items():
        if name == "pgusher, transaction":
            yield f"memory of an idle client, {one['clients']:,} of them", "at most 6 KiB", f"{one['login']:.1f} KiB, {one['statement']:.1f} after a statement"
    many = found.get("many", {})
    if many:
        first, last = many["one principal"], many["as many principals"]
        yield f"{last['clients']} principals on {last['upstream']} upstream connections, every answer checked: throughput beside one principal's", "at least 0.9", f"{last['tps'] / first['tps']:.2f}"
    soak = found.get("soak")
    if soak:
        third = max(sample["resident"] for sample in soak["samples"] if sample["at"] <= max(soak["seconds"] / 3, soak["samples"][0]["at"]))
        yield f"{soak['clients']} clients do everything at random for {soak['seconds']:.0f} s", "nothing wrong, nothing grows", "; ".join(soak["faults"]) or f"nothing was wrong; {third:.0f} MiB after a third of it, {soak['end']:.0f} in the end"


def alone(found):
    text = found.get("analysis", {}).get("bench", "")
    if line := re.search(r"^TPC-H Q5 .*", text, re.MULTILINE):
        # The columns are parse, resolve, rewrite, authorize, all, decided again, each as median and lowest.
        figures = re.findall(r"([\d.]+)\s*\(([\d.]+)\)", line.group())
        yield "the first analysis of TPC-H Q5", "at most 300 µs", f"{figures[4][0]} µs, at best {figures[4][1]}"
    text = found.get("scale", {}).get("bench", "")
    if decided := re.search(r"median ([\d.]+) µs, p99 ([\d.]+)", text):
        yield "a decision among 100,000 principals and a million grants", "at most 2 µs", f"{decided.group(1)} µs, p99 {decided.group(2)}"
    if made := re.search(r"grants: (.*)", text):
        yield "making that snapshot", "at most 5 s with its loading", made.group(1)
    store = found.get("scale", {}).get("store", {})
    if store:
        yield "a proxy starts on it", "at most 5 s", f"{store['a proxy starts, until its first answer, s']:.1f} s"
