"""The commands `otel-measure report …`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from exporter.cli.options import environment_option, load_settings, store_option
from otel_measure.store.places import shown

C = TypeVar("C", bound=Callable[..., Any])
FORMATS: Final = ("table", "json", "markdown", "html")
_format: Final = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How it is written."
)
_output: Final = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to FILE, not to stdout."
)
_service: Final = click.option("--service", metavar="NAME", help="Only what comes from this service.")
_TIME: Final = "A day, or a time with its zone: 2026-01-31T12:00Z"


def _window(default: str) -> Callable[[C], C]:
    return click.option(
        "--window", metavar="TIME", help=f"How far to look back: a number and m, h, d or w.  [default: {default}]"
    )


def _times(first: str, last: str) -> Callable[[C], C]:
    def with_options(command: C) -> C:
        end = click.option("--end", metavar="TIME", help=last)
        return click.option("--start", metavar="TIME", help=first)(end(command))

    return with_options


_from_to: Final = _times(f"From when, instead of --window. {_TIME}.", "Until when, a day included; now when not given.")
_days: Final = _times("The first day, instead of --window, such as 2026-01-31.", "The last day; today when not given.")


@click.group(
    short_help="Write a report: models, users, experiments, machine.",
    epilog="""\b
Examples:
  otel-measure report models --window 7d
  otel-measure report users --start 2026-01-01 --end 2026-01-31 --format markdown
  otel-measure report models --format html --output models.html
""",
)
def report() -> None:
    """Write what a store says of models, users, experiments or the machine, while others use it.

    JSON is what the endpoint of the same name answers, html is one file with its pictures inside.
    """


@report.command("models", short_help="Calls, errors, latency, cost, health of models.")
@_window("24h")
@_from_to
@_service
@environment_option
@_format
@_output
@store_option
def models(**options: Any) -> None:
    """Calls, errors, latency, tokens, cost, drift and health of models, as GET /api/v1/metrics/ai/models has them."""
    _write("models", **options)


@report.command("users", short_help="Active users, retention, conversion, NPS.")
@_window("30d")
@_days
@_service
@environment_option
@_format
@_output
@store_option
def users(**options: Any) -> None:
    """Active users, sessions, conversion, retention and NPS, as GET /api/v1/metrics/users/summary has them."""
    _write("users", **options)


@report.command("experiments", short_help="The verdict of each test, and its effects.")
@environment_option
@_format
@_output
@store_option
def experiments(**options: Any) -> None:
    """What every experiment says so far, as GET /api/v1/metrics/experiments has it."""
    _write("experiments", **options)


@report.command("machine", short_help="CPU, memory, disk, network, services, hosts.")
@_window("24h")
@_from_to
@environment_option
@_format
@_output
@store_option
def machine(**options: Any) -> None:
    """How this machine was, as GET /api/v1/metrics/infrastructure/series has it, and its services and other hosts."""
    _write("machine", **options)


def _write(subject: str, *, form: str, output: Path | None, store: str | None, **asked: str | None) -> None:
    from exporter.cli.reading import reading
    from exporter.cli.report.asked import Endpoints, ReportAsked
    from exporter.cli.report.rendering import written
    from exporter.cli.report.subjects import REPORTS
    from exporter.cli.views.terminal import put

    settings = load_settings({"store": store})
    question = ReportAsked(**asked)
    with reading(settings) as (runtime, opened):
        endpoints = Endpoints(runtime, opened)
        told = REPORTS[subject](endpoints, question, shown(str(settings.store)))
        if form == "table" and output is None:
            put(told.document())
            return
        text = written(told, form, endpoints)
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
