"""asyncpg's manners, each a check of its own. Everything it runs but scripts is prepared and binary."""

import asyncio
import datetime
import io
import json
import sys
from decimal import Decimal

import asyncpg

import shop
from shop import BEYOND_FILTER, DATABASE, HOST, LONG, ORDER, PORT, UPSTREAM_PORT, check, person


async def connect(name, **options):
    user, token = person(name)
    settings = {"host": HOST, "port": PORT, "database": DATABASE, "user": user, "password": token, "timeout": 30, "ssl": False}
    return await asyncpg.connect(**(settings | options))


class As:
    """A person's connection for a block."""

    def __init__(self, name, **options):
        self.name, self.options = name, options

    async def __aenter__(self):
        self.connection = await connect(self.name, **self.options)
        return self.connection

    async def __aexit__(self, *failure):
        await self.connection.close(timeout=30)


async def truth(query):
    direct = await asyncpg.connect(host=HOST, port=UPSTREAM_PORT, database=DATABASE, user="postgres", password="postgres", ssl=False)
    try:
        return [tuple(row) for row in await direct.fetch(query)]
    finally:
        await direct.close()


async def own_orders():
    return (await truth("SELECT count(*) FROM orders WHERE region = 'EMEA'"))[0][0]


async def refused(states, awaitable):
    states = (states,) if isinstance(states, str) else states
    try:
        await awaitable
    except asyncpg.PostgresError as refusal:
        assert refusal.sqlstate in states, f"SQLSTATE {states} was expected, not {refusal.sqlstate}: {refusal}"
        return refusal
    raise AssertionError(f"SQLSTATE {states} was expected, it went through")


@check
async def a_query_gives_own_rows():
    async with As("ANA") as ana, As("BOB") as bob:
        assert await ana.fetchval("SELECT count(*) FROM orders") == await own_orders()
        assert await ana.fetchval("SELECT count(*) FROM orders WHERE region = $1", "AMER") == 0
        assert [r["region"] for r in await bob.fetch("SELECT DISTINCT region FROM orders")] == ["AMER"]
        assert await ana.fetchrow("SELECT current_user, session_user") == ("ana@example.com", "ana@example.com")


@check
async def masks_hold_for_analysts_and_fall_for_hr():
    query = "SELECT email, phone, salary, ssn FROM employees WHERE id = $1"
    (email, phone, salary, ssn), = await truth(query.replace("$1", "7"))
    async with As("ANA") as ana, As("HANA") as hana:
        assert await ana.fetchrow(query, 7) == (email[0] + "***@example.com", None, 0, "***-**-" + ssn[-4:])
        assert await hana.fetchrow(query, 7) == (email, phone, salary, ssn)
        assert await ana.fetch("SELECT name FROM employees WHERE ssn = $1", ssn) == []
        assert await ana.fetchval("SELECT max(salary) FROM employees") == 0


@check
async def a_prepared_statement_gives_own_rows_each_time():
    async with As("ANA") as ana:
        statement = await ana.prepare("SELECT count(*) FROM orders WHERE amount > $1 AND region = ANY($2)")
        assert [p.name for p in statement.get_parameters()] == ["numeric", "text[]"]
        expected = (await truth("SELECT count(*) FROM orders WHERE region = 'EMEA' AND amount > 500"))[0][0]
        for _ in range(10):
            assert await statement.fetchval(Decimal(500), ["EMEA", "AMER"]) == expected
        assert "Result" in str(await ana.fetch("EXPLAIN SELECT 1"))
        assert statement.get_attributes()[0].name == "count"


@check
async def the_statement_cache_gives_way_to_new_statements():
    async with As("ANA", statement_cache_size=5) as ana:
        expected = await own_orders()
        for n in range(30):
            assert await ana.fetchval(f"SELECT count(*) + {n} FROM orders") == expected + n
        for n in range(30):
            assert await ana.fetchval(f"SELECT count(*) + {n} FROM orders") == expected + n


@check
async def no_statement_cache_works_as_well():
    async with As("ANA", statement_cache_size=0) as ana:
        for _ in range(3):
            assert await ana.fetchval("SELECT count(*) FROM orders WHERE amount > $1", 0) <= await own_orders()


