"""What a person contributes to an experiment: hourly cells of users and conversions, by the variant met first.

The unit is the person. Who meets a second variant leaves the first at that hour and is counted under `MIXED`; at equal
times the variant first by name is the first. The first conversion at or after the first exposure counts, unless the
person had met a second variant by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from otel_measure.definitions.cells import CellChanges, CellKind
from otel_measure.definitions.windows import HOUR_US

EXPERIMENT_PROPERTY: Final = "experiment"
"""The property that names the experiment of an event of type `conversion`."""
MIXED: Final = ""
"""The variant under which users seen in two arms are counted; no variant has an empty name."""
ARM_HOURS: Final = CellKind(
    "experiment_cell", ("experiment", "hour", "variant"), ("users", "conversions"), is_signed=True
)


def add_unit(
    changes: CellChanges,
    experiment: str,
    arms: Iterable[tuple[str, int]],
    converted_ts: int | None,
    sign: int = 1,
) -> None:
    """Add what one person contributes to one experiment.

    Args:
        changes: the cells.
        experiment: its key.
        arms: each variant that the person met, and when first; one at least.
        converted_ts: the first conversion at or after the first of these.
        sign: -1 takes away.
    """
    ordered = sorted((first_ts, variant) for variant, first_ts in arms)
    first_ts, variant = ordered[0]
    mixed_ts = ordered[1][0] if len(ordered) > 1 else None
    converted = converted_ts is not None and (mixed_ts is None or converted_ts < mixed_ts)
    changes.add(ARM_HOURS, (experiment, first_ts // HOUR_US, variant), (1, 0), sign)
    if converted_ts is not None and converted:
        changes.add(ARM_HOURS, (experiment, converted_ts // HOUR_US, variant), (0, 1), sign)
    if mixed_ts is not None:
        changes.add(ARM_HOURS, (experiment, mixed_ts // HOUR_US, variant), (-1, -int(converted)), sign)
        changes.add(ARM_HOURS, (experiment, mixed_ts // HOUR_US, MIXED), (1, 0), sign)
