"""The house rules that imports alone do not hold (those are import-linter's contracts in `pyproject.toml`).

The sets named `…_TODAY` are what still breaks a rule. Each is asserted to be exact: what is mended has to leave its
set, and nothing may enter one.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

from grimp import build_graph

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("otel_measure", "exporter")
TREE: Final = (*PACKAGES, "tests", "benchmarks", "examples")

BELOW_DEFINITIONS: Final = frozenset({"definitions", "records", "conventions", "stats", "errors"})
READS_THE_WORLD: Final = frozenset({"os", "psutil", "socket", "sqlite3", "subprocess", "threading", "time"})
READS_THE_CLOCK: Final = frozenset({"now", "today", "utcnow"})

MOST_LINES_OF_A_MODULE: Final = 400
MOST_LINES_OF_A_FUNCTION: Final = 75

TWO_MEANINGS_TODAY: Final[set[str]] = set()
LONG_MODULES_TODAY: Final[set[str]] = set()
LONG_FUNCTIONS_TODAY: Final[set[str]] = set()


@lru_cache(maxsize=1)
def tree() -> dict[str, ast.Module]:
    """Return every module of the project, parsed, by its path."""
    paths = [path for folder in TREE for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imports(module: ast.Module) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, wherever in it: module and name for `from`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def belongs(name: str, package: str) -> bool:
    """Whether a dotted name is the package or something of it."""
    return name == package or name.startswith(f"{package}.")


def users_of(package: str, folders: tuple[str, ...]) -> set[str]:
    """Return the modules of some folders, those of the SQLite engine excepted, that import something of a package."""
    return {
        path
        for path, module in tree().items()
        if path.startswith(folders) and not path.startswith("otel_measure/store/sqlite/")
        if any(belongs(name, package) for name in imports(module))
    }


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function takes, its decorators and its docstring included."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or first) - first + 1


def is_pure(name: str) -> bool:
    """Whether a module of `definitions/` may import this: what lies below it, or arithmetic of the standard library."""
    top, *rest = name.split(".")
    if top == "otel_measure":
        return bool(rest) and rest[0] in BELOW_DEFINITIONS
    return top in sys.stdlib_module_names and top not in READS_THE_WORLD


def test_definitions_need_no_store_no_settings_and_no_clock() -> None:
    """`definitions/` imports records, conventions, stats, errors and what computes; nothing in it reads a clock."""
    modules = {path: module for path, module in tree().items() if path.startswith("otel_measure/definitions/")}
    assert modules
    impure = {
        path: names for path, module in modules.items() if (names := [n for n in imports(module) if not is_pure(n)])
    }
    clocks = [
        f"{path}:{node.lineno}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr in READS_THE_CLOCK
    ]
    assert (impure, clocks) == ({}, [])


def test_sqlite3_is_imported_below_its_engine_only() -> None:
    """In the packages `sqlite3` is imported below `store/sqlite` only."""
    assert users_of("sqlite3", PACKAGES) == set()


def test_an_engine_is_imported_by_engines_only() -> None:
    """`store/engines.py` alone imports an engine; everyone else, benchmarks too, opens a store by its URL.

    ClickHouse has one of SQLite in memory: what is small is kept by its code.
    """
    users = users_of("otel_measure.store.sqlite", (*PACKAGES, "benchmarks", "examples"))
    assert {path for path in users if not path.startswith("otel_measure/store/clickhouse/")} == {
        "otel_measure/store/engines.py"
    }


def test_no_module_imports_itself_over_others() -> None:
    """Imports make no circle between modules, those for type checking and those inside of functions included."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    today = {ignored for contract in contracts for ignored in contract.get("ignore_imports", ())}
    graph = build_graph(*PACKAGES)
    edges = {
        importer: {
            name for name in graph.find_modules_directly_imported_by(importer) if f"{importer} -> {name}" not in today
        }
        for importer in graph.modules
    }
    TopologicalSorter(edges).prepare()  # raises CycleError, which names the modules


def test_a_class_name_means_one_thing() -> None:
    """No two classes of the whole tree have the same name, private ones and those of tests included."""
    names = Counter(
        node.name for module in tree().values() for node in ast.walk(module) if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == TWO_MEANINGS_TODAY


def test_scripts_of_the_schema_are_numbered_one_by_one() -> None:
    """Two of one number, which two branches may bring, would be one script and half a schema."""
    names = sorted(path.name for path in (ROOT / "otel_measure/store/sqlite/schema").glob("*.sql"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_no_module_is_long() -> None:
    """No module has more than 400 lines."""
    long = {path for path in tree() if (ROOT / path).read_text(encoding="utf-8").count("\n") > MOST_LINES_OF_A_MODULE}
    assert long == LONG_MODULES_TODAY


def test_no_function_is_long() -> None:
    """No function has more than 75 lines."""
    long = {
        f"{path}:{node.name}"
        for path, module in tree().items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines(node) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == LONG_FUNCTIONS_TODAY
