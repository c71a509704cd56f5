"""The options that several commands have, and how given options become settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import click

from otel_measure.config import DEFAULT, Settings
from otel_measure.errors import ConfigurationError


class Port(click.IntRange):
    """The number of a port."""

    name = "port, a number from 0 to 65535"


PORT: Final = Port(0, 65535)

store_option: Final = click.option(
    "--store",
    metavar="PATH",
    help="The file of records, or clickhouse://HOST/DATABASE.  [default: $XDG_STATE_HOME/otel-measure/measure.db]",
)
environment_option: Final = click.option(
    "--environment", metavar="NAME", help="Of this environment.  [default: chosen as for every answer]"
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def existing_store(settings: Settings) -> str:
    """Return the path of the store that the settings name, which is there.

    Raises:
        ConfigurationError: nothing is there.
    """
    path = settings.store
    if path is None:
        raise ConfigurationError("the settings want no store; name one with --store or OTEL_MEASURE_STORE")
    if "://" not in path and not os.path.exists(path):  # unlike `Path`, it raises nothing where one may not look
        raise ConfigurationError(
            f"there is no store at {path}; name one with --store or OTEL_MEASURE_STORE, or start `otel-measure serve`,"
            " which makes it"
        )
    return path


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
