"""SQLAlchemy's manners, each a check of its own: what it asks of the catalogs to reflect tables."""

import sys

import sqlalchemy
from sqlalchemy import MetaData, Table, create_engine, inspect, select
from sqlalchemy.exc import NoSuchTableError

import shop
from shop import DATABASE, HOST, PORT, UPSTREAM_PORT, check, person

HIDDEN = ("employees", "region_desk", "region_visible", "staff_directory", "orders", "pgusher")


def engine(name):
    user, token = person(name)
    url = sqlalchemy.URL.create("postgresql+psycopg", user, token, HOST, PORT, DATABASE)
    return create_engine(url)


def direct():
    return create_engine(sqlalchemy.URL.create("postgresql+psycopg", "postgres", "postgres", HOST, UPSTREAM_PORT, DATABASE))


def described(inspector, table):
    """All that an inspector tells of a table."""
    return {
        "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"], c.get("comment")) for c in inspector.get_columns(table)],
        "primary key": inspector.get_pk_constraint(table),
        "foreign keys": inspector.get_foreign_keys(table),
        "indexes": inspector.get_indexes(table),
        "unique": inspector.get_unique_constraints(table),
        "checks": inspector.get_check_constraints(table),
        "comment": inspector.get_table_comment(table),
    }


@check
def the_inspector_lists_what_is_permitted():
    ivan = inspect(engine("IVAN"))
    assert sorted(ivan.get_table_names()) == ["customers", "products", "regions"], ivan.get_table_names()
    assert "public" in ivan.get_schema_names() and not any("pgusher" in name for name in ivan.get_schema_names())
    for told in (ivan.get_view_names(), ivan.get_materialized_view_names(), ivan.get_sequence_names(), ivan.get_enums()):
        assert not any(hidden in str(told) for hidden in HIDDEN), told
    assert not ivan.has_table("employees") and ivan.has_table("regions")


@check
def a_table_is_reflected_as_directly():
    ana, truth = inspect(engine("ANA")), inspect(direct())
    for table in ("regions", "products", "intake", "ticket"):
        assert described(ana, table) == described(truth, table), table


@check
def a_masked_table_is_reflected_as_itself():
    seen, true = described(inspect(engine("ANA")), "employees"), described(inspect(direct()), "employees")
    for part in ("columns", "primary key", "indexes", "unique"):
        assert seen[part] == true[part], part


@check
def the_whole_metadata_is_reflected():
    known = MetaData()
    known.reflect(engine("IVAN"), views=True)
    assert {"customers", "products", "regions"} <= set(known.tables), known.tables.keys()
    for table in known.tables.values():
        text = " ".join([table.name, *(f"{c.name} {c.server_default and c.server_default.arg} {c.comment}" for c in table.columns)])
        text += " ".join(str(key.target_fullname) for column in table.columns for key in column.foreign_keys)
        assert not any(hidden in text for hidden in HIDDEN), text


@check
def an_administrator_reflects_what_there_is():
    admin, truth = inspect(engine("ADMIN")), inspect(direct())
    assert sorted(admin.get_table_names()) == sorted(truth.get_table_names())
    assert sorted(admin.get_view_names()) == sorted(truth.get_view_names())
    for table in truth.get_table_names():
        seen, true = described(admin, table), described(truth, table)
        assert seen["columns"] == true["columns"] and seen["foreign keys"] == true["foreign keys"], table
    assert "SELECT" in admin.get_view_definition("my_orders")


@check
def a_hidden_table_is_one_that_is_not_there():
    for name in ("employees", "no_such_table"):
        try:
            Table(name, MetaData(), autoload_with=engine("IVAN"))
        except NoSuchTableError:
            continue
        raise AssertionError(f"{name} was reflected")


@check
def reflected_tables_are_read_and_written():
    with engine("ANA").begin() as ana:
        ticket = Table("ticket", MetaData(), autoload_with=ana)
        made = ana.execute(ticket.insert().values(word="new").returning(ticket.c.id)).scalar_one()
        assert ana.execute(select(ticket.c.word).where(ticket.c.id == made)).scalar_one() == "new"
        orders = Table("orders", MetaData(), autoload_with=ana)
        assert ana.execute(select(orders.c.region, sqlalchemy.func.count()).group_by(orders.c.region)).all()[0][0] == "EMEA"
        ana.rollback()


if __name__ == "__main__":
    shop.report(shop.checks_of(sys.modules[__name__]), lambda check: check())
