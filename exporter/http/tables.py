"""Tables of what belongs to one thing, such as the features of a model: its answer has them whole, and as CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from otel_measure.definitions.columns import Column, columns_of

A = TypeVar("A")
_OF: Final = "The table that leaves as CSV; the answer in JSON has all of them."


@dataclass(frozen=True, slots=True)
class AnswerTable(Generic[A]):
    """A table of an answer.

    Attributes:
        key: what it is called, where an answer has several.
        row: the type of its rows, whose fields are the columns.
        rows: returns them, of an answer.
    """

    key: str
    row: type
    rows: Callable[[A], Iterable[object]]

    @property
    def columns(self) -> tuple[Column, ...]:
        """What its rows are told by."""
        return columns_of(self.row)


AnyTable = AnswerTable[Any]


def with_table(query: type[msgspec.Struct], path: str, tables: Sequence[AnyTable]) -> type[msgspec.Struct]:
    """Return the query parameters of a route: its own and, where its answer has several tables, which of them."""
    if len(tables) < 2:
        return query
    keys = Meta(description=_OF, extra_json_schema={"enum": [each.key for each in tables]})
    return msgspec.defstruct(
        f"{re.sub(r'[^A-Za-z]+', ' ', path).title().replace(' ', '')}Query",
        [("table", Annotated[str, keys], tables[0].key)],
        bases=(query,),
        frozen=True,
        kw_only=True,
    )


def table_asked(query: msgspec.Struct, tables: Sequence[AnyTable]) -> AnyTable:
    """Return which of its tables a question asks for.

    Raises:
        ValueError: there is no such table; the message names those that there are.
    """
    key = getattr(query, "table", tables[0].key)
    for table in tables:
        if table.key == key:
            return table
    raise ValueError(f"table must be one of {', '.join(each.key for each in tables)}, not {key!r}")
