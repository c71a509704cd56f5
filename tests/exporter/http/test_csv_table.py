from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass
from math import inf, nan

import pytest

from exporter.http.csv_table import cell, csv_content
from exporter.http.lists import Listed, Listing, bound, page_of_lists
from otel_measure.definitions.pages import FIRST_PAGE
from otel_measure.definitions.series import EarlierSeries, Series, SeriesGroup
from otel_measure.definitions.windows import Window
from otel_measure.records.enums import DriftStatus

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HOURS = tuple(NOON + dt.timedelta(hours=n) for n in range(3))
WINDOW = Window(NOON, NOON, "UTC")
PATH = "/api/v1/metrics/ai/models/{name}/{version}/errors"
VARY = ((b"vary", b"accept"),)


@dataclass(frozen=True)
class ErrorRow:
    """A row."""

    error_type: str
    cost_usd: float
    labels: dict[str, int]


@dataclass(frozen=True)
class ErrorsAnswer:
    """An answer with two lists."""

    errors: tuple[ErrorRow, ...]
    others: tuple[ErrorRow, ...]


ANSWER = ErrorsAnswer((ErrorRow("=1+1", -5.0, {"a": 1}), ErrorRow('a "b", c\nd', nan, {})), ())
LISTS = bound((Listing("errors", ()), Listing("others", ())), ErrorsAnswer)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (nan, ""),
        (inf, ""),
        (0, "0"),
        (-5, "-5"),
        (-0.25, "-0.25"),
        (1e-09, "1e-9"),
        (True, "true"),
        (NOON, "2026-01-01T12:00:00Z"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (DriftStatus.NO_DRIFT, "no_drift"),
        ("", ""),
        ("plain text", "plain text"),
        ("a,b", '"a,b"'),
        ("a;b", '"a;b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("=SUM(A1)", "'=SUM(A1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@cmd", "'@cmd"),
        ("\t=1", '"\'\t=1"'),
        ("\r=1", '"\'\r=1"'),
        ("\n=1", '"\'\n=1"'),
        ("\uff1d1", "'\uff1d1"),
        ('=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'),
        ("a=1", "a=1"),
        (("a", "b"), '"[""a"",""b""]"'),
        ({"=a": nan}, '"{""=a"":null}"'),
    ],
)
def test_a_cell(value: object, written: str) -> None:
    """Text that a spreadsheet would take for a formula is quoted; a number is a number, and nothing is empty."""
    assert cell(value) == written


@pytest.mark.parametrize(("of", "file", "lines"), [
    ("", b"ai-models-errors-errors", 3),
    ("others", b"ai-models-errors-others", 1),
])  # fmt: skip
def test_a_list(of: str, file: bytes, lines: int) -> None:
    """The first list, or the one that is asked for, with the names of its columns first, as a file to be saved."""
    content = csv_content(page_of_lists(ANSWER, LISTS, FIRST_PAGE), LISTS, of, PATH, VARY)
    assert content.headers == (
        (b"content-type", b"text/csv; charset=utf-8; header=present"),
        (b"content-disposition", b'attachment; filename="%s.csv"' % file),
        (b"vary", b"accept"),
        (b"x-total-count", b"%d" % (lines - 1)),
    )
    rows = list(csv.reader(io.StringIO(content.body.decode(), newline="")))
    assert rows == [
        ["error_type", "cost_usd", "labels"],
        ["'=1+1", "-5.0", '{"a":1}'],
        ['a "b", c\nd', "", "{}"],
    ][:lines]  # fmt: skip
    assert content.body.startswith(b"error_type,cost_usd,labels\r\n")
    assert content.body.endswith(b"\r\n")


def test_a_series() -> None:
    """A line for each step: all together, then each group, then the time before, which may be a step shorter."""
    earlier = EarlierSeries(HOURS[:2], {"calls": (9.0, 8.0)}, WINDOW)
    groups = (
        SeriesGroup({"model": "=m", "version": "1"}, False, {"calls": (1.0, 2.0, 3.0)}),
        SeriesGroup({}, True, {"calls": (0.0, nan, 0.0)}),
    )
    series = Series(HOURS, 3600, (2,), {"calls": (1.0, 2.0, nan)}, groups, earlier, WINDOW)
    content = csv_content(Listed(series, {}), (), "", "/api/v1/metrics/ai/series", VARY)
    assert content.headers[1] == (b"content-disposition", b'attachment; filename="ai-series.csv"')
    assert content.body.decode().split("\r\n") == [
        "start,partial,calls,'=m 1.calls,others.calls,previous.start,previous.calls",
        "2026-01-01T12:00:00Z,false,1.0,1.0,0.0,2026-01-01T12:00:00Z,9.0",
        "2026-01-01T13:00:00Z,false,2.0,2.0,,2026-01-01T13:00:00Z,8.0",
        "2026-01-01T14:00:00Z,true,,3.0,0.0,,",
        "",
    ]
