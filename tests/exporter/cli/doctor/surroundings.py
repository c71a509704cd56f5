"""Surroundings in which nothing is wrong, for tests to change."""

from __future__ import annotations

from pathlib import Path

from exporter.cli.doctor.checks import CHECKS, examine
from exporter.cli.doctor.findings import Finding, Surroundings
from otel_measure.config import Settings

GIB = 2**30


def around(store: Path | str | None = None, **changes: object) -> Surroundings:
    """Return surroundings in which nothing is wrong, but for what is changed."""
    settings = {name: changes.pop(name) for name in list(changes) if name in Settings.__dataclass_fields__}
    given: dict[str, object] = {
        "environ": {},
        "mounts": lambda: [("/", "ext4")],
        "free_bytes": lambda path: 100 * GIB,
        "sleep": lambda seconds: None,
        "monotonic_s": lambda: 0.0,
        "meter_provider": object,
    }
    return Surroundings(
        settings=Settings(store=None if store is None else str(store), **({"port": 0} | settings)),  # type: ignore[arg-type]
        **given | changes,  # type: ignore[arg-type]
    )


def found_by(name: str, surroundings: Surroundings) -> Finding:
    """Return what one check of the table finds."""
    return next(iter(examine(surroundings, [check for check in CHECKS if check.name == name])))
