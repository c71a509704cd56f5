"""The command `otel-measure doctor`."""

from __future__ import annotations

import click

from exporter.cli import exit_codes
from exporter.cli.options import PORT, json_option, load_settings, store_option


@click.command(short_help="Say what is wrong here, and the way out.")
@click.option("--host", help="Where `serve` would listen.")
@click.option("--port", type=PORT, metavar="PORT", help="The port `serve` would take.")
@store_option
@click.option("--fix", is_flag=True, help="Have the store believe the clock of this machine, once you looked at it.")
@json_option
def doctor(host: str | None, port: int | None, store: str | None, fix: bool, as_json: bool) -> None:
    """Look at store, port, clock, versions and settings; say what is wrong and the way out.

    Nothing is changed without --fix. Exits with 1 when something is wrong.
    """
    from exporter.cli.doctor import rendering
    from exporter.cli.doctor.checks import examine
    from exporter.cli.doctor.surroundings import Surroundings

    settings = load_settings({"host": host, "port": port, "store": store})
    findings = examine(Surroundings(settings=settings), fixes=fix)
    if as_json:
        click.echo(rendering.as_json(findings))
    else:
        rendering.print_table(findings)
    if not rendering.all_well(findings):
        click.get_current_context().exit(exit_codes.WRONG)
