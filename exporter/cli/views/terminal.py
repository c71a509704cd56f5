"""What is shown, drawn for a terminal by rich: colours only where it has some, columns as many as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Final

import click
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from exporter.cli.views.document import Advice, Cell, Chart, Document, Look, Part, Sentences, ShownFigures, ShownTable
from exporter.cli.views.plain import plain
from exporter.cli.views.sparkline import lines_of

PIPE_WIDTH: Final = 160
"""A pipe has no width; a log file wants whole lines."""

STYLES: Final[dict[Look, str]] = {"good": "green", "fair": "yellow", "bad": "bold red", "": ""}
_GAP: Final = 2
_NARROWEST: Final = 12  # a column of words is cut down to so many before another one is left out


def console() -> Console:
    """Return the console of stdout."""
    return Console(highlight=False, markup=False, emoji=False)


def show(out: Console, document: Document) -> None:
    """Print a document; lines of code are whole, so that they can be copied."""
    out.print(drawn(document, out.width), crop=False)


def put(document: Document) -> None:
    """Print a document to stdout: in colour on a terminal, with as many columns as fit."""
    out = console()
    if out.is_terminal:
        show(out, document)
    else:
        click.echo(as_text(document), nl=False)


def as_text(document: Document) -> str:
    """Return a document as a pipe or a file gets it: wide, without colours, and no line ends with blanks."""
    out = Console(file=StringIO(), highlight=False, markup=False, emoji=False, width=PIPE_WIDTH, no_color=True)
    with out.capture() as captured:
        show(out, document)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def drawn(document: Document, width: int, *, folds_code: bool = False) -> Group:
    """Return a document as rich draws it.

    Args:
        document: what is shown.
        width: of the terminal, in columns.
        folds_code: break code that is longer than a line; otherwise it can be copied, and is left to the terminal.
    """
    return Group(*_head(document), *_body(document.parts, width, folds_code))


def _body(parts: Sequence[Part], width: int, folds_code: bool) -> Iterator[RenderableType]:
    before: Part | None = None
    for part in parts:
        if not (isinstance(part, Chart) and isinstance(before, Chart)):
            yield Text("")
        yield from _part(part, width, folds_code)
        before = part


def _head(document: Document) -> Iterator[RenderableType]:
    yield Text(plain(document.title), style="bold")
    about = " · ".join(f"{name} {value}" if name else value for name, value in document.about)
    if about:
        yield Text(plain(about), style="dim")
    if document.sentence:
        yield Text(plain(document.sentence), style=STYLES[document.look])


def _part(part: Part, width: int, folds_code: bool) -> Iterator[RenderableType]:
    match part:
        case ShownTable():
            yield _title(part.title, part.note)
            if part.rows:
                yield _table(part, width)
            else:
                yield Text(f"  {part.nothing}", style="dim")
        case ShownFigures():
            yield _title(part.title, part.note)
            yield _pairs(part.rows)
        case Sentences():
            yield _title(part.title, "")
            yield from (Padding(Text(plain(text)), (0, 0, 0, _GAP)) for text in part.texts)
        case Chart():
            yield _pairs(lines_of(part))
        case Advice():
            yield Text(part.says)
            yield Text(f"  {plain(part.code)}", overflow="fold" if folds_code else "ignore", no_wrap=not folds_code)


def _title(title: str, note: str) -> Text:
    return Text.assemble((plain(title), "bold"), (f"  {plain(note)}" if note else "", "dim"))


def _pairs(rows: Sequence[tuple[str, str, str]]) -> Padding:
    grid = RichTable.grid(padding=(0, _GAP))
    for name, value, note in rows:
        grid.add_row(Text(plain(name)), Text(plain(value), style="bold"), Text(plain(note), style="dim"))
    return Padding(grid, (0, 0, 0, 2))


def _table(table: ShownTable, width: int) -> RichTable:
    shown = columns_that_fit(table, width)
    drawn = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for i in shown:
        column = table.columns[i]
        drawn.add_column(
            f"  {column.name}" if i == shown[0] else column.name,
            justify="left" if column.is_text else "right",
            overflow="fold",
            no_wrap=not column.is_text,
        )
    for row in table.rows:
        drawn.add_row(*(_cell(row[i], indented=i == shown[0]) for i in shown))
    return drawn


def _cell(cell: str | Cell, *, indented: bool) -> RenderableType:
    text = Text(plain(cell.text), style=STYLES[cell.look]) if isinstance(cell, Cell) else Text(plain(cell))
    text.overflow = "fold"
    return Padding(text, (0, 0, 0, 2)) if indented else text


def columns_that_fit(table: ShownTable, width: int) -> list[int]:
    """Return which columns have room: those of the highest rank are left out first."""
    needed = [_needed(table, i) for i in range(len(table.columns))]
    shown = list(range(len(table.columns)))
    while len(shown) > 1 and sum(needed[i] + _GAP for i in shown) > width:
        last = max(shown, key=lambda i: (table.columns[i].rank, i))
        if table.columns[last].rank == 0:
            break
        shown.remove(last)
    return shown


def _needed(table: ShownTable, i: int) -> int:
    texts = [cell.text if isinstance(cell, Cell) else cell for cell in (row[i] for row in table.rows)]
    longest = max(cell_len(plain(text)) for text in (table.columns[i].name, *texts))
    return min(longest, 2 * _NARROWEST) if table.columns[i].is_text else longest
