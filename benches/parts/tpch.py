"""TPC-H's 22 queries at scale 0.1: without policies, and under a row filter on orders and a mask on customers."""

import hashlib
import pathlib
import re
import time

from . import USER
from .statements import interleaved
from .wire import Reader

HERE = pathlib.Path(__file__).resolve().parents[2]
TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")


def queries():
    """The oracle's, by their names."""
    text = (HERE / "tests/differential/corpus/tpch.sql").read_text()
    return dict(re.findall(r"^-- (Q\d+)\n(.*?;)$(?=\n--|\n*\Z)", text, re.MULTILINE | re.DOTALL))


def fill(bench):
    """The same data in three schemas: plain, under pgusher's policies, under row security by hand."""
    schema, constraints = ((HERE / f"tests/differential/tpch/{name}.sql").read_text() for name in ("schema", "constraints"))
    bench.sql(f"CREATE SCHEMA tpch; SET search_path = tpch, public;\n{schema}\n{(HERE / 'benches/tpch.sql').read_text()}\n{constraints}")
    member = "(SELECT pg_has_role(current_user, 'bench_readers', 'member'))"
    for other in ("tpch_governed", "tpch_native"):
        copies = "".join(f"INSERT INTO {other}.{table} SELECT * FROM tpch.{table};" for table in TABLES)
        bench.sql(f"CREATE SCHEMA {other}; SET search_path = {other}, public;\n{schema}\n{copies}\n{constraints}")
    for name in ("tpch", "tpch_governed", "tpch_native"):
        bench.sql(f"""
            ALTER SCHEMA {name} OWNER TO bench_owner;
            GRANT USAGE ON SCHEMA {name} TO "{USER}";
            GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO "{USER}";
            DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY '{{{",".join(TABLES)}}}'::text[] LOOP EXECUTE format('ALTER TABLE {name}.%I OWNER TO bench_owner', t); END LOOP; END $$;""")
    bench.sql(f"""
        ALTER TABLE tpch_native.orders ENABLE ROW LEVEL SECURITY;
        CREATE POLICY readers ON tpch_native.orders USING ({member} AND o_orderkey > 0);
        ALTER TABLE tpch_native.customer RENAME TO customer_raw;
        CREATE VIEW tpch_native.customer WITH (security_barrier) AS SELECT c_custkey, c_name, c_address, c_nationkey,
            CASE WHEN pg_has_role(current_user, 'bench_readers', 'member') THEN c_phone ELSE 'x' END::char(15) AS c_phone, c_acctbal, c_mktsegment, c_comment
            FROM tpch_native.customer_raw;
        ALTER VIEW tpch_native.customer OWNER TO bench_owner;
        GRANT SELECT ON tpch_native.customer TO "{USER}";
        VACUUM (ANALYZE);""")
    # init gives the session's role its rights; tables that came later are found by the catalog watch.
    deadline = time.monotonic() + 60
    while True:
        try:
            bench.govern("GRANT SELECT ON SCHEMA tpch TO readers;\nGRANT SELECT ON SCHEMA tpch_governed TO readers;")
            break
        except SystemExit:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    bench.govern("ALTER TABLE tpch_governed.orders SET ROW FILTER (is_member('readers') AND o_orderkey > 0);\n"
                 "ALTER TABLE tpch_governed.customer ALTER COLUMN c_phone SET MASK (CASE WHEN is_member('readers') THEN c_phone ELSE 'x' END);")


def tpch(bench, options):
    """Seconds of all queries after each other, and of each; every answer is the same as the direct connection's."""
    fill(bench)
    asked = queries()
    if len(asked) != 22:
        raise SystemExit(f"{len(asked)} queries instead of 22")
    answers = {}
    targets = [(target.name, target, "tpch") for target in bench.proxies()]
    targets += [("pgusher, policies", bench.proxies()[-1], "tpch_governed"), ("direct, row security and view", bench.direct(), "tpch_native")]
    cases = [(name, lambda t=target, s=schema: run(t, s, asked, answers)) for name, target, schema in targets]
    return interleaved(bench, options, "TPC-H", cases)


def run(target, schema, asked, answers):
    reader = Reader(target.port, target.password)
    reader.fetch(f"SET search_path = {schema}, public")
    before = target.process.cpu() if target.process else 0
    took = {}
    for name, query in asked.items():
        kept, began = bytearray(), time.monotonic()
        reader.fetch(query, kept)
        took[name] = time.monotonic() - began
        # RowDescription tells tables' numbers, which differ.
        rows = kept[1 + int.from_bytes(kept[1:5], "big"):]
        if answers.setdefault(name, digest := hashlib.sha256(rows).digest()) != digest:
            raise SystemExit(f"{name} is answered otherwise by {target.name} on {schema}")
    reader.close()
    return took | {"all": sum(took.values()), "proxy": 1e3 * ((target.process.cpu() if target.process else 0) - before)}
