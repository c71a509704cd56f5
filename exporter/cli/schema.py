"""The command `otel-measure schema`: what creates a store on a server, as statements to read, change and run."""

from __future__ import annotations

import click


@click.command(
    short_help="Print what creates a store on a server.",
    epilog="""\b
Examples:
  otel-measure schema --engine clickhouse | clickhouse-client --multiquery
  otel-measure schema --engine clickhouse --cluster main --database measure
""",
)
@click.option("--engine", type=click.Choice(["clickhouse"]), required=True, help="Of which server.")
@click.option("--database", metavar="NAME", default="measure", show_default=True, help="Where the tables are to be.")
@click.option(
    "--cluster", metavar="NAME", help="For shards and replicas, by the name that the servers give the cluster."
)
def schema(engine: str, database: str, cluster: str | None) -> None:
    """Print the statements that create the tables of a store, in order; running them again changes nothing.

    A server creates a store of its own; those for a cluster are for you to run, on the server that the URL of the store
    is to name: docs/scale.md says what lies where.
    """
    from otel_measure.store import engines

    for statement in engines.statements(engine, database, cluster):
        click.echo(f"{statement};\n")
