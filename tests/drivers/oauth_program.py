"""SASL OAUTHBEARER by libpq 18, driven through psycopg: the hook that gives libpq a token stands for the browser of a user."""

import ctypes
import glob
import os
import sys

os.environ["PGOAUTHDEBUG"] = "UNSAFE"  # the issuer of the test has no certificate

import psycopg
import psycopg_binary

from shop import DATABASE, HOST, PORT, check, checks_of, person, report

ISSUER = os.environ["ISSUER"]
BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN

asked = []
given = None


class Request(ctypes.Structure):
    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("poll", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Request))
def hook(kind, _connection, request):
    if kind != BEARER_TOKEN:
        return 0
    asked.append((request.contents.openid_configuration, request.contents.scope))
    request.contents.token = given
    return 1


folder = os.path.join(os.path.dirname(os.path.dirname(psycopg_binary.__file__)), "psycopg_binary.libs")
libpq = ctypes.CDLL(glob.glob(os.path.join(folder, "libpq-*.so*"))[0])
assert libpq.PQlibVersion() >= 180000, "libpq 18 speaks OAUTHBEARER"
libpq.PQsetAuthDataHook.restype = None
libpq.PQsetAuthDataHook(hook)


def connect(user, token, options="-c pgusher.auth=oauthbearer"):
    global given
    given = token.encode()
    asked.clear()
    return psycopg.connect(
        host=HOST, port=PORT, dbname=DATABASE, user=user, options=options, oauth_issuer=ISSUER, oauth_client_id="test", connect_timeout=30
    )


def refused(user, token):
    try:
        connect(user, token)
    except psycopg.OperationalError as refusal:
        return str(refusal).split("FATAL:")[-1].strip()
    raise AssertionError("it was let in")


@check
def libpq_is_told_where_to_get_a_token_and_logs_in_with_it():
    with connect("ana@example.com", os.environ["ANA_JWT"]) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("ana@example.com",)
    place = f"{ISSUER}/.well-known/openid-configuration".encode()
    assert asked == [(place, b"openid email")], asked


@check
def a_token_of_pgushers_own_is_a_bearer_token():
    user, token = person("ANA")
    with connect(user, token) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == (user,)


@check
def bad_tokens_are_refused_with_one_text():
    expected = 'OAuth bearer authentication failed for user "ana@example.com"'
    header, claims, signature = os.environ["ANA_JWT"].split(".")
    for token in [
        "pgu_" + "x" * 43,
        person("BOB")[1],
        f"{header}.{claims}.{signature[::-1]}",
        f"{header}.{claims}",
        os.environ["ANA_JWT_FOR_OTHERS"],
    ]:
        assert refused("ana@example.com", token) == expected, refused("ana@example.com", token)


@check
def who_does_not_ask_for_it_is_asked_for_a_password():
    user, token = person("ANA")
    with psycopg.connect(host=HOST, port=PORT, dbname=DATABASE, user=user, password=token) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == (user,)
    try:
        connect(user, token, options="")
    except psycopg.OperationalError as refusal:
        assert "password" in str(refusal), refusal
    else:
        raise AssertionError("a password was not asked for")


@check
def a_bearer_sees_own_rows_and_may_act_for_somebody():
    with connect("token", os.environ["ANA_JWT"]) as connection:
        assert connection.execute("SELECT DISTINCT region FROM orders").fetchall() == [("EMEA",)]
    with psycopg.connect(host=HOST, port=PORT, dbname=DATABASE, user=person("ADMIN")[0], password=person("ADMIN")[1]) as admin:
        admin.execute('GRANT ACT FOR USER "ana@example.com" TO bi_tool')
    user, token = person("BI_TOOL")
    with connect(user, token, "-c pgusher.auth=oauthbearer -c pgusher.on_behalf_of=ana@example.com") as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("ana@example.com",)


if __name__ == "__main__":
    report(checks_of(sys.modules[__name__]), lambda check: check())
