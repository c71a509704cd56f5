"""What is shown, as one page of HTML: pictures are inside, nothing runs, and nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Final

from exporter.cli.report.svg import svg
from exporter.cli.views.document import Advice, Cell, Chart, Document, Part, Sentences, ShownFigures, ShownTable
from exporter.cli.views.plain import plain

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; --ground: #f5f6f8; --card: #fff; --border: #dde1e7; --text: #1c2027; --muted: #5c6572;
  --good: #14743c; --fair: #8a5500; --bad: #b3261e; --good-soft: #e2f4e8; --fair-soft: #fdf0d5; --bad-soft: #fce4e2;
  --line-1: #2f6fde; --line-2: #0f8a7e; --line-3: #b3541e; --line-4: #7a4fc9; }
@media (prefers-color-scheme: dark) { :root { --ground: #111419; --card: #191d24; --border: #2b313b; --text: #e8eaee;
  --muted: #9aa3b1; --good: #6fd296; --fair: #f0bd5e; --bad: #ff8d85; --good-soft: #173524; --fair-soft: #382a0e;
  --bad-soft: #421916; --line-1: #6ea3ff; --line-2: #3fc4b5; --line-3: #f0a06a; --line-4: #b79bff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 48px; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0; font-size: 24px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 10px; font-size: 16px; font-weight: 650; overflow-wrap: anywhere; }
h2 small { margin-left: 10px; color: var(--muted); font-size: 13px; font-weight: 400; }
h3 { margin: 0; font-size: 13px; font-weight: 600; color: var(--muted); overflow-wrap: anywhere; }
.about { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 6px 0 22px; color: var(--muted); font-size: 13px; }
.about b { font-weight: 600; color: var(--text); overflow-wrap: anywhere; }
section { margin-bottom: 28px; }
.sentence { margin: 0 0 24px; padding: 13px 18px; border: 1px solid var(--border); border-radius: 12px;
  background: var(--card); font-weight: 600; overflow-wrap: anywhere; }
.sentence.good { border-color: var(--good); background: var(--good-soft); color: var(--good); }
.sentence.fair { border-color: var(--fair); background: var(--fair-soft); color: var(--fair); }
.sentence.bad { border-color: var(--bad); background: var(--bad-soft); color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
.tile, .chart, .table, .advice { border: 1px solid var(--border); border-radius: 12px; background: var(--card); }
.tile { padding: 11px 16px; }
.tile p { margin: 0; }
.figure { font-size: 21px; font-weight: 600; letter-spacing: -.02em; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.note { color: var(--muted); font-size: 12.5px; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr)); gap: 12px; }
.chart { padding: 12px 14px 8px; break-inside: avoid; }
.chart svg { display: block; width: 100%; height: auto; margin-top: 6px; }
.legend { float: right; color: var(--muted); font-size: 12.5px; }
.legend i { display: inline-block; width: 9px; height: 9px; margin: 0 5px 0 12px; border-radius: 2px; }
svg text { fill: var(--muted); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--border); } svg .zero { stroke: var(--muted); stroke-width: .7; }
svg path { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
.line-1 { stroke: var(--line-1); } .line-2 { stroke: var(--line-2); }
.line-3 { stroke: var(--line-3); } .line-4 { stroke: var(--line-4); }
circle.line-1 { fill: var(--line-1); } circle.line-2 { fill: var(--line-2); }
circle.line-3 { fill: var(--line-3); } circle.line-4 { fill: var(--line-4); }
i.line-1 { background: var(--line-1); } i.line-2 { background: var(--line-2); }
i.line-3 { background: var(--line-3); } i.line-4 { background: var(--line-4); } i.bound { background: var(--muted); }
.bound { stroke: var(--muted); stroke-width: 1; } circle.bound { fill: var(--muted); }
.nothing { margin: 0; padding: 14px 16px; color: var(--muted); font-size: 13.5px; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 14px; text-align: right; vertical-align: baseline; white-space: nowrap; }
thead th { border-bottom: 1px solid var(--border); color: var(--muted); font-size: 12.5px; font-weight: 600; }
tbody tr + tr > * { border-top: 1px solid var(--border); }
tbody th { font-weight: 600; } tbody th.text { min-width: 130px; }
.text { min-width: 90px; max-width: 620px; text-align: left; white-space: normal; overflow-wrap: anywhere; }
.good { color: var(--good); } .fair { color: var(--fair); } .bad { color: var(--bad); font-weight: 600; }
.advice { padding: 14px 18px; } .advice p { margin: 0 0 8px; }
pre { margin: 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
footer { color: var(--muted); font-size: 13px; }
@media (max-width: 600px) { body { padding: 18px 14px 32px; } svg text { font-size: 15px; } }
@media print { body { padding: 0; background: none; } section { break-inside: avoid; } }
"""


