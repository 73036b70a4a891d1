"""psycopg 3's manners, each a check of its own."""

import asyncio
import datetime
import os
import sys
import threading
from decimal import Decimal

import psycopg
from psycopg import ClientCursor, IsolationLevel, RawCursor, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, scalar_row
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo
from psycopg.types.json import Jsonb

import shop
from shop import BEYOND_FILTER, DATABASE, HOST, LONG, ORDER, PORT, UPSTREAM_PORT, check, person


def connect(name, **options):
    user, token = person(name)
    settings = {"host": HOST, "port": PORT, "dbname": DATABASE, "user": user, "password": token, "connect_timeout": 30}
    return psycopg.connect(**(settings | options))


def truth(query):
    settings = {"host": HOST, "port": UPSTREAM_PORT, "dbname": DATABASE, "user": "postgres", "password": "postgres"}
    with psycopg.connect(**settings) as direct:
        return direct.execute(query).fetchall()


def own_orders():
    return truth("SELECT count(*) FROM orders WHERE region = 'EMEA'")[0][0]


def refused(state, function, *arguments):
    states = (state,) if isinstance(state, str) else state
    try:
        function(*arguments)
    except psycopg.Error as refusal:
        assert refusal.sqlstate in states, f"SQLSTATE {state} was expected, not {refusal.sqlstate}: {refusal}"
        return refusal
    raise AssertionError(f"SQLSTATE {state} was expected, it went through")


@check
def a_simple_query_gives_own_rows():
    with connect("ANA") as ana, connect("BOB") as bob:
        assert ana.execute("SELECT DISTINCT region FROM orders").fetchall() == [("EMEA",)]
        assert bob.execute("SELECT DISTINCT region FROM orders").fetchall() == [("AMER",)]
        assert ana.execute("SELECT count(*) FROM orders").fetchone() == (own_orders(),)
        assert ana.execute("SELECT count(*) FROM orders WHERE region = %s", ["AMER"]).fetchone() == (0,)


@check
def several_statements_in_one_text_give_several_results():
    with connect("ANA") as ana:
        cursor = ana.execute("SELECT 1; SELECT DISTINCT region FROM orders; SELECT current_user")
        results = [cursor.fetchall()]
        while cursor.nextset():
            results.append(cursor.fetchall())
        assert results == [[(1,)], [("EMEA",)], [("ana@example.com",)]], results


@check
def masks_hold_for_analysts_and_fall_for_hr():
    query = "SELECT email, phone, salary, ssn FROM employees WHERE id = 7"
    (email, phone, salary, ssn) = truth(query)[0]
    with connect("ANA", row_factory=dict_row) as ana, connect("HANA") as hana:
        for binary in (False, True):
            masked = ana.execute(query, binary=binary).fetchone()
            shown = {"email": email[0] + "***@example.com", "phone": None, "salary": 0, "ssn": "***-**-" + ssn[-4:]}
            assert masked == shown, masked
            assert hana.execute(query, binary=binary).fetchone() == (email, phone, salary, ssn)
        assert ana.execute("SELECT count(*) FROM employees WHERE ssn = %s", [ssn]).fetchone() == {"count": 0}


@check
def a_statement_prepared_on_its_first_use_gives_own_rows_ten_times():
    with connect("ANA", prepare_threshold=0) as ana:
        expected = truth("SELECT count(*) FROM orders WHERE region = 'EMEA' AND amount > 500")
        for _ in range(10):
            assert ana.execute("SELECT count(*) FROM orders WHERE amount > %s", [500]).fetchall() == expected


@check
def prepared_statements_beyond_the_limit_are_given_up():
    with connect("ANA", prepare_threshold=0) as ana:
        ana.prepared_max = 3
        for n in range(20):
            assert ana.execute(f"SELECT count(*) + {n} FROM orders WHERE amount >= %s", [0]).fetchone()[0] == own_orders() + n


