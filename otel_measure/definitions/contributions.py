"""What a person adds to an experiment: cells of users and conversions, by hour and variant of the first exposure.

The unit is the person, and the first exposure decides: who meets another variant later (on a second device, before
logging in) stays in the first, and is counted under `CROSSED_OVER` as well. To leave such persons out would take more
from small arms than from large ones, and a fair split would look unfair. At equal times the variant first by name is
the first. The first conversion at or after the first exposure counts.

A conversion stands in the hour of its person's exposure, by how many hours later it came: so persons of any age can be
compared by what they did until that age, whenever somebody asks. Rates of what people have done so far are of another
quantity at each look, as long as conversions come late.

Clocks differ by some seconds. A conversion whose time another clock told counts up to 60 s before the exposure, at the
exposure; one of the same clock does not: what people do just before they meet the test is no effect of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from otel_measure.definitions.cells import CellChanges, CellKind
from otel_measure.definitions.windows import HOUR_US
from otel_measure.records.kinds import Json

EXPERIMENT_PROPERTY: Final = "experiment"
"""The property that names the experiment of an event of type `conversion`."""
CROSSED_OVER: Final = ""
"""The variant under which users who met a second one are counted, beside their own; no variant has an empty name."""
CLOCK_TOLERANCE_US: Final = 60_000_000
"""By how much a conversion may be told to lie before the exposure, where its time is of another clock."""
AGES_HOURS: Final = (0, 1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 672)
"""The ages at which persons may be compared: by the end of so many hours after that of their exposure."""
LATER: Final = 1_000_000
"""Stands for a conversion that came later than the last of these ages."""
ARM_HOURS: Final = CellKind(
    "experiment_cell", ("experiment", "hour", "variant", "within_hours"), ("users", "conversions")
)


def add_unit(
    changes: CellChanges,
    experiment: str,
    arms: Iterable[tuple[str, int]],
    converted_ts: int | None,
    sign: int = 1,
    *,
    stopped_ts: int | None = None,
) -> None:
    """Add what one person contributes to one experiment.

    Args:
        changes: the cells.
        experiment: its key.
        arms: each variant that the person met, and when first; one at least.
        converted_ts: the first conversion that counts; at the first of these where it is told to lie before it.
        sign: -1 takes away.
        stopped_ts: from when on nothing is counted any more.
    """
    ordered = sorted((ts, variant) for variant, ts in arms if stopped_ts is None or ts < stopped_ts)
    if not ordered:
        return
    first_ts, variant = ordered[0]
    hour = first_ts // HOUR_US
    changes.add(ARM_HOURS, (experiment, hour, variant, 0), (1, 0), sign)
    if converted_ts is not None and (stopped_ts is None or converted_ts < stopped_ts):
        within = within_hours(max(converted_ts, first_ts) // HOUR_US - hour)
        changes.add(ARM_HOURS, (experiment, hour, variant, within), (0, 1), sign)
    if len(ordered) > 1:
        changes.add(ARM_HOURS, (experiment, ordered[1][0] // HOUR_US, CROSSED_OVER, 0), (1, 0), sign)


def experiment_of(properties: Mapping[str, Json] | None) -> str | None:
    """Return which experiment an event names by its properties, `None` for none."""
    experiment = properties.get(EXPERIMENT_PROPERTY) if properties else None
    return experiment if isinstance(experiment, str) else None


def within_hours(hours: int) -> int:
    """Return the smallest of `AGES_HOURS` by which so many hours have passed, or `LATER`."""
    return next((age for age in AGES_HOURS if hours <= age), LATER)
