"""The table of checks, and running it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from exporter.cli.doctor import host, otlp, process, store
from exporter.cli.doctor.findings import Finding, Surroundings, warning, wrong
from otel_measure.errors import StoreUnavailable


def _always(surroundings: Surroundings) -> bool:
    return True


def _store_is_a_file(surroundings: Surroundings) -> bool:
    return surroundings.is_file


def _store_exists(surroundings: Surroundings) -> bool:
    return surroundings.is_file and os.path.isfile(surroundings.file)


class Check(NamedTuple):
    """A row of the table.

    Attributes:
        name: as the finding shows it.
        look: returns the finding.
        applies: whether there is anything to look at.
    """

    name: str
    look: Callable[[Surroundings], Finding]
    applies: Callable[[Surroundings], bool] = _always


CHECKS: Final = (
    Check("store", store.place),
    Check("store directory", store.directory, _store_is_a_file),
    Check("store file system", store.file_system, _store_is_a_file),
    Check("store disk", store.disk, _store_is_a_file),
    Check("store integrity", store.integrity, _store_exists),
    Check("store journal", store.journal, _store_exists),
    Check("store writable", store.writable, _store_exists),
    Check("store schema", store.schema, _store_exists),
    Check("store time zone", store.time_zone, _store_exists),
    Check("store definitions", store.definitions, _store_exists),
    Check("port", host.port),
    Check("clock", host.clock),
    Check("time zone data", host.time_zone_data),
    Check("python", process.python_version),
    Check("sqlite", process.sqlite_version),
    Check("opentelemetry", process.opentelemetry_versions),
    Check("opentelemetry settings", process.opentelemetry_settings),
    Check("opentelemetry internals", process.opentelemetry_internals),
    Check("application views", process.application_views),
    Check("otlp endpoint", otlp.endpoint),
    Check("prices", process.price_table),
)


def examine(surroundings: Surroundings, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Return the findings of all checks that apply, in the order of the table; one that raises is a finding too."""
    return [_finding(check, surroundings) for check in checks if check.applies(surroundings)]


def _finding(check: Check, surroundings: Surroundings) -> Finding:
    try:
        finding = check.look(surroundings)
    except StoreUnavailable as error:
        finding = wrong(error.what, error.way_out)
    except Exception as error:
        finding = warning(f"could not be checked: {type(error).__name__}: {error}")
    return replace(finding, check=check.name)
