"""The command `otel-measure rebuild`: roll-ups and totals computed anew from the facts."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import click

from exporter.cli.options import existing_store, json_option, load_settings, store_option
from otel_measure.errors import ConfigurationError


@click.command(short_help="Count all figures anew from the facts.")
@click.option("--timezone", metavar="ZONE", help="The IANA zone whose days are days.  [default: the store's own]")
@store_option
@json_option
def rebuild(timezone: str | None, store: str | None, as_json: bool) -> None:
    """Recompute roll-ups and totals from the facts, by the definitions of the settings and the time zone of the store.

    Others can read meanwhile; writes wait. After a change of a definition, restart the processes that use the store.
    """
    from otel_measure.store.engines import definitions_of, open_store

    settings = load_settings({"store": store, "timezone": timezone})
    path = existing_store(settings)
    began = time.monotonic()
    opened = open_store(settings, to_rebuild=True)
    if opened is None:  # which no file is
        raise ConfigurationError("there is no store to rebuild")
    try:
        opened.rebuild(replace(definitions_of(settings), timezone=timezone or opened.definitions.timezone))
        took_s = round(time.monotonic() - began, 3)
        if as_json:
            click.echo(json.dumps({"store": path, "timezone": opened.definitions.timezone, "seconds": took_s}))
        else:
            click.echo(f"rebuilt {path} with the days of {opened.definitions.timezone} in {took_s:.1f} s")
    finally:
        opened.close()
