"""The options that several commands have, and how given options become settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from otel_measure.config import DEFAULT, Settings

PORT: Final = click.IntRange(0, 65535)

store_option: Final = click.option(
    "--store", metavar="PATH", help="The file of records.  [default: $XDG_STATE_HOME/otel-measure/measure.db]"
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def load_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment and the file, with the options that were given in their place.

    Args:
        options: by the name of the setting; `None` for one that was not given.

    Raises:
        ConfigurationError: a setting is wrong; the message names it.
    """
    arguments: dict[str, Any] = {name: DEFAULT if value is None else value for name, value in options.items()}
    settings = Settings.load(**arguments)
    if settings.alert_rules:
        from otel_measure.definitions.alerting.overrides import rules_with

        rules_with(settings.alert_rules)  # refused here as well, so that `doctor` says it before a start does
    return settings