@check
async def a_cursor_reads_own_rows_in_pieces():
    async with As("ANA") as ana, ana.transaction():
        found = [r["id"] async for r in ana.cursor("SELECT id FROM orders WHERE amount >= $1 ORDER BY id", 0, prefetch=50)]
        assert [(n,) for n in found] == await truth("SELECT id FROM orders WHERE region = 'EMEA' ORDER BY id")
        cursor = await ana.cursor("SELECT id FROM orders ORDER BY id")
        await cursor.forward(3)
        assert (await cursor.fetchrow())["id"] == found[3]
        assert [r["id"] for r in await cursor.fetch(5)] == found[4:9]


@check
async def executemany_inserts_all_or_nothing():
    async with As("ANA") as ana:
        await ana.executemany("INSERT INTO ticket (word) VALUES ($1)", [(f"asyncpg {n}",) for n in range(500)])
        assert await ana.fetchval("SELECT count(*) FROM ticket WHERE word LIKE 'asyncpg %'") == 500
        rows = [(n, None) for n in range(20000, 20010)] + [(20000, None)]
        await refused("23505", ana.executemany("INSERT INTO intake (id, word) VALUES ($1, $2)", rows))
        assert await ana.fetchval("SELECT count(*) FROM intake WHERE id >= 20000") == 0
        assert await ana.execute("DELETE FROM ticket WHERE word LIKE 'asyncpg %'") == "DELETE 500"
        rows = await ana.fetchmany("INSERT INTO ticket (word) VALUES ($1) RETURNING word", [("a",), ("b",)])
        assert [r["word"] for r in rows] == ["a", "b"]


@check
async def copies_of_queries_and_tables_give_own_rows():
    async with As("ANA") as ana:
        out = io.BytesIO()
        said = await ana.copy_from_query("SELECT id, region FROM orders WHERE amount >= $1", 0, output=out, format="csv")
        assert said == f"COPY {await own_orders()}", said
        assert {line.split(b",")[1] for line in out.getvalue().splitlines()} == {b"EMEA"}
        out = io.BytesIO()
        await ana.copy_from_table("employees", columns=["salary", "ssn"], output=out)
        assert {line[:9] for line in out.getvalue().splitlines()} == {b"0\t***-**-"}
        out = io.BytesIO()
        await ana.copy_from_table("orders", schema_name="public", output=out, format="binary")
        assert b"AMER" not in out.getvalue() and b"EMEA" in out.getvalue()


@check
async def copies_into_tables_store_rows():
    async with As("ANA") as ana, ana.transaction():
        source = io.BytesIO(b"".join(b"%d,from csv\n" % n for n in range(30000, 31000)))
        assert await ana.copy_to_table("intake", source=source, columns=["id", "word"], format="csv") == "COPY 1000"
        records = [(n, "record", Decimal("1.25"), ["x", None]) for n in range(31000, 32000)]
        said = await ana.copy_records_to_table("intake", records=records, columns=["id", "word", "amount", "tags"])
        assert said == "COPY 1000", said
        assert await ana.fetchrow("SELECT count(*), sum(amount) FROM intake WHERE id >= 30000") == (2000, Decimal("1250.00"))
        await ana.execute("DELETE FROM intake WHERE id >= 30000")


@check
async def copies_into_a_filtered_table_respect_the_filter():
    columns = ["customer_id", "region", "sales_rep", "status", "ordered_on", "note"]

    def record(region):
        return (1, region, "ana@example.com", "open", datetime.date(2025, 11, 5), "asyncpg copy")

    async with As("ANA") as ana:
        await ana.copy_records_to_table("orders", records=[record("EMEA")] * 3, columns=columns)
        await refused(BEYOND_FILTER, ana.copy_records_to_table("orders", records=[record("EMEA"), record("AMER")], columns=columns))
        assert await truth("SELECT count(*) FROM orders WHERE note = 'asyncpg copy'") == [(3,)]
        assert await ana.execute("DELETE FROM orders WHERE note = 'asyncpg copy'") == "DELETE 3"


@check
async def domains_of_the_information_schema_are_introspected():
    async with As("ANA") as ana:
        rows = await ana.fetch("SELECT column_name, ordinal_position FROM information_schema.columns WHERE table_name = $1 AND table_schema = $2 ORDER BY 2", "intake", "public")
        assert [r["column_name"] for r in rows][:2] == ["id", "word"], rows