def _text(text: str) -> str:
    return escape(plain(text))


def as_html(document: Document) -> str:
    """Return a document as a page."""
    about = "".join(
        f"<span>{_text(name)} <b>{_text(value)}</b></span>" if name else f"<span>{_text(value)}</span>"
        for name, value in document.about
    )
    sentence = f'<p class="sentence {document.look}">{_text(document.sentence)}</p>\n' if document.sentence else ""
    body = "\n".join(_sections(document.parts))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{_text(document.title)} – otel-measure</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_text(document.title)}</h1>
<div class="about">{about}</div>
{sentence}<main>
{body}
</main>
<footer>– means unknown, never zero.</footer>
</body>
</html>
"""


def _sections(parts: Iterable[Part]) -> Iterator[str]:
    """Yield a section for each part; charts that follow each other share one."""
    for is_chart, group in groupby(parts, key=lambda part: isinstance(part, Chart)):
        if is_chart:
            charts = "\n".join(_chart(part) for part in group if isinstance(part, Chart))
            yield f'<section class="charts">\n{charts}\n</section>'
        else:
            yield from (f"<section>\n{_part(part)}\n</section>" for part in group)


def _part(part: Part) -> str:
    match part:
        case ShownTable():
            return _title(part.title, part.note) + _table(part)
        case ShownFigures():
            tiles = "\n".join(_tile(*row) for row in part.rows)
            return f'{_title(part.title, part.note)}<div class="tiles">\n{tiles}\n</div>'
        case Advice():
            return f'<div class="advice"><p>{_text(part.says)}</p><pre><code>{_text(part.code)}</code></pre></div>'
        case Sentences():
            return f"{_title(part.title, '')}{''.join(f'<p>{_text(text)}</p>' for text in part.texts)}"
        case Chart():
            return _chart(part)


def _title(title: str, note: str) -> str:
    return f"<h2>{_text(title)}{f'<small>{_text(note)}</small>' if note else ''}</h2>\n"


def _tile(name: str, value: str, note: str) -> str:
    below = f'<p class="note">{_text(note)}</p>' if note else ""
    return f'<div class="tile"><h3>{_text(name)}</h3><p class="figure">{_text(value)}</p>{below}</div>'


def _chart(chart: Chart) -> str:
    names = "".join(
        f'<i class="{"bound" if line.is_bound else f"line-{n + 1}"}"></i>{_text(line.name)}'
        for n, line in enumerate(chart.lines)
    )
    legend = f'<span class="legend">{names}</span>' if len(chart.lines) > 1 else ""
    return f'<div class="chart">{legend}<h3>{_text(chart.title)}</h3>{svg(chart)}</div>'


def _table(table: ShownTable) -> str:
    if not table.rows:
        return f'<div class="table"><p class="nothing">{_text(table.nothing)}</p></div>'
    of_text = [' class="text"' if column.is_text else "" for column in table.columns]
    head = "".join(f"<th{look}>{_text(column.name)}</th>" for column, look in zip(table.columns, of_text, strict=True))
    rows = "\n".join(_row(row, of_text) for row in table.rows)
    return f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'


def _row(row: Sequence[str | Cell], looks: Sequence[str]) -> str:
    cells = (_cell(cell, look, is_first=i == 0) for i, (cell, look) in enumerate(zip(row, looks, strict=True)))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(cell: str | Cell, look: str, *, is_first: bool) -> str:
    text = _text(cell) if isinstance(cell, str) else f'<span class="{cell.look}">{_text(cell.text)}</span>'
    return f'<th scope="row"{look}>{text}</th>' if is_first else f"<td{look}>{text}</td>"