@check
def a_server_side_cursor_reads_own_rows_in_pieces():
    with connect("ANA") as ana:
        with ana.cursor(name="pieces", row_factory=scalar_row) as cursor:
            cursor.itersize = 50
            cursor.execute("SELECT id FROM orders WHERE amount >= %s ORDER BY id", [0])
            found = list(cursor)
        assert [(n,) for n in found] == truth("SELECT id FROM orders WHERE region = 'EMEA' ORDER BY id")


@check
def a_scrollable_cursor_goes_back():
    with connect("ANA") as ana:
        with ana.cursor(name="there and back", scrollable=True, row_factory=scalar_row) as cursor:
            cursor.execute("SELECT id FROM orders ORDER BY id")
            first = cursor.fetchmany(5)
            cursor.scroll(0, mode="absolute")
            assert cursor.fetchmany(5) == first
            cursor.scroll(3)
            assert cursor.fetchone() > first[-1]


@check
def a_cursor_with_hold_outlives_its_transaction():
    with connect("ANA") as ana:
        cursor = ana.cursor(name="held", withhold=True)
        cursor.execute("SELECT salary, ssn FROM employees")
        ana.commit()
        assert {(s, n[:7]) for s, n in cursor.fetchall()} == {(0, "***-**-")}
        cursor.close()


@check
def rows_can_be_streamed():
    with connect("ANA") as ana:
        found = [region for (region,) in ana.cursor().stream("SELECT region FROM orders")]
        assert found == ["EMEA"] * own_orders()


@check
def a_pipeline_runs_many_statements():
    with connect("ANA") as ana, ana.pipeline() as pipeline:
        cursors = [ana.execute("SELECT count(*) + %s FROM orders", [n]) for n in range(50)]
        pipeline.sync()
        assert [c.fetchone()[0] for c in cursors] == [own_orders() + n for n in range(50)]


@check
def a_refusal_in_a_pipeline_aborts_what_follows_until_sync():
    with connect("ANA", autocommit=True) as ana:
        with ana.pipeline() as pipeline:
            good = ana.execute("SELECT DISTINCT region FROM orders WHERE id > %s", [0])
            bad = ana.execute("SELECT * FROM region_desk WHERE region = %s", ["EMEA"])
            never = ana.execute("INSERT INTO ticket (word) VALUES (%s)", ["pipelined"])
            refused("42501", pipeline.sync)
            assert good.fetchall() == [("EMEA",)]
            assert bad.pgresult is None and never.pgresult is None
            after = ana.execute("SELECT count(*) FROM ticket WHERE word = %s", ["pipelined"])
            assert after.fetchone() == (0,)
        assert ana.execute("SELECT 1").fetchone() == (1,)


@check
def executemany_inserts_and_returns():
    with connect("ANA") as ana:
        cursor = ana.cursor()
        cursor.executemany("INSERT INTO ticket (word) VALUES (%s) RETURNING id, word", [[f"many {n}"] for n in range(100)], returning=True)
        words = []
        while True:
            words.append(cursor.fetchone()[1])
            if not cursor.nextset():
                break
        assert words == [f"many {n}" for n in range(100)]
        cursor.executemany("UPDATE ticket SET word = %s WHERE word = %s", [["done", w] for w in words])
        assert cursor.rowcount == 100
        ana.rollback()


