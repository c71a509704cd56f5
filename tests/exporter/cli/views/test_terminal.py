"""What is drawn for a terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from math import nan
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from exporter.cli.views.document import Cell, Chart, Document, Line, ShownColumn, ShownTable, of_whole_steps
from exporter.cli.views.numbers import whole
from exporter.cli.views.sparkline import lines_of, shape
from exporter.cli.views.terminal import as_text, columns_that_fit, drawn
from otel_measure.definitions.days import moment
from otel_measure.definitions.series import Series
from otel_measure.definitions.windows import TimeSpan

COLUMNS = (
    ShownColumn("Model", is_text=True),
    ShownColumn("Requests"),
    ShownColumn("p95", rank=2),
    ShownColumn("Drift", True, rank=1),
)
ROWS = (("gpt-4o", "1,234", "42 ms", Cell("severe drift", "bad")), ("m" * 60, "1", "1 ms", "–"))


def document(*parts: ShownTable | Chart) -> Document:
    """A document of some parts."""
    return Document("Models", "A service is down.", "bad", (("", "today"), ("environment", "test")), parts)


def on_a_terminal(shown: Document, width: int) -> str:
    """Return what a terminal of a width gets."""
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system="standard")
    with console.capture() as captured:
        console.print(drawn(shown, width))
    return captured.get()


@pytest.mark.parametrize(("width", "shown"), [(200, [0, 1, 2, 3]), (52, [0, 1, 3]), (40, [0, 1]), (10, [0, 1])])
def test_columns_are_left_out_by_rank(width: int, shown: list[int]) -> None:
    """The narrower the terminal, the fewer columns; those of rank 0 stay, and no line is longer than the terminal."""
    table = ShownTable("Models", COLUMNS, ROWS)
    assert columns_that_fit(table, width) == shown
    if width >= 40:
        lines = on_a_terminal(document(table), width).splitlines()
        assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= width


def test_a_pipe_gets_text_alone() -> None:
    """Without a terminal there are whole lines without codes or blanks at their ends."""
    told = document(
        ShownTable("Models", COLUMNS, ROWS[:1], "a note"), ShownTable("Hosts", COLUMNS, (), nothing="no host")
    )
    assert as_text(told).splitlines() == [
        "Models",
        "today · environment test",
        "A service is down.",
        "",
        "Models  a note",
        "  Model   Requests    p95  Drift",
        "  gpt-4o     1,234  42 ms  severe drift",
        "",
        "Hosts",
        "  no host",
    ]


def test_colours_are_for_who_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal has colours, and none with NO_COLOR."""
    told = document(ShownTable("Models", COLUMNS, ROWS[:1]))
    assert "\x1b[1;31m" in on_a_terminal(told, 100)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in on_a_terminal(told, 100)


def test_a_chart_is_a_line_of_blocks() -> None:
    """From zero to the largest; where nothing is known a gap, and a long series has as many as there is room for."""
    assert shape((0.0, 4.0, nan, 8.0)) == "▁▅ █"
    assert shape((-4.0, 4.0)) == "▁█"
    assert shape((0.0, 0.0)) == "▁▁"
    assert shape((nan, nan)) == ""
    assert len(shape(tuple(float(n) for n in range(300)))) <= 48
    start = tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(2))
    lines = (Line("p95", (1.0, 2.0)), Line("p50", (2.0, 2.0)), Line("low", (nan, nan), is_bound=True))
    chart = Chart("Latency", start, lines, whole, ZoneInfo("UTC"))
    assert lines_of(chart) == [("Latency: p95", "▅█", "1 to 2"), ("Latency: p50", "██", "2")]
    empty = Chart("Latency", start, (Line("p95", (nan, nan)),), whole, ZoneInfo("UTC"))
    assert lines_of(empty) == [("Latency", "", "nothing is known")]


def test_a_running_step_is_no_fall() -> None:
    """Of sums the step that is still running is left out; a single one stays."""
    window = TimeSpan(0, 1, 0, True, "UTC").window
    starts = (moment(0), moment(1))
    two = Series(starts, 60, (1,), {"requests": (5.0, 1.0)}, (), None, window)
    assert repr(of_whole_steps(two, "requests")) == "(5.0, nan)"
    done = Series(starts, 60, (0,), {"requests": (5.0, 1.0)}, (), None, window)
    assert of_whole_steps(done, "requests") == (5.0, 1.0)
