"""Many clients at once: idle ones, and a thousand principals over few upstream connections whose every answer is checked."""

import hashlib
import json
import pathlib
import resource
import secrets
import subprocess
import sys
import threading
import time

from . import DATABASE
from .bench import POOL
from .machine import Watch, settle
from .statements import medians
from .wire import Reader

EACH = 100  # rows of each principal


def raise_limits():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def idle(bench, options):
    """MiB of a fresh proxy, KiB that each idle client adds to it after its login and after a statement."""
    found = {}
    for target in bench.proxies()[1:]:
        if not target.process:
            continue
        most = options.idle if "transaction" in target.name else min(options.idle, bench.most - 50)
        fresh = target.process.resident()
        sessions = [Reader(target.port, target.password) for _ in range(most)]
        settle(target.process)
        after_login = target.process.resident()
        for session in sessions:
            session.fetch("SELECT 1")
            session.buffer = None
        settle(target.process)
        after_statement = target.process.resident()
        for session in sessions:
            session.close()
        settle(target.process)
        found[target.name] = {
            "clients": most, "fresh": fresh, "login": 1024 * (after_login - fresh) / most, "statement": 1024 * (after_statement - fresh) / most, "after": target.process.resident()}
        print(f"idle clients: {target.name} done", file=sys.stderr, flush=True)
    return found


def fill_people(bench, count):
    """A table whose rows belong to principals in turn, and a token for each of them: how many, and the file that the crowd reads."""
    if getattr(bench, "people", None):
        return bench.people
    bench.sql(f"""
        CREATE TABLE owned (id bigint PRIMARY KEY, owner text NOT NULL, value text NOT NULL);
        INSERT INTO owned SELECT n, 'p' || lpad((n % {count})::text, 5, '0'), n::text FROM generate_series(0, {count * EACH - 1}) AS n;
        CREATE TABLE secrets (id int);
        ALTER TABLE owned OWNER TO bench_owner;
        ALTER TABLE secrets OWNER TO bench_owner;
        VACUUM (FREEZE, ANALYZE) owned;""")
    names = [f"p{number:05}" for number in range(count)]
    tokens = [f"pgu_{secrets.token_urlsafe(32)}" for _ in names]
    # As rows of the store: by governance SQL they would take three transactions each.
    rows = ", ".join(f"('{name}', '\\x{hashlib.sha256(token.encode()).hexdigest()}'::bytea)" for name, token in zip(names, tokens))
    bench.govern("CREATE GROUP crowd;")
    bench.sql(f"""
        CREATE TEMPORARY TABLE people AS SELECT name, hash FROM (VALUES {rows}) AS p (name, hash);
        INSERT INTO pgusher.principal (name, kind) SELECT name, 'user' FROM people;
        INSERT INTO pgusher.membership (group_id, member_id) SELECT g.id, p.id FROM pgusher.principal AS g, people JOIN pgusher.principal AS p USING (name) WHERE g.name = 'crowd';
        INSERT INTO pgusher.token (id, hash, principal) SELECT 'bench ' || name, hash, p.id FROM people JOIN pgusher.principal AS p USING (name);
        UPDATE pgusher.version SET policy = policy + 1;""")
    bench.govern("GRANT SELECT, MODIFY ON TABLE owned TO crowd;\nALTER TABLE owned SET ROW FILTER (owner = current_user());")
    path = bench.directory / "tokens.txt"
    path.write_text("".join(f"{name} {token}\n" for name, token in zip(names, tokens)))
    path.chmod(0o600)
    bench.people = count, path
    return bench.people


def crowd_command(bench, options, work, port, tokens, count, sessions, seconds, *more):
    return [str(pathlib.Path(options.crowd).resolve()), work, "--port", str(port), "--database", DATABASE, "--tokens", str(tokens), "--rows", str(count * EACH),
            "--sessions", str(sessions), "--seconds", str(seconds), *more]


