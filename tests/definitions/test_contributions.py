"""What one person contributes to the hourly cells of an experiment."""

from __future__ import annotations

import pytest

from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.contributions import ARM_HOURS, CROSSED_OVER, LATER, add_unit
from otel_measure.definitions.windows import HOUR_US

H = HOUR_US


@pytest.mark.parametrize(
    ("arms", "converted", "cells"),
    [
        ({"a": 0}, None, {(0, "a", 0): [1, 0]}),
        ({"a": 0}, 2 * H, {(0, "a", 0): [1, 0], (0, "a", 2): [0, 1]}),
        ({"a": 0}, 3 * H, {(0, "a", 0): [1, 0], (0, "a", 4): [0, 1]}),
        ({"a": H - 1}, 673 * H - 1, {(0, "a", 0): [1, 0], (0, "a", 672): [0, 1]}),
        ({"a": H - 1}, 673 * H, {(0, "a", 0): [1, 0], (0, "a", LATER): [0, 1]}),
        ({"a": 0}, 1, {(0, "a", 0): [1, 1]}),
        ({"a": H}, H - 1, {(1, "a", 0): [1, 1]}),
        ({"b": 5, "a": H}, None, {(0, "b", 0): [1, 0], (1, CROSSED_OVER, 0): [1, 0]}),
        ({"b": 5, "a": 5}, 5, {(0, "a", 0): [1, 1], (0, CROSSED_OVER, 0): [1, 0]}),
        ({"a": 0, "b": 2 * H}, H, {(0, "a", 0): [1, 0], (0, "a", 1): [0, 1], (2, CROSSED_OVER, 0): [1, 0]}),
        ({"a": 0, "b": H, "c": 2 * H}, H, {(0, "a", 0): [1, 0], (0, "a", 1): [0, 1], (1, CROSSED_OVER, 0): [1, 0]}),
    ],
)
def test_a_person_counts_in_the_variant_met_first(
    arms: dict[str, int], converted: int | None, cells: dict[tuple[int, str, int], list[int]]
) -> None:
    """In the hour of the exposure, a conversion by the hours until it; a second variant is counted beside the first."""
    changes = CellChanges()
    add_unit(changes, "t", arms.items(), converted)
    assert dict(changes) == {ARM_HOURS: [(("t", *key), sums) for key, sums in cells.items()]}
    add_unit(changes, "t", arms.items(), converted, sign=-1)
    assert dict(changes) == {}


@pytest.mark.parametrize(
    ("stopped", "cells"),
    [
        (0, {}),
        (1, {(0, "a", 0): [1, 0]}),
        (H + 1, {(0, "a", 0): [1, 0], (1, CROSSED_OVER, 0): [1, 0]}),
        (2 * H + 1, {(0, "a", 0): [1, 0], (0, "a", 2): [0, 1], (1, CROSSED_OVER, 0): [1, 0]}),
    ],
)
def test_nothing_counts_from_the_stop_on(stopped: int, cells: dict[tuple[int, str, int], list[int]]) -> None:
    """What happens at or after the time of the stop is left out, each part by itself."""
    changes = CellChanges()
    add_unit(changes, "t", [("a", 0), ("b", H)], 2 * H, stopped_ts=stopped)
    assert dict(changes) == ({ARM_HOURS: [(("t", *key), sums) for key, sums in cells.items()]} if cells else {})
