"""Surroundings in which nothing is wrong, for tests to change."""

from __future__ import annotations

from pathlib import Path

from exporter.cli.doctor.surroundings import Surroundings
from otel_measure.config import Settings

# What the disk of the machine that runs the tests has to have room for.
DEFAULTS = {"port": 0, "store_max_bytes": 2**30}


def around(store: Path | str | None = None, **changes: object) -> Surroundings:
    """Return surroundings in which nothing is wrong, but for what is changed."""
    settings = {name: changes.pop(name) for name in list(changes) if name in Settings.__dataclass_fields__}
    given: dict[str, object] = {
        "environ": {},
        "sleep": lambda seconds: None,
        "monotonic_s": lambda: 0.0,
        "meter_provider": object,
    }
    return Surroundings(
        settings=Settings(store=None if store is None else str(store), **(DEFAULTS | settings)),  # type: ignore[arg-type]
        **given | changes,  # type: ignore[arg-type]
    )
