"""The command line: the group `otel-measure`, whose commands stand in modules of their own.

A command turns words into settings and hands them on; what takes time to load is loaded by the command that needs it.
"""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any, Final

import click

from exporter.cli import exit_codes
from exporter.cli.alerts import alerts
from exporter.cli.backup import backup, restore
from exporter.cli.compact import compact
from exporter.cli.doctor.command import doctor
from exporter.cli.migrate import migrate
from exporter.cli.prometheus import dashboards, rules
from exporter.cli.rebuild import rebuild
from exporter.cli.report.command import report
from exporter.cli.schema import schema
from exporter.cli.serve import serve
from exporter.cli.status.command import status
from exporter.cli.token import token
from exporter.cli.views.plain import plain
from otel_measure.errors import MeasureError


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    try:
        version = metadata.version("otel-measure")
    except metadata.PackageNotFoundError:
        version = "(run from its source, not installed)"
    from otel_measure.store.engines import installed

    engines = ", ".join(f"{engine.name} {engine.version}" for engine in installed())
    click.echo(f"otel-measure {version}, Python {platform.python_version()}, {engines}")
    ctx.exit()


class _Commands(click.Group):
    """Turns the errors we raise on purpose into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except MeasureError as error:
            click.echo(f"otel-measure: {plain(str(error))}", err=True)
            ctx.exit(exit_codes.of_error(error))
        except KeyboardInterrupt:
            ctx.exit(exit_codes.INTERRUPTED)
        except OSError as error:
            if not error.filename:  # such as a pipe that nobody reads any more
                raise
            click.echo(plain(f"otel-measure: {error.filename} cannot be opened: {error.strerror}"), err=True)
            ctx.exit(exit_codes.USAGE)


@click.group(
    cls=_Commands,
    epilog=f"""\b
Examples:
  otel-measure serve                       the page at http://127.0.0.1:5000/
  otel-measure serve --demo                the same with a synthetic workload to look at
  otel-measure status                      how everything is, live, in the terminal
  otel-measure report models --format html --output models.html
  otel-measure doctor                      what is wrong here, and the way out
  otel-measure alerts list                 what fires, what happened, and silences
  otel-measure rules --output FILE         our alert rules for a Prometheus
  otel-measure dashboards DIR              dashboards for a Grafana
  otel-measure backup /var/backups --keep 7
  otel-measure rebuild --timezone Europe/Paris

{exit_codes.HELP}""",
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


_COMMANDS: Final = (
    *(serve, status, report, doctor, alerts, rules, dashboards),
    *(backup, restore, migrate, rebuild, compact, token, schema),
)
for _command in _COMMANDS:
    main.add_command(_command)


if __name__ == "__main__":
    main(prog_name="otel-measure")
