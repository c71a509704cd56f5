"""A report as text, in the form that was asked for."""

from __future__ import annotations

import click

from exporter.cli.report.asked import Endpoints
from exporter.cli.report.html import as_html
from exporter.cli.report.markdown import as_markdown
from exporter.cli.report.subjects import Reported
from exporter.cli.views.document import Document
from exporter.cli.views.plain import plain_json


def show(document: Document) -> None:
    """Print a document as tables: in colour on a terminal, with as many columns as fit."""
    from exporter.cli.views.terminal import as_text, console, drawn

    out = console()
    if out.is_terminal:
        out.print(drawn(document, out.width))
    else:
        click.echo(as_text(document), nl=False)


def written(told: Reported, form: str, endpoints: Endpoints) -> str:
    """Return a report as text; JSON is the answer of its endpoint."""
    from exporter.cli.views.terminal import as_text

    if form == "json":
        return plain_json(endpoints.envelope(told.answer)) + "\n"
    return {"markdown": as_markdown, "html": as_html, "table": as_text}[form](told.document())
