"""The columns of rows of a report, as their types say: what a list is sorted, searched and written as a table by.

The name of a column is the way to it (`latency.p95_ms`); the ends of an interval are two columns. A field that holds
several things (a list, a mapping) is one column, which cannot be sorted by.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import date
from functools import lru_cache
from math import isnan
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from otel_measure.definitions.windows import Window
from otel_measure.stats.intervals import Interval

_ENDS: Final = ("low", "high")
_SCALARS: Final = (bool, int, float, date, str, enum.Enum)


class Column(NamedTuple):
    """One column of a list.

    Attributes:
        name: the way to it, its parts with dots between.
        choices: the values that it may have, in their order, where its type lists them; columns are sorted by that.
        is_scalar: whether a cell holds one value, and not a list or a mapping.
    """

    name: str
    choices: tuple[object, ...] = ()
    is_scalar: bool = True

    def of(self, row: object) -> object:
        """Return the value of a row; `None` where something on the way to it is not there."""
        value = row
        for part in self.name.split("."):
            if value is None:
                return None
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, tuple) and part in _ENDS:
                value = value[_ENDS.index(part)]
            else:
                value = getattr(value, part)
        return value

    def rank(self, row: object) -> tuple[int, str, str] | float | date | None:
        """Return what a row is sorted by in this column; `None` for a value that is unknown."""
        value = self.of(row)
        if value is None or (isinstance(value, float) and isnan(value)):
            return None
        if self.choices:
            return self.choices.index(value)
        if isinstance(value, int | float | date):
            return value
        text = str(value)
        return (0, text.casefold(), text)


def is_record(kind: object) -> bool:
    """Whether a type has named fields, with their types."""
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "__struct_fields__"))


@lru_cache(maxsize=128)
def columns_of(row: type, keys: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> tuple[Column, ...]:
    """Return the columns of a type of rows; the window of a report, which every row has, is left out.

    Args:
        row: a dataclass or struct.
        keys: of fields that hold a mapping, the keys that are columns.
    """
    return tuple(_columns(row, "", dict(keys)))


def _columns(kind: Any, name: str, keys: Mapping[str, Sequence[str]]) -> Iterator[Column]:
    kind = without_none(kind)
    if kind is Window:
        return
    if name in keys:
        yield from (Column(f"{name}.{key}") for key in keys[name])
    elif kind == Interval:
        yield from (Column(f"{name}.{end}") for end in _ENDS)
    elif is_record(kind):
        for field, of_field in get_type_hints(kind).items():
            yield from _columns(of_field, f"{name}.{field}" if name else field, keys)
    else:
        yield _leaf(kind, name)


def _leaf(kind: Any, name: str) -> Column:
    if get_origin(kind) is Literal:
        return Column(name, get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return Column(name, tuple(kind))
    return Column(name, is_scalar=isinstance(kind, type) and issubclass(kind, _SCALARS))


def without_none(kind: Any) -> Any:
    """Return a type without `None` and what is said beside it."""
    if get_origin(kind) is Annotated:
        return without_none(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        others = [arm for arm in get_args(kind) if arm is not types.NoneType]
        return without_none(others[0]) if len(others) == 1 else kind
    return kind
