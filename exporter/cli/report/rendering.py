"""A report as text, in the form that was asked for."""

from __future__ import annotations

from exporter.cli.report.asked import Endpoints
from exporter.cli.report.html import as_html
from exporter.cli.report.markdown import as_markdown
from exporter.cli.report.subjects import Reported
from exporter.cli.views.plain import plain_json


def written(told: Reported, form: str, endpoints: Endpoints) -> str:
    """Return a report as text; JSON is the answer of its endpoint."""
    from exporter.cli.views.terminal import as_text

    if form == "json":
        return plain_json(endpoints.envelope(told.path, told.query, told.answer)) + "\n"
    return {"markdown": as_markdown, "html": as_html, "table": as_text}[form](told.document())
