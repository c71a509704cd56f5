"""The command `otel-measure compact`: the file of a store made smaller."""

from __future__ import annotations

import json
from typing import Final

import click

from exporter.cli.options import existing_store, json_option, load_settings, store_option

_MIB: Final = 2**20


@click.command(short_help="Make the file of a store smaller.")
@store_option
@json_option
def compact(store: str | None, as_json: bool) -> None:
    """Write the file of a store anew, without the pages that hold nothing.

    A store keeps within its bound by using free pages again, and its file never gets smaller by itself. Needs twice
    the bytes in use of free disk while it runs. Others can read meanwhile; writes wait.
    """
    from otel_measure.store import engines

    settings = load_settings({"store": store})
    existing_store(settings)
    done = engines.compact(settings)
    if as_json:
        click.echo(
            json.dumps({"store": settings.store, "before": done.before, "after": done.after, "needed": done.needed})
        )
        return
    before, after, needed = (f"{n / _MIB:,.0f} MiB" for n in (done.before, done.after, done.needed))
    click.echo(f"{settings.store} had {before} and has {after}; it needed {needed} of free disk")
