"""The command line: `otel-measure serve`, `doctor`, `rebuild`.

Thin: it turns words into settings and hands them on. What takes time to load is loaded by the command that needs it.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from exporter.cli import ports
from otel_measure.config import DEFAULT, Settings
from otel_measure.errors import ConfigurationError, MeasureError, StoreError

if TYPE_CHECKING:
    from exporter.cli.doctor import Finding

EXIT_WRONG: Final = 1
EXIT_USAGE: Final = 2
EXIT_PORT: Final = 3
EXIT_STORE: Final = 4
_EXIT_CODES: Final[tuple[tuple[type[MeasureError], int], ...]] = (
    (ConfigurationError, EXIT_USAGE),
    (ports.CannotListen, EXIT_PORT),
    (StoreError, EXIT_STORE),
    (MeasureError, EXIT_WRONG),
)
_PIPE_WIDTH: Final = 240
_VERDICT_STYLES: Final = {"ok": "green", "warning": "yellow", "wrong": "bold red"}

_EXIT_CODE_HELP: Final = """\b
Exit codes:
  0  done; `serve` was stopped and everything is committed
  1  something is wrong: `doctor` says what
  2  a wrong argument or setting
  3  the port cannot be listened on
  4  the store cannot be used
"""


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    try:
        version = metadata.version("otel-measure")
    except metadata.PackageNotFoundError:
        version = "(run from its source, not installed)"
    click.echo(f"otel-measure {version}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    ctx.exit()


class _Commands(click.Group):
    """Turns the errors we raise on purpose into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except MeasureError as error:
            click.echo(f"otel-measure: {error}", err=True)
            ctx.exit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))