@check
async def enums_and_composites_are_introspected():
    async with As("ANA") as ana, ana.transaction():
        await ana.execute("INSERT INTO intake (id, mood, parcel) VALUES ($1, $2, $3)", 40000, "merry", (Decimal("1.5"), "fragile"))
        row = await ana.fetchrow("SELECT mood, parcel, ARRAY[mood] AS moods FROM intake WHERE id = 40000")
        assert (row["mood"], row["moods"]) == ("merry", ["merry"])
        assert row["parcel"]["label"] == "fragile" and row["parcel"]["weight"] == Decimal("1.5")
        await ana.execute("DELETE FROM intake WHERE id = 40000")


@check
async def introspection_works_where_jit_is_on():
    async with As("ANA", server_settings={"jit": "on"}) as ana:
        assert await ana.fetchval("SELECT 'merry'::mood") == "merry"
        assert await ana.fetchval("SHOW jit") == "on"


@check
async def whole_rows_are_masked():
    async with As("ANA") as ana:
        for row in await ana.fetch("SELECT e FROM employees AS e"):
            assert row["e"]["salary"] == 0 and row["e"]["ssn"].startswith("***-**-"), row
        assert await ana.fetchval("SELECT count(*) FROM (SELECT o FROM orders AS o) AS s") == await own_orders()


@check
async def codecs_can_be_set():
    async with As("ANA") as ana:
        await ana.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        assert await ana.fetchval("SELECT $1::jsonb", {"a": [1, 2]}) == {"a": [1, 2]}
        await ana.set_type_codec("mood", encoder=str, decoder=str.upper, schema="public", format="text")
        assert await ana.fetchval("SELECT 'calm'::mood") == "CALM"


@check
async def values_of_many_types_pass_both_ways():
    at = datetime.datetime(2025, 11, 5, 12, 30, tzinfo=datetime.timezone.utc)
    values = (50000, "wörd ∅ '\\", Decimal("12.50"), at, b"\x00\x01\xff", ["a", None, "{b}"], "calm", '{"a": [1, 2]}')
    columns = "id, word, amount, at, blob, tags, mood, facts"
    async with As("ANA") as ana, ana.transaction():
        row = await ana.fetchrow(f"INSERT INTO intake ({columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {columns}", *values)
        assert tuple(row) == values, row
        await ana.execute("DELETE FROM intake WHERE id = 50000")


@check
async def a_pool_resets_its_connections():
    user, token = person("ANA")
    pool = await asyncpg.create_pool(host=HOST, port=PORT, database=DATABASE, user=user, password=token, min_size=1, max_size=1, ssl=False)
    async with pool:
        async with pool.acquire() as first:
            await first.execute("SET statement_timeout = '5min'")
            await first.execute("SET TIME ZONE 'Asia/Tokyo'")
            await first.execute("LISTEN the_bell")
            process = first.get_server_pid()
        async with pool.acquire() as second:
            assert second.get_server_pid() == process
            assert await second.fetchval("SHOW statement_timeout") == "0"
            assert await second.fetchval("SHOW timezone") != "Asia/Tokyo"
            assert await second.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0
            assert await second.fetchval("SELECT count(*) FROM orders") == await own_orders()
            assert await second.fetchval("SELECT current_user") == "ana@example.com"
        counts = await asyncio.gather(*(pool.fetchval("SELECT count(*) FROM orders") for _ in range(20)))
        assert set(counts) == {await own_orders()}


@check
async def transactions_nest_by_savepoints():
    async with As("ANA") as ana:
        async with ana.transaction(isolation="serializable"):
            await ana.execute("INSERT INTO ticket (word) VALUES ('outer')")
            try:
                async with ana.transaction():
                    await ana.execute("INSERT INTO ticket (word) VALUES ('inner')")
                    await ana.fetch("SELECT * FROM region_desk")
            except asyncpg.InsufficientPrivilegeError:
                pass
            assert await ana.fetchval("SHOW transaction_isolation") == "serializable"
        assert [r["word"] for r in await ana.fetch("SELECT word FROM ticket WHERE word IN ('outer', 'inner')")] == ["outer"]
        await ana.execute("DELETE FROM ticket WHERE word = 'outer'")
        async with ana.transaction(readonly=True):
            await refused("25006", ana.execute("INSERT INTO ticket (word) VALUES ('no')"))