@check
def copy_out_gives_own_rows():
    with connect("ANA") as ana, ana.cursor() as cursor:
        with cursor.copy("COPY orders (id, region) TO STDOUT") as copy:
            rows = list(copy.rows())
        assert len(rows) == own_orders() and {region for _, region in rows} == {"EMEA"}
        with cursor.copy("COPY (SELECT salary, ssn FROM employees) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            assert {(s, n[:7]) for s, n in copy.rows()} == {(0, "***-**-")}
        with cursor.copy("COPY (SELECT generate_series(1, %s)) TO STDOUT", [3]) as copy:
            assert b"".join(copy) == b"1\n2\n3\n"
    with connect("HANA") as hana, hana.cursor() as cursor:
        with cursor.copy("COPY employees (ssn) TO STDOUT") as copy:
            assert sorted(copy.rows()) == truth("SELECT ssn FROM employees ORDER BY ssn COLLATE \"C\"")


@check
def copy_in_stores_rows():
    with connect("ANA") as ana, ana.cursor() as cursor:
        with cursor.copy("COPY intake (id, word, amount) FROM STDIN") as copy:
            for n in range(2000):
                copy.write_row((n + 1000, f"wörd\t{n}", Decimal("1.50")))
        with cursor.copy("COPY intake (id, word) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(2000):
                copy.write_row((n + 5000, f"binary {n}"))
        assert cursor.rowcount == 2000
        assert ana.execute("SELECT count(*), sum(amount) FROM intake").fetchone() == (4000, Decimal("3000.00"))
        ana.rollback()


@check
def a_copy_in_that_the_client_gives_up_stores_nothing():
    class Enough(Exception):
        pass

    with connect("ANA", autocommit=True) as ana:
        try:
            with ana.cursor().copy("COPY intake (id, word) FROM STDIN") as copy:
                copy.write_row((9000, "half"))
                raise Enough
        except (Enough, psycopg.errors.QueryCanceled):
            pass
        assert ana.execute("SELECT count(*) FROM intake WHERE id = 9000").fetchone() == (0,)
        assert ana.info.transaction_status == TransactionStatus.IDLE


@check
def copy_in_respects_the_row_filter():
    command = "COPY orders (customer_id, region, sales_rep, status, ordered_on, note) FROM STDIN"

    def fill(connection, regions):
        with connection.cursor().copy(command) as copy:
            for region in regions:
                copy.write_row((1, region, "ana@example.com", "open", "2025-11-05", "psycopg copy"))

    with connect("ANA", autocommit=True) as ana:
        fill(ana, ["EMEA", "EMEA"])
        refused(BEYOND_FILTER, fill, ana, ["EMEA", "AMER"])
        assert truth("SELECT count(*) FROM orders WHERE note = 'psycopg copy'") == [(2,)]
        assert ana.execute("DELETE FROM orders WHERE note = 'psycopg copy'").rowcount == 2


@check
def transactions_nest_by_savepoints():
    with connect("ANA") as ana:
        with ana.transaction():
            ana.execute("INSERT INTO ticket (word) VALUES ('outer')")
            try:
                with ana.transaction():
                    ana.execute("INSERT INTO ticket (word) VALUES ('inner')")
                    ana.execute("SELECT * FROM region_desk")
            except psycopg.errors.InsufficientPrivilege:
                pass
            with ana.transaction("named"):
                ana.execute("UPDATE ticket SET word = 'changed' WHERE word = 'outer'")
        assert ana.execute("SELECT word FROM ticket WHERE word IN ('outer', 'inner', 'changed')").fetchall() == [("changed",)]
        ana.execute("DELETE FROM ticket WHERE word = 'changed'")


@check
def a_refusal_fails_the_transaction_until_rollback():
    with connect("ANA") as ana:
        ana.execute("SELECT 1")
        assert ana.info.transaction_status == TransactionStatus.INTRANS
        refused("42501", ana.execute, "SELECT * FROM region_desk")
        assert ana.info.transaction_status == TransactionStatus.INERROR
        refused("25P02", ana.execute, "SELECT 1")
        ana.rollback()
        assert ana.info.transaction_status == TransactionStatus.IDLE
        assert ana.execute("SELECT 1").fetchone() == (1,)


@check
def isolation_read_only_and_deferrable_hold():
    with connect("ANA") as ana:
        ana.isolation_level = IsolationLevel.SERIALIZABLE
        ana.read_only = True
        ana.deferrable = True
        assert ana.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
        assert ana.execute("SHOW transaction_read_only").fetchone() == ("on",)
        refused("25006", ana.execute, "INSERT INTO ticket (word) VALUES ('no')")
        ana.rollback()


@check
def errors_carry_their_sqlstate_detail_and_hint():
    with connect("IVAN", autocommit=True) as ivan:
        said = refused("42501", ivan.execute, "SELECT * FROM employees").diag
        assert said.message_primary == "permission denied for table employees", said.message_primary
        assert said.severity == "ERROR" and said.severity_nonlocalized == "ERROR"
        assert "SELECT" in (said.message_detail or ""), said.message_detail
        assert said.message_hint, "a hint"
        said = refused("42601", ivan.execute, "SELECT FROM FROM customers").diag
        assert said.statement_position == "13", said.statement_position
        refused("42P01", ivan.execute, "SELECT * FROM nowhere WHERE a = %s", [1])
        refused("22012", ivan.execute, "SELECT 1 / %s", [0])
        refused("42501", ivan.execute, "CREATE TABLE mine (id integer)")
        assert ivan.execute("SELECT 1").fetchone() == (1,)


@check
def a_wrong_token_is_a_wrong_password():
    said = refused((None, "28P01"), lambda: connect("ANA", password="pgu_wrong"))
    assert 'password authentication failed for user "ana@example.com"' in str(said), said
    said = refused((None, "28P01"), lambda: connect("ANA", user="nobody@example.com"))
    assert 'password authentication failed for user "nobody@example.com"' in str(said), said


@check
def an_issuers_jwt_is_a_password():
    with connect("ANA", password=os.environ["ANA_JWT"]) as ana:
        assert ana.execute("SELECT current_user, array_agg(DISTINCT region) FROM orders").fetchone() == ("ana@example.com", ["EMEA"])
    refused((None, "28P01"), lambda: connect("ANA", user="bob@example.com", password=os.environ["ANA_JWT"]))


@check
def a_statement_is_cancelled():
    with connect("ANA", autocommit=True) as ana:
        verdict = []

        def run():
            try:
                ana.execute(LONG)
                verdict.append("it ended by itself")
            except psycopg.Error as refusal:
                verdict.append(refusal.sqlstate)

        thread = threading.Thread(target=run)
        thread.start()
        for _ in range(1000):
            if not thread.is_alive():
                break
            ana.cancel_safe(timeout=30)
            thread.join(0.02)
        assert verdict == ["57014"], verdict
        assert ana.execute("SELECT 1").fetchone() == (1,)


@check
def a_statement_timeout_ends_the_statement():
    with connect("ANA", autocommit=True) as ana:
        ana.execute("SET statement_timeout = '200ms'")
        refused("57014", ana.execute, LONG)
        ana.execute("RESET statement_timeout")
        assert ana.execute("SELECT count(*) FROM orders").fetchone() == (own_orders(),)


@check
def types_of_the_database_can_be_looked_up():
    with connect("ANA") as ana:
        assert TypeInfo.fetch(ana, "mood").oid == truth("SELECT 'mood'::regtype::oid")[0][0]
        assert EnumInfo.fetch(ana, "mood").labels == ["calm", "merry"]
        info = CompositeInfo.fetch(ana, "parcel")
        assert list(info.field_names) == ["weight", "label"]
        register_composite(info, ana)
        parcel = info.python_type(Decimal("1.5"), "fragile")
        for binary in (False, True):
            assert ana.execute("SELECT %s::parcel", [parcel], binary=binary).fetchone() == (parcel,)


@check
def values_of_many_types_pass_both_ways():
    at = datetime.datetime(2025, 11, 5, 12, 30, tzinfo=datetime.timezone.utc)
    values = [2, "wörd ∅ '\\", Decimal("12.50"), at, b"\x00\x01\xff", ["a", None, "{b}"], "merry", Jsonb({"a": [1, 2]})]
    columns = "id, word, amount, at, blob, tags, mood, facts"
    with connect("ANA") as ana:
        for factory in (psycopg.Cursor, ClientCursor):
            for binary in (False, True):
                cursor = factory(ana)
                if factory is ClientCursor and binary:
                    continue
                cursor.execute(f"INSERT INTO intake ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", values)
                found = cursor.execute(f"SELECT {columns.replace('mood', 'mood::text')} FROM intake WHERE id = 2", **({} if factory is ClientCursor else {"binary": binary})).fetchone()
                assert found == (*values[:-1], {"a": [1, 2]}), found
                ana.rollback()
        raw = RawCursor(ana).execute("SELECT count(*) FROM orders WHERE region = ANY($1) AND amount > $2", [["EMEA", "AMER"], 0])
        assert raw.fetchone()[0] <= own_orders()


@check
def composed_statements_reach_quoted_names():
    with connect("ANA") as ana:
        query = sql.SQL("SELECT {} FROM {} WHERE {} = {} ORDER BY 1 LIMIT 3").format(
            sql.Identifier("id"), sql.Identifier("public", "orders"), sql.Identifier("region"), sql.Placeholder())
        assert len(ana.execute(query, ["EMEA"]).fetchall()) == 3
        assert ana.execute(query, ["AMER"]).fetchall() == []
        literal = sql.SQL("SELECT count(*) FROM orders WHERE region = {}").format("AMER")
        assert ana.execute(literal).fetchone() == (0,)


@check
def settings_and_identity_are_reported():
    with connect("ANA", application_name="the till", options="-c statement_timeout=5min -c search_path=public") as ana:
        assert ana.info.user == "ana@example.com"
        assert ana.info.server_version >= 140000
        assert ana.info.parameter_status("application_name") == "the till"
        assert ana.info.parameter_status("client_encoding") == "UTF8"
        assert ana.info.encoding == "utf-8"
        assert ana.execute("SHOW statement_timeout").fetchone() == ("5min",)
        assert ana.execute("SELECT current_user, session_user, user").fetchone() == ("ana@example.com",) * 3
        ana.execute("SET TIME ZONE 'Asia/Tokyo'")
        assert ana.info.timezone.key == "Asia/Tokyo"
        ana.execute("SELECT set_config('timezone', %s, false)", ["UTC"])
        assert ana.info.parameter_status("TimeZone") == "UTC"


@check
def notices_reach_the_client():
    with connect("ANA", autocommit=True) as ana:
        heard = []
        ana.add_notice_handler(lambda diag: heard.append((diag.sqlstate, diag.severity)))
        ana.execute("ROLLBACK")
        assert heard == [("25P01", "WARNING")], heard


@check
def notifications_reach_their_listeners():
    with connect("ANA", autocommit=True) as ana, connect("BOB", autocommit=True) as bob:
        ana.execute("LISTEN the_bell")
        bob.execute("NOTIFY the_bell, 'ding'")
        heard = next(ana.notifies(timeout=30))
        assert (heard.channel, heard.payload) == ("the_bell", "ding")
        ana.execute("UNLISTEN *")


@check
def a_filtered_upsert_and_a_returning_write_keep_to_own_rows():
    with connect("ANA") as ana:
        changed = ana.execute("UPDATE orders SET note = 'x' RETURNING region").fetchall()
        assert changed == [("EMEA",)] * own_orders()
        ana.rollback()
        refused(BEYOND_FILTER, ana.execute, ORDER.format(region="%s", note="%s"), ["AMER", "beyond"])
        ana.rollback()
        upsert = "INSERT INTO intake (id, word) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET word = excluded.word RETURNING word"
        assert [ana.execute(upsert, [5, word]).fetchone() for word in ("a", "b")] == [("a",), ("b",)]
        ana.rollback()


@check
def the_asynchronous_connection_works_as_well():
    async def run():
        user, token = person("ANA")
        connection = await psycopg.AsyncConnection.connect(host=HOST, port=PORT, dbname=DATABASE, user=user, password=token)
        async with connection as ana:
            cursor = await ana.execute("SELECT count(*) FROM orders")
            assert await cursor.fetchone() == (own_orders(),)
            async with ana.pipeline():
                cursors = [await ana.execute("SELECT %s::int", [n]) for n in range(10)]
            assert [(await c.fetchone())[0] for c in cursors] == list(range(10))

    asyncio.run(run())


if __name__ == "__main__":
    shop.report(shop.checks_of(sys.modules[__name__]), lambda one: one())
