"""Environments as numbers: which one each fact is from, and which one an answer is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias

from otel_measure.definitions.environments import environment_asked
from otel_measure.store.sqlite.chunks import rows_in

Columns: TypeAlias = Sequence[Sequence[Any]]
_UNSEEN: Final = 0
"""The id of an environment that no fact is from; nothing is rolled up of it."""


class Environment(NamedTuple):
    """An environment, and the number that stands for it in roll-ups."""

    id: int
    name: str


def seen(connection: sqlite3.Connection) -> list[int]:
    """Return every environment that facts are from."""
    return [id for (id,) in connection.execute("SELECT id FROM environment ORDER BY id")]


def chosen(connection: sqlite3.Connection, asked: str | None) -> Environment:
    """Return the environment that an answer is about; `asked` is `None` where nobody names one."""
    ids: dict[str, int] = dict(connection.execute("SELECT name, id FROM environment ORDER BY id"))
    name = environment_asked(asked, list(ids))
    return Environment(ids.get(name, _UNSEEN), name)


def apart(connection: sqlite3.Connection, origins: Sequence[int], columns: Columns) -> Iterator[tuple[int, Columns]]:
    """Yield facts by environment; most often all are of one, and stay as they are.

    Args:
        connection: within the transaction.
        origins: where each fact is from.
        columns: of the facts.
    """
    select = "SELECT origin, environment FROM environment_of WHERE origin IN"
    environment_of: dict[int, int] = dict(rows_in(connection, select, set(origins)))
    environments = set(environment_of.values())
    if len(environments) == 1:
        yield environments.pop(), columns
        return
    for environment in sorted(environments):
        mine = [environment_of[origin] == environment for origin in origins]
        yield environment, [list(compress(column, mine)) for column in columns]
