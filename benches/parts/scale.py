"""Many grants, in memory and from the store; and the analysis of one statement. The first halves are programs of Rust."""

import pathlib
import subprocess
import time

from .machine import free_port

HERE = pathlib.Path(__file__).resolve().parents[2]
USERS, GROUPS, GRANTS, TABLES = 100_000, 1000, 1_000_000, 2000
CHANGES = 20


def cargo_bench(options, name):
    """What a bench prints, built as pgusher was."""
    profile = pathlib.Path(options.pgusher).resolve().parent.name
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", name, "--profile", profile if profile != "debug" else "dev"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def analysis(_bench, options):
    return {"bench": cargo_bench(options, "analysis")}


def scale(bench, options):
    return {"bench": cargo_bench(options, "scale"), "store": store(bench)}


def fill(bench):
    """Rows of the policy store in PostgreSQL, as a large company has them; how many there are."""
    bench.sql(f"""
        CREATE SCHEMA large AUTHORIZATION bench_owner;
        DO $$ BEGIN FOR i IN 1 .. {TABLES} LOOP
            EXECUTE format('CREATE TABLE large.t%s (id int)', i);
            EXECUTE format('ALTER TABLE large.t%s OWNER TO bench_owner', i);
        END LOOP; END $$;
        CREATE TEMPORARY TABLE groups AS WITH made AS (INSERT INTO pgusher.principal (name, kind) SELECT 'large group ' || n, 'group' FROM generate_series(1, {GROUPS}) AS n RETURNING id)
            SELECT id, row_number() OVER () AS n FROM made;
        CREATE TEMPORARY TABLE users AS WITH made AS (INSERT INTO pgusher.principal (name, kind) SELECT 'large user ' || n, 'user' FROM generate_series(1, {USERS}) AS n RETURNING id)
            SELECT id, row_number() OVER () AS n FROM made;
        INSERT INTO pgusher.membership (group_id, member_id) SELECT g.id, u.id FROM users AS u CROSS JOIN generate_series(0, 4) AS k JOIN groups AS g ON g.n = 1 + (u.n * 7 + k * 191) % {GROUPS};
        INSERT INTO pgusher.grants (kind, object, privilege, principal)
          SELECT 'relation', c.oid, 'SELECT', g.id FROM (SELECT oid, row_number() OVER () AS n FROM pg_class WHERE relkind = 'r' AND relnamespace = 'large'::regnamespace) AS c
            JOIN groups AS g ON (g.n + c.n) % 5 < 2
          UNION ALL
          SELECT 'relation', c.oid, 'SELECT', u.id FROM (SELECT oid, row_number() OVER () AS n FROM pg_class WHERE relkind = 'r' AND relnamespace = 'large'::regnamespace) AS c
            JOIN users AS u ON (u.n + c.n) % 1000 = 0;
        ANALYZE pgusher.principal, pgusher.membership, pgusher.grants;
        UPDATE pgusher.version SET policy = policy + 1;""")
    return {what: float(bench.sql(f"SELECT count(*) FROM pgusher.{table}")) for what, table in (("principals", "principal"), ("grants", "grants"))}


def store(bench):
    """How long a proxy takes to start on a large store, what a change costs it there, and to load everything anew."""
    found = fill(bench)
    port = free_port()
    config = bench.directory / "large.toml"
    config.write_text(bench.configuration(port))
    began = time.monotonic()
    proxy = bench.serve("large", config, port)
    bench.govern("SELECT 1;", port)
    found["a proxy starts, until its first answer, s"] = time.monotonic() - began
    found["its CPU until then, s"] = proxy.cpu()
    found["resident, MiB"] = proxy.resident()
    found["resident at the most, MiB"] = proxy.peak()
    bench.govern('CREATE USER "large reader";', port)
    token = bench.token_for("large reader")
    # A principal's own statements: seconds of psql with its connection, before and after.
    began = time.monotonic()
    bench.govern('GRANT SELECT ON TABLE large.t1 TO "large reader";', port)
    found["GRANT, with psql's start and login, s"] = time.monotonic() - began
    while not readable(bench, port, token):
        pass
    found["until it is in force, from its beginning, s"] = time.monotonic() - began
    proxy.forget_peak()
    spent = proxy.cpu()
    for _ in range(CHANGES // 2):
        bench.govern('REVOKE SELECT ON TABLE large.t1 FROM "large reader"; GRANT SELECT ON TABLE large.t1 TO "large reader";', port)
    time.sleep(2)
    found["CPU of a proxy for a GRANT or REVOKE, ms"] = (proxy.cpu() - spent) / CHANGES * 1e3
    found["resident at the most meanwhile, MiB"] = proxy.peak()
    spent = proxy.cpu()
    # By hand, so that nobody can tell what changed.
    bench.sql("UPDATE pgusher.version SET policy = policy + 1; NOTIFY pgusher_policy")
    time.sleep(8)
    found["CPU of a proxy that loads everything anew, s"] = proxy.cpu() - spent
    found["resident at the most while it does, MiB"] = proxy.peak()
    proxy.stop()
    return found


def readable(bench, port, token):
    try:
        bench.sql("SELECT count(*) FROM large.t1", port, "large reader", token)
        return True
    except SystemExit:
        return False
