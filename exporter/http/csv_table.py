"""Answers as tables of comma-separated values (RFC 4180): the rows of a list or a table, or the steps of a series.

A cell of text that a spreadsheet would take for a formula is quoted with an apostrophe; a number never is, so that a
negative one stays a number. What is unknown is an empty cell; what holds several values is JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Final

import msgspec

from exporter.http.lists import BoundListing, Listed
from exporter.http.tables import AnyTable
from exporter.http.types import API, CSV, Content, Header
from otel_measure.definitions.series import Series

_LINE_END: Final = "\r\n"
# The last four are = + - @ in full width, which a spreadsheet of some languages reads alike.
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NEEDS_QUOTES: Final = re.compile(r'[",;\r\n\t]')


def csv_content(
    answer: Listed[object], tables: Sequence[BoundListing | AnyTable], of: str, path: str, headers: Iterable[Header]
) -> Content:
    """Return a list or table of an answer, or the series that it is, as a table to be saved.

    Args:
        answer: with the asked part of its lists.
        tables: that are in it.
        of: the one that is asked for; the first when "".
        path: of the route; its words name the file.
        headers: that the answer has in any form.
    """
    words = re.sub(r"\{\w+\}", "", path.removeprefix(API))
    if isinstance(answer.answer, Series):
        rows, name = _of_series(answer.answer), words
    else:
        chosen = next(each for each in tables if of in ("", each.key))
        rows, name = _of_rows(answer.answer, chosen), f"{words} {chosen.key if len(tables) > 1 else ''}"
        if chosen.key in answer.totals:
            headers = (*headers, (b"x-total-count", b"%d" % answer.totals[chosen.key].matched))
    file = "-".join(re.findall(r"[a-z]+", name))
    body = "".join(_line(row) for row in rows)
    return Content(
        body.encode(),
        (
            (b"content-type", f"{CSV}; charset=utf-8; header=present".encode()),
            (b"content-disposition", f'attachment; filename="{file}.csv"'.encode()),
            *headers,
        ),
    )


def _of_rows(answer: object, table: BoundListing | AnyTable) -> Iterator[Iterable[object]]:
    yield (column.name for column in table.columns)
    for row in table.rows(answer):
        yield (column.of(row) for column in table.columns)


def _of_series(series: Series) -> Iterator[Iterable[object]]:
    """Yield a line for each step: the columns of all, those of each group, and those of the time before."""
    columns: dict[str, Sequence[object]] = {"start": series.start}
    columns["partial"] = [step in series.partial for step in range(len(series.start))]
    columns |= series.columns
    for group in series.groups:
        columns |= _named(" ".join(group.key.values()) or "others", group.columns)
    if series.previous is not None:
        columns |= _named("previous", {"start": series.previous.start, **series.previous.columns})
    yield columns
    for step in range(len(series.start)):
        # A time before may have a step less: a day less in its month, an hour less in one of its days.
        yield (values[step] if step < len(values) else None for values in columns.values())


def _named(name: str, columns: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    return {f"{name}.{column}": values for column, values in columns.items()}


def _line(cells: Iterable[object]) -> str:
    return ",".join(map(cell, cells)) + _LINE_END


def cell(value: object) -> str:
    """Return a value as a cell; times and numbers as JSON writes them."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, str):
        return _quoted(f"'{plain}" if plain.startswith(_FORMULA) else plain)
    return _quoted(msgspec.json.encode(value).decode())


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
