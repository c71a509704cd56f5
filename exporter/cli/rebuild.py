"""The command `otel-measure rebuild`: roll-ups and totals computed anew from the facts."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import click

from exporter.cli.opening import opened
from exporter.cli.options import json_option, load_settings, store_option
from otel_measure.store.places import shown


@click.command(short_help="Count all figures anew from the facts.")
@click.option("--timezone", metavar="ZONE", help="The IANA zone whose days are days.  [default: the store's own]")
@store_option
@json_option
def rebuild(timezone: str | None, store: str | None, as_json: bool) -> None:
    """Recompute roll-ups and totals from the facts, by the definitions of the settings and the time zone of the store.

    Others can read meanwhile; writes wait. A store in ClickHouse answers nobody until it is done, and where the command
    ends in the middle it is given again. After a change of a definition, restart the processes that use the store.
    """
    from otel_measure.store.engines import definitions_of

    settings = load_settings({"store": store, "timezone": timezone})
    began = time.monotonic()
    with opened(settings) as rebuilt:
        rebuilt.rebuild(replace(definitions_of(settings), timezone=timezone or rebuilt.definitions.timezone))
        took_s, timezone = round(time.monotonic() - began, 3), rebuilt.definitions.timezone
    if as_json:
        click.echo(json.dumps({"store": shown(str(settings.store)), "timezone": timezone, "seconds": took_s}))
    else:
        click.echo(f"rebuilt {shown(str(settings.store))} with the days of {timezone} in {took_s:.1f} s")
