"""The bench of statements as a module: its cluster and its proxy serve the other benches."""

import importlib.machinery
import importlib.util
import pathlib


def bench_program():
    """The bench of statements, whose cluster and proxy are used here."""
    path = str(pathlib.Path(__file__).with_name("run"))
    loader = importlib.machinery.SourceFileLoader("bench_run", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_run", loader))
    loader.exec_module(module)
    return module
