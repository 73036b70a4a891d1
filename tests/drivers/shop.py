"""Where the shop is and who is in it, and how the checks of a Python driver are run and reported."""

import inspect
import os
import sys
import traceback

HOST = os.environ["PGUSHER_HOST"]
PORT = int(os.environ["PGUSHER_PORT"])
UPSTREAM_PORT = int(os.environ["PGUSHER_UPSTREAM_PORT"])
DATABASE = os.environ["PGUSHER_DATABASE"]

# A statement that nobody waits for.
LONG = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b"
ORDER = (
    "INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on, note) "
    "VALUES (1, {region}, 'ana@example.com', 'open', '2025-11-05', {note})"
)
# What a filter says of a row that it hides from its writer: row security's code, or a view's WITH CHECK OPTION.
BEYOND_FILTER = ("42501", "44000")


def person(name):
    """The user name and token of a person by the prefix of their variables."""
    return os.environ[f"{name}_USER"], os.environ[f"{name}_TOKEN"]


def report(checks, run):
    """Runs the checks (or those named as arguments) and prints a verdict on each."""
    wanted = sys.argv[1:]
    for check in checks:
        name = check.__name__
        if wanted and name not in wanted:
            continue
        try:
            run(check)
            print(f"ok {name}", flush=True)
        except BaseException as failure:  # whatever it is, it is the verdict
            print(f"not ok {name}")
            for line in "".join(traceback.format_exception(failure)).splitlines():
                print(f"  {line}")
            state = getattr(failure, "sqlstate", None)
            print(f"  SQLSTATE {state}", flush=True)


def checks_of(module):
    """The functions of a module that are marked as checks, in the order of its text."""
    found = [f for f in vars(module).values() if getattr(f, "is_check", False)]
    return sorted(found, key=lambda f: inspect.getsourcelines(f)[1])


def check(function):
    """Marks a check."""
    function.is_check = True
    return function
