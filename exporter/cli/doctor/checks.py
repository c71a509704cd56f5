"""The table of checks, and running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from exporter.cli.doctor import access, host, otlp, process, store
from exporter.cli.doctor.surroundings import Surroundings
from otel_measure.errors import StoreUnavailable
from otel_measure.store import engines
from otel_measure.store.types.findings import Finding, warning, wrong


class Check(NamedTuple):
    """A row of the table.

    Attributes:
        name: as the finding shows it.
        look: returns the finding.
        fix: does what may be done about it; `None` for nothing.
    """

    name: str
    look: Callable[[Surroundings], Finding]
    fix: Callable[[], None] | None = None


def _row(name: str, look: Callable[[], Finding], fix: Callable[[], None] | None = None) -> Check:
    """Return the row of a check that asks nothing of the surroundings."""
    return Check(name, lambda _: look(), fix)


CHECKS: Final = (
    Check("port", host.port),
    Check("grpc port", host.grpc_port),
    Check("access", access.access),
    Check("clock", host.clock),
    Check("time zone data", host.time_zone_data),
    Check("python", process.python_version),
    *(_row(engine.name.lower(), engine.library) for engine in engines.installed()),
    Check("opentelemetry", process.opentelemetry_versions),
    Check("opentelemetry settings", process.opentelemetry_settings),
    Check("opentelemetry internals", process.opentelemetry_internals),
    Check("application views", process.application_views),
    Check("otlp endpoint", otlp.endpoint),
    Check("prices", process.price_table),
)


def table(surroundings: Surroundings) -> tuple[Check, ...]:
    """Return every check that has something to look at: those of the store first."""
    return (*(_row(*check) for check in store.checks(surroundings.settings)), *CHECKS)


def examine(surroundings: Surroundings, checks: Iterable[Check] | None = None, *, fixes: bool = False) -> list[Finding]:
    """Return the findings of all checks of the table, in its order; one that raises is a finding too.

    Args:
        surroundings: what is looked at.
        checks: the table; `None` for all.
        fixes: do what may be done about a finding that is not "ok", and say what was found before.
    """
    return [_finding(check, surroundings, fixes=fixes) for check in checks or table(surroundings)]


def _finding(check: Check, surroundings: Surroundings, *, fixes: bool) -> Finding:
    finding = _looked(check, surroundings)
    if not fixes or check.fix is None or finding.verdict == "ok":
        return finding
    try:
        check.fix()
    except StoreUnavailable as error:
        return replace(finding, way_out=f"could not be fixed: {error}")
    after = _looked(check, surroundings)
    return replace(after, what=f"fixed: {after.what}; before: {finding.what}" if after.verdict == "ok" else after.what)


def _looked(check: Check, surroundings: Surroundings) -> Finding:
    try:
        finding = check.look(surroundings)
    except StoreUnavailable as error:
        finding = wrong(error.what, error.way_out)
    except Exception as error:
        finding = warning(f"could not be checked: {type(error).__name__}: {error}")
    return replace(finding, check=check.name)
