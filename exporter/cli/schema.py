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

    No command can use such a store yet, and those for a cluster were parsed by a server and never run: docs/scale.md
    says what is there.
    """
    from otel_measure.store import engines

    for statement in engines.statements(engine, database, cluster):
        click.echo(f"{statement};\n")
