"""The command `otel-measure rules`: our alert rules as those of a Prometheus, and unit tests of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from exporter.cli.options import load_settings

RULES_FILE: Final = "otel-measure.rules.yml"
"""By which name the unit tests know the rules."""


@click.command(
    short_help="Write our alert rules for a Prometheus.",
    epilog=f"""\b
Examples:
  otel-measure rules --output {RULES_FILE}
  otel-measure rules --tests --output otel-measure.tests.yml
  promtool test rules otel-measure.tests.yml
""",
)
@click.option("--tests", is_flag=True, help=f"Write unit tests for promtool instead, of rules in {RULES_FILE}.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to FILE, not to stdout."
)
def rules(tests: bool, output: Path | None) -> None:
    """Write recording and alerting rules that say our alert rules, as the settings have them, in PromQL.

    Names of series and labels are those of /metrics; docs/prometheus.md says in what they differ from our own alerts.
    """
    from exporter.promql.rules_file import rules_yaml
    from exporter.promql.unit_tests import unit_tests_yaml
    from otel_measure.definitions.alerting.overrides import rules_with

    in_force = rules_with(load_settings({}).alert_rules)
    text = unit_tests_yaml(in_force, RULES_FILE) if tests else rules_yaml(in_force)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
