"""Findings for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

from exporter.cli.views.plain import plain, plain_json
from otel_measure.store.types.findings import Finding

_PIPE_WIDTH: Final = 240
_STYLES: Final = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


def all_well(findings: Iterable[Finding]) -> bool:
    """Return whether nothing is wrong; a warning is not."""
    return all(finding.verdict != "wrong" for finding in findings)


def conclusion(findings: Sequence[Finding]) -> str:
    """Return the last line: that all is well, or how many findings need somebody."""
    counts = Counter(finding.verdict for finding in findings)
    wrong, warnings = counts["wrong"], counts["warning"]
    if not wrong and not warnings:
        return f"all well: {len(findings)} checks"
    return f"{wrong} wrong, {warnings} to be warned of, {counts['ok']} well; the way out stands beside each"


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as one line of JSON."""
    told = {"ok": all_well(findings), "findings": [asdict(finding) for finding in findings]}
    return plain_json(json.dumps(told))


def print_table(findings: Sequence[Finding]) -> None:
    """Print the findings as a table, in colour where the output is a terminal, and what they come to."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("check", "verdict", "what", "the way out"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        verdict = Text(finding.verdict, style=_STYLES[finding.verdict])
        table.add_row(plain(finding.check), verdict, Text(plain(finding.what)), Text(plain(finding.way_out)))
    console = Console()
    # A pipe has no width; a log file wants whole lines.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)
    console.print(conclusion(findings), highlight=False)
