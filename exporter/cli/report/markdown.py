"""What is shown, as Markdown: names of others are text, whatever they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from exporter.cli.views.document import Advice, Cell, Chart, Document, Part, Sentences, ShownFigures, ShownTable
from exporter.cli.views.plain import plain
from exporter.cli.views.sparkline import lines_of

# What means something within a line of GitHub's Markdown, or begins a mention or an address; and what begins a list.
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#|~&@$]|:(?=//)|(?<=www)\.)")
_BEGINS: Final = re.compile(r"^(\d*)([-+=.)])(?=[\s=-]|$)")
_FENCE: Final = "```"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return _BEGINS.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain(text)))


def as_markdown(document: Document) -> str:
    """Return a document as Markdown."""
    return "\n".join([*_head(document), *(line for part in document.parts for line in ("", *_part(part)))]) + "\n"


def _head(document: Document) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    if document.sentence:
        yield from ("", f"**{escaped(document.sentence)}**")
    if document.about:
        yield ""
        yield from (f"- {escaped(f'{name}: {value}' if name else value)}" for name, value in document.about)


def _part(part: Part) -> Iterator[str]:
    match part:
        case ShownTable():
            yield from _title(part.title, part.note)
            if part.rows:
                yield from _table(
                    [column.name for column in part.columns], part.rows, [c.is_text for c in part.columns]
                )
            else:
                yield f"*{escaped(part.nothing)}*"
        case ShownFigures():
            yield from _title(part.title, part.note)
            yield from _table(("", "", ""), part.rows, (True, False, True))
        case Sentences():
            yield from _title(part.title, "")
            yield from (f"- {escaped(text)}" for text in part.texts)
        case Chart():
            yield from (
                f"- {escaped(name)} `{shape or '-'}` {escaped(between)}" for name, shape, between in lines_of(part)
            )
        case Advice():
            yield from (escaped(part.says), "", f"{_FENCE}sh", plain(part.code), _FENCE)


def _title(title: str, note: str) -> tuple[str, ...]:
    return f"## {escaped(title)}", "", *((escaped(note), "") if note else ())


def _table(names: Iterable[str], rows: Iterable[Sequence[str | Cell]], is_text: Iterable[bool]) -> Iterator[str]:
    yield _row(names)
    yield f"|{'|'.join('---' if words else '---:' for words in is_text)}|"
    yield from (_row(cell.text if isinstance(cell, Cell) else cell for cell in row) for row in rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