@check
async def scripts_run_by_the_simple_protocol():
    async with As("ANA") as ana:
        await ana.execute("BEGIN; INSERT INTO ticket (word) VALUES ('script'); UPDATE ticket SET word = 'scripted' WHERE word = 'script'; COMMIT;")
        assert await ana.execute("DELETE FROM ticket WHERE word = 'scripted'") == "DELETE 1"
        await refused("42501", ana.execute("INSERT INTO ticket (word) VALUES ('never'); SELECT * FROM region_desk;"))
        assert await ana.fetchval("SELECT count(*) FROM ticket WHERE word = 'never'") == 0


@check
async def errors_carry_their_sqlstate_detail_and_hint():
    async with As("IVAN") as ivan:
        said = await refused("42501", ivan.fetch("SELECT * FROM employees"))
        assert isinstance(said, asyncpg.InsufficientPrivilegeError)
        assert said.message == "permission denied for table employees", said.message
        assert "SELECT" in (said.detail or "") and said.hint, (said.detail, said.hint)
        await refused("42P01", ivan.fetch("SELECT * FROM nowhere WHERE a = $1", 1))
        said = await refused("42601", ivan.fetch("SELECT FROM FROM customers"))
        assert said.position == "13", said.position
        await refused("42601", ivan.fetch("SELECT 1; SELECT $1::int", 1))
        await refused("22012", ivan.fetch("SELECT 1 / $1::int", 0))
        assert await ivan.fetchval("SELECT 1") == 1
    async with As("ANA") as ana:
        await refused(BEYOND_FILTER, ana.execute(ORDER.format(region="$1", note="$2"), "AMER", "beyond"))


@check
async def a_wrong_token_is_a_wrong_password():
    said = await refused("28P01", connect("ANA", password="pgu_wrong"))
    assert said.message == 'password authentication failed for user "ana@example.com"', said.message
    said = await refused("28P01", connect("ANA", user="nobody@example.com"))
    assert said.message == 'password authentication failed for user "nobody@example.com"', said.message


@check
async def a_timeout_cancels_the_statement_and_not_the_session():
    async with As("ANA") as ana:
        try:
            await ana.fetch(LONG, timeout=0.3)
        except (asyncio.TimeoutError, TimeoutError):
            pass
        else:
            raise AssertionError("it ended by itself")
        assert await ana.fetchval("SELECT count(*) FROM orders") == await own_orders()


@check
async def notifications_and_notices_reach_the_client():
    async with As("ANA") as ana, As("BOB") as bob:
        heard = asyncio.get_running_loop().create_future()
        await ana.add_listener("the_bell", lambda _connection, _process, channel, payload: heard.set_result((channel, payload)))
        await bob.execute("NOTIFY the_bell, 'ding'")
        assert await asyncio.wait_for(heard, 30) == ("the_bell", "ding")
        notices = []
        ana.add_log_listener(lambda _connection, message: notices.append(message.sqlstate))
        await ana.execute("ROLLBACK")
        assert notices == ["25P01"], notices


@check
async def settings_of_the_startup_packet_hold():
    async with As("ANA", server_settings={"application_name": "the till", "search_path": "public", "statement_timeout": "300000"}) as ana:
        assert await ana.fetchval("SHOW application_name") == "the till"
        assert await ana.fetchval("SHOW statement_timeout") == "5min"
        assert await ana.fetchval("SELECT current_schema()") == "public"
        assert ana.get_server_version().major >= 14
        assert ana.get_settings().application_name == "the till"


@check
async def a_changed_table_is_noticed_and_retried():
    async with As("ANA") as ana, As("ADMIN") as admin:
        assert set((await ana.fetchrow("SELECT * FROM ticket LIMIT 1") or {}).keys()) <= {"id", "word"}
        await admin.execute("ALTER TABLE ticket ADD COLUMN extra integer DEFAULT 7")
        await ana.execute("INSERT INTO ticket (word) VALUES ('wider')")
        row = await ana.fetchrow("SELECT * FROM ticket WHERE word = 'wider'")
        assert row["extra"] == 7, row
        await admin.execute("ALTER TABLE ticket DROP COLUMN extra")
        row = await ana.fetchrow("SELECT * FROM ticket WHERE word = 'wider'")
        assert "extra" not in row.keys(), row
        await ana.execute("DELETE FROM ticket WHERE word = 'wider'")


if __name__ == "__main__":
    shop.report(shop.checks_of(sys.modules[__name__]), lambda one: asyncio.run(one()))