@click.group(
    cls=_Commands,
    epilog=f"""\b
Examples:
  otel-measure serve                       the page at http://127.0.0.1:5000/
  otel-measure serve --demo                the same with a synthetic workload to look at
  otel-measure doctor                      what is wrong here, and the way out
  otel-measure rebuild --timezone Europe/Paris

{_EXIT_CODE_HELP}""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show versions."
)
def main() -> None:
    """How the machine, the models and the users of an application are doing, measured through OpenTelemetry.

    Every setting can also come from the environment (OTEL_MEASURE_PORT, OTEL_MEASURE_STORE, …) or from
    otel-measure.toml.
    """


_store = click.option(
    "--store", metavar="PATH|URL", help="Where records are kept.  [default: $XDG_STATE_HOME/otel-measure/measure.db]"
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


@main.command(
    epilog="""\b
Examples:
  otel-measure serve --port 5001
  otel-measure serve --demo
  OTEL_MEASURE_TOKEN=… otel-measure serve --host 0.0.0.0 --store /var/lib/otel-measure/measure.db
""",
)
@click.option("--host", help="Where to listen; not loopback needs a token.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: 5000]")
@_store
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file with the token."
)
@click.option("--insecure", is_flag=True, help="Answer anybody without a token.")
@click.option("--demo", is_flag=True, help="Feed a synthetic workload into a temporary store, or into --store.")
@_json
def serve(
    host: str | None,
    port: int | None,
    store: str | None,
    token_file: Path | None,
    insecure: bool,
    demo: bool,
    as_json: bool,
) -> None:
    """Serve the page, the JSON API, /metrics and the OTLP receiver until SIGTERM or Ctrl-C."""
    with ExitStack() as stack:
        given = {"host": host, "port": port, "store": store, "insecure": insecure or None}
        if demo and store is None:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="otel-measure-demo-", ignore_cleanup_errors=True)
            )
            given["store"] = str(Path(folder) / "measure.db")
        if token_file is not None:
            given["token"] = _token(token_file)
        settings = _settings(given)
        refuse_exposure(settings)
        committed = _serve(settings, demo=demo, temporary=demo and store is None, as_json=as_json, tidy_up=stack.close)
    if not committed:
        raise MeasureError("stopped before everything was committed; the log says what is missing")


def _token(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except UnicodeDecodeError:
        # Without its cause: that would show the bytes.
        raise ConfigurationError(
            f"the token file {file} holds no UTF-8 text; write the token into it as one line"
        ) from None


def refuse_exposure(settings: Settings) -> None:
    """Let nobody open the door to the network by accident.

    Raises:
        ConfigurationError: others could reach the server, and no token is set.
    """
    guarded = any((settings.token, settings.read_token, settings.write_token))
    if not (guarded or settings.insecure or ports.is_loopback(settings.host)):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines and no token is set; "
            "set OTEL_MEASURE_TOKEN or --token-file, or say --insecure to answer anybody"
        )


def _settings(given: Mapping[str, Any]) -> Settings:
    arguments: dict[str, Any] = {name: DEFAULT if value is None else value for name, value in given.items()}
    return Settings.load(**arguments)


def _serve(settings: Settings, *, demo: bool, temporary: bool, as_json: bool, tidy_up: Callable[[], None]) -> bool:
    from exporter.cli import serve as serving

    def announce(url: str) -> None:
        banner = Banner.of(settings, url, demo=demo, temporary=temporary)
        click.echo(banner.json() if as_json else banner.text())

    def warn(message: str) -> None:
        click.echo(f"otel-measure: {message}", err=True)

    return serving.serve(settings, announce, warn, with_demo=demo, tidy_up=tidy_up)


@dataclass(frozen=True, slots=True)
class Banner:
    """What a person, or a script, needs to know of a server that is ready."""

    url: str
    store: str
    access: str
    demo: bool
    pid: int

    @classmethod
    def of(cls, settings: Settings, url: str, *, demo: bool, temporary: bool) -> Banner:
        """Return the banner of a server that answers at `url`."""
        guarded = any((settings.token, settings.read_token, settings.write_token))
        access = (
            "anybody who reaches the port"
            if settings.insecure
            else "a token is needed"
            if guarded
            else "this machine only"
        )
        store = f"{settings.store or 'none'}{' (removed at the end)' if temporary else ''}"
        return cls(url, store, access, demo, os.getpid())

    def text(self) -> str:
        """Return the banner for people."""
        rows = [
            ("page", self.url),
            ("metrics", f"{self.url}metrics"),
            ("store", self.store),
            ("access", self.access),
            *([("demo", "a synthetic workload is running")] if self.demo else []),
            ("stop", "Ctrl-C"),
        ]
        return "\n".join(["otel-measure is ready", *(f"  {name:<8} {value}" for name, value in rows)])

    def json(self) -> str:
        """Return the banner as one line of JSON."""
        return json.dumps({"status": "ready", **asdict(self)})


@main.command()
@click.option("--host", help="Where `serve` would listen.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port `serve` would take.")
@_store
@_json
def doctor(host: str | None, port: int | None, store: str | None, as_json: bool) -> None:
    """Look at store, port, clock, versions and settings; say what is wrong and the way out.

    Nothing is changed. Exits with 1 when something is wrong.
    """
    from exporter.cli.doctor import Surroundings, examine

    settings = _settings({"host": host, "port": port, "store": store})
    findings = examine(Surroundings(settings=settings))
    is_well = all(finding.verdict != "wrong" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": is_well, "findings": [asdict(finding) for finding in findings]}))
    else:
        _print_findings(findings)
    if not is_well:
        click.get_current_context().exit(EXIT_WRONG)


def _print_findings(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("check", "verdict", "what", "the way out"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        verdict = Text(finding.verdict, style=_VERDICT_STYLES[finding.verdict])
        table.add_row(finding.check, verdict, Text(finding.what), Text(finding.way_out))
    console = Console()
    # A pipe has no width; a log file wants whole lines.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


@main.command()
@click.option("--timezone", metavar="ZONE", help="The IANA zone whose days are days.  [default: the store's own]")
@_store
@_json
def rebuild(timezone: str | None, store: str | None, as_json: bool) -> None:
    """Recompute roll-ups and totals from the facts, in this or another time zone.

    Others can read meanwhile; writes wait. After a change of zone, restart the processes that use the store.
    """
    from otel_measure.store.engines import open_store

    settings = _settings({"store": store, "timezone": timezone})
    path = settings.store
    if path is None or not os.path.isfile(path):  # unlike `Path`, it raises nothing where one may not look
        raise ConfigurationError(f"there is no store at {path}; name one with --store or OTEL_MEASURE_STORE")
    began = time.monotonic()
    opened = open_store(settings, keeps_zone=True)
    if opened is None:  # which no file is
        raise ConfigurationError("there is no store to rebuild")
    try:
        opened.rebuild(timezone)
        took_s = round(time.monotonic() - began, 3)
        if as_json:
            click.echo(json.dumps({"store": path, "timezone": opened.timezone, "seconds": took_s}))
        else:
            click.echo(f"rebuilt {path} with the days of {opened.timezone} in {took_s:.1f} s")
    finally:
        opened.close()


if __name__ == "__main__":
    main(prog_name="otel-measure")