def many(bench, options):
    """The same clients as one principal and as many, over few upstream connections: prepared reads under a row filter that leaves each their own rows."""
    count, tokens = fill_people(bench, options.principals)
    samples = {}
    for number in range(options.rounds):
        for key, principals in (("one principal", 1), ("as many principals", count)):
            samples.setdefault(key, []).append(crowd(bench, options, bench.pooled, tokens, count, principals))
        print(f"many principals: round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return {key: medians(rounds) | {"clients": count, "upstream": POOL} for key, rounds in samples.items()}


def crowd(bench, options, proxy, tokens, count, principals):
    """One round; CPU is counted while everybody is connected and asks."""
    command = crowd_command(bench, options, "throughput", proxy.port, tokens, count, count, options.seconds, "--principals", str(principals))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told, marks = [], {}

    def listen():
        for line in process.stderr:
            told.append(line)
            if line.strip() in ("ready", "done"):
                marks[line.strip()] = (proxy.cpu(), bench.postgres.family_cpu(), connections(bench, proxy) if line.strip() == "ready" else 0)

    listener = threading.Thread(target=listen)
    listener.start()
    text = process.stdout.read()
    process.wait()
    listener.join()
    if process.returncode or len(marks) != 2:
        raise SystemExit(f"the crowd: {''.join(told)[-3000:]}")
    found = json.loads(text)
    spent = [after - before for before, after in zip(marks["ready"][:2], marks["done"][:2])]
    return {"tps": found["tps"], "ms": found["ms"], "proxy": 1e6 * spent[0] / found["answers"], "server": 1e6 * spent[1] / found["answers"], "connections": marks["ready"][2]}


def connections(bench, proxy):
    """Upstream connections of a proxy's ordinary sessions; other proxies have some as well."""
    ports = ",".join(map(str, proxy.ports_to(bench.port)))
    return int(bench.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND client_port = ANY ('{{{ports}}}')"))


def soak(bench, options):
    """Clients that do everything at random, while memory, upstream connections and file descriptors are watched."""
    sessions, seconds = options.soak_clients, options.soak_seconds
    count, tokens = fill_people(bench, options.soak_principals)
    proxy, most = (bench.pooled, POOL) if options.soak_pool == "transaction" else (bench.pgusher, bench.most)
    watch, began, samples = Watch(proxy), time.monotonic(), []
    command = crowd_command(bench, options, "soak", proxy.port, tokens, count, sessions, seconds, "--seed", str(options.seed))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        try:
            process.wait(min(5, max(1, seconds / 60)))
        except subprocess.TimeoutExpired:
            pass
        files = len(list(pathlib.Path(f"/proc/{proxy.pid}/fd").iterdir()))
        threads = len(list(pathlib.Path(f"/proc/{proxy.pid}/task").iterdir()))
        samples.append({"at": time.monotonic() - began, "resident": proxy.resident(), "connections": connections(bench, proxy), "files": files, "threads": threads})
        if time.monotonic() - began > seconds + 120:
            process.kill()
            raise SystemExit("the soak does not end")
    done = json.loads(process.stdout.read())
    settle(proxy)
    deadline = time.monotonic() + 30
    while (left := connections(bench, proxy)) > most and time.monotonic() < deadline:
        time.sleep(0.2)
    found = {
        "seconds": seconds, "clients": sessions, "most": most, "principals": count, "done": done, "samples": samples, "highest": watch.start_mib + watch.growth(), "start": watch.start_mib,
        "end": proxy.resident(), "connections_left": left, "files_left": len(list(pathlib.Path(f"/proc/{proxy.pid}/fd").iterdir())), "alive": proxy.process.poll() is None,
    }
    found["faults"] = faults(bench, found)
    return found


def faults(bench, found):
    """What the soak must not find."""
    told = []
    wrong = found["done"].get("wrong", 0)
    if wrong:
        told.append(f"{wrong} wrong answers")
    if not found["alive"]:
        told.append("pgusher has ended")
    later = [sample["resident"] for sample in found["samples"] if sample["at"] > found["seconds"] / 3]
    first, last = max(later[:len(later) // 2] or [0]), max(later[len(later) // 2:] or [0])
    if last > 1.1 * first + 5:
        told.append(f"memory grows: {first:.1f} MiB in the second third, {last:.1f} MiB in the last")
    if max(sample["connections"] for sample in found["samples"]) > found["most"]:
        told.append("more upstream connections than configured")
    if found["files_left"] > 100 + found["connections_left"]:
        told.append(f"{found['files_left']} files are open in the end")
    return told
