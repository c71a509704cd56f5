"""The commands `otel-measure rules` and `otel-measure dashboards`: what a Prometheus and a Grafana read."""

from __future__ import annotations

import json
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

    settings = load_settings({})
    in_force = rules_with(settings.alert_rules)
    text = unit_tests_yaml(in_force, RULES_FILE) if tests else rules_yaml(in_force, settings.page_url)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@click.command(short_help="Write dashboards for Grafana.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
def dashboards(folder: Path) -> None:
    """Write dashboards of machines, models, users and experiments into DIR, as JSON that Grafana imports.

    Their queries read what a Prometheus has of /metrics.
    """
    from exporter.promql.dashboards import DASHBOARDS
    from exporter.promql.grafana import dashboard_json

    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        file = folder / f"{dashboard.name}.json"
        file.write_text(json.dumps(dashboard_json(dashboard), indent=2) + "\n", encoding="utf-8")
        click.echo(str(file))
