"""The command `otel-measure migrate`: a store from a file to a server, or back."""

from __future__ import annotations

import json
import time

import click

from exporter.cli.backup import shown
from exporter.cli.options import existing_store, json_option, load_settings


@click.command(
    short_help="Move a store to ClickHouse, or back.",
    epilog="""\b
Examples:
  otel-measure migrate --from measure.db --to clickhouse://user:password@host:8123/measure
  otel-measure migrate --from clickhouse://host:8123/measure --to measure.db
""",
)
@click.option("--from", "source", required=True, metavar="STORE", help="Where the store is; it stays as it is.")
@click.option("--to", "target", required=True, metavar="STORE", help="Where it is to be; nothing is there yet.")
@json_option
def migrate(source: str, target: str, as_json: bool) -> None:
    """Move all of a store: facts, and services, alerts, links, tests, erasures with them.

    Stop every process that writes to the store before: where one wrote meanwhile all is moved once more, and then the
    command fails. What ends in the middle goes on where it was when the command is given again, and until then nobody
    uses what is half there. In the end facts are counted in both places, and every report is asked of both: the command
    fails where an answer differs.
    """
    from exporter.cli.same_answers import differing
    from otel_measure.store.engines import move_store

    here, there = (load_settings({"store": store}) for store in (source, target))
    existing_store(here)
    with shown() as progress:
        moved = move_store(here, there, _now_us, progress, lambda moved_to: differing(here, moved_to, _now_us()))
    if as_json:
        click.echo(json.dumps({"facts": dict(moved.facts), "waiting_to_leave": moved.waiting}))
        return
    click.echo(f"moved {sum(moved.facts.values()):,} facts; both places count as many, and every report is the same")
    if moved.waiting:
        click.echo(f"{moved.waiting:,} of them have not left by OTLP: they leave from the new place")


def _now_us() -> int:
    return time.time_ns() // 1000
