from __future__ import annotations

import json
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.stats.cells import (
    Cells,
    Value,
    WindowCounts,
    feature_quality,
    feature_quality_interval,
    reason_without_cells,
    reference_cells,
)

NUMBERS = np.random.default_rng(5).standard_normal(12_000).tolist()

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.floats(), st.integers(-5, 5), st.sampled_from(["a", "b", "c", "d"]), st.booleans()
)


def cells_of(values: Iterable[Value]) -> Cells:
    """The cells of a reference that has some."""
    cells = reference_cells(values)
    assert cells is not None
    return cells


@pytest.mark.parametrize(("m", "alpha"), [(199, [20.0] * 10), (999, [100.0] * 10), (59, [12.0] * 5)])
def test_bins_have_equal_spacings(m: int, alpha: list[float]) -> None:
    """Edges are order statistics at equal spacings; the spacings, in ranks, are alpha and add to m + 1."""
    cells = cells_of(list(NUMBERS[:m]))
    assert (cells.kind, cells.samples, cells.missing) == ("numeric", m, 0)
    assert list(cells.alpha) == alpha
    step = int(alpha[0])
    assert list(cells.marks[1:-1]) == sorted(NUMBERS[:m])[step - 1 :: step][: len(alpha) - 1]


def test_later_reference_values_are_counted() -> None:
    """Edges come from the first 2,000 values alone; the later ones add one each to their bin."""
    first, all_ = cells_of(list(NUMBERS[:2000])), cells_of(list(NUMBERS))
    assert all_.marks[1:-1] == first.marks[1:-1]
    assert (sum(first.alpha), sum(all_.alpha)) == (2001.0, 12_001.0)
    assert [a % 1 for a in all_.alpha] == [0.0] * 10
    inner = np.searchsorted(first.marks[1:-1], NUMBERS[2000:], side="left")
    assert [b - a for a, b in zip(first.alpha, all_.alpha, strict=True)] == np.bincount(inner, minlength=10).tolist()


def test_repeating_numbers_with_few_values_are_categories() -> None:
    """Numbers of at most 32 values get a cell per value seen 20 times, and one cell for the rest."""
    assert cells_of([0, 1, 1, 2] * 30 + [3] * 19 + [math.nan]) == Cells(
        "categorical", (1, 0, 2), (60.5, 30.5, 30.5, 19.5), 139, 1
    )


def test_repeating_numbers_with_many_values_are_bins() -> None:
    """Numbers that repeat but take many values get bins with distinct edges and alpha = counts + 1/2."""
    values: list[Value] = [0.0] * 300 + [round(x, 2) for x in NUMBERS[:700] if x > 0]
    cells = cells_of(values)
    inner = [float(edge) for edge in cells.marks[1:-1]]
    assert cells.kind == "numeric"
    assert all(a < b for a, b in pairwise(cells.marks))  # type: ignore[operator]
    counts = np.bincount(np.searchsorted(inner, np.array(values, dtype=float), side="left"), minlength=len(inner) + 1)
    assert list(cells.alpha) == [n + 0.5 for n in counts.tolist()]


def test_infinite_reference_values_are_left_out() -> None:
    """What is not finite, no float or no scalar at all makes no range and no bin."""
    numbers = list(range(100))
    strange: list[Any] = [math.inf, -math.inf, 10**400, [], {}]
    assert cells_of([*numbers, *strange]) == cells_of(numbers)


def test_categories_are_the_frequent_ones() -> None:
    """At most 32 categories, 20 occurrences each, most frequent first, have cells; all others share one."""
    values: list[Value] = [f"c{k:02d}" for k in range(40) for _ in range(15 + k)]
    cells = cells_of([*values, None, None])
    assert cells.marks == tuple(f"c{k:02d}" for k in range(39, 7, -1))
    assert cells.alpha == (*(15.5 + k for k in range(39, 7, -1)), sum(15 + k for k in range(8)) + 0.5)
    assert (cells.samples, cells.missing, cells.size) == (len(values), 2, 35)


@pytest.mark.parametrize(
    "values",
    [[], [1.5] * 49, [k / 7 for k in range(49)], ["a"] * 49, [str(k) for k in range(500)], [None] * 100],
    ids=["empty", "few equal", "few numbers", "few categories", "all different", "all missing"],
)
def test_no_cells_without_evidence(values: list[Value]) -> None:
    """Under 50 values or two cells there is nothing to compare with."""
    assert reference_cells(values) is None


def test_a_tied_reference_whose_edges_all_fall_on_the_highest_value_has_categories() -> None:
    """Many values, but hardly one below the maximum: one bin says nothing, so the maximum is a category."""
    cells = cells_of([float(k) for k in range(40)] + [100.0] * 1960)
    assert (cells.kind, cells.marks, cells.alpha) == ("categorical", (100.0,), (1960.5, 40.5))


def test_few_distinct_numbers_fall_back_to_bins() -> None:
    """300 ages of 20 to 50, none of them seen 20 times, have bins; so have those of which some are, but not most."""
    ages: list[Value] = [20 + k % 31 for k in range(300)]
    for reference in (ages, [*ages, *[33] * 30]):
        cells = cells_of(reference)
        assert (cells.kind, len(cells.alpha) >= 5) == ("numeric", True)
        assert sum(cells.alpha) == len(reference) + len(cells.alpha) / 2


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.5] * 49 + [None], "49 values in the reference; 50 are needed"),
        ([math.inf] * 60, "0 values in the reference; 50 are needed"),
        (
            [str(k) for k in range(500)],
            "no value occurs 20 times in the reference, and what is no number cannot be put into bins",
        ),
    ],
)
def test_no_cells_have_a_reason(values: list[Value], reason: str) -> None:
    """Too few values, or none that comes again: words say which."""
    assert (reference_cells(values), reason_without_cells(values)) == (None, reason)


@given(st.lists(VALUES, max_size=200), st.sampled_from([1, 5]))
def test_cells_round_trip_through_json(values: list[Value], times: int) -> None:
    """Cells read back from their JSON are equal, whatever the reference was."""
    cells = reference_cells(values * times, 2.5)
    if cells is not None:
        assert cells.autocorrelation_time == 2.5
        assert Cells.from_json(json.loads(json.dumps(cells.to_json()))) == cells


@pytest.mark.parametrize("fields", [{}, {"kind": "other", "marks": [], "alpha": [], "samples": 1, "missing": 0}])
def test_foreign_fields_are_refused(fields: dict[str, object]) -> None:
    """A dict that is not of cells raises."""
    with pytest.raises(ValueError, match=r"not what Cells\.to_json"):
        Cells.from_json(fields)


def test_a_window_counts_each_kind_of_value() -> None:
    """Below, in and above the range, missing and wrong types have counts of their own."""
    reference = {"x": cells_of(list(range(100))), "c": cells_of(["a"] * 30 + ["b"] * 25)}
    window = WindowCounts(reference)
    xs: list[Any] = [-1, 0, 9, 99, 100, math.inf, None, "a"]
    cs: list[Any] = ["a", "b", "z", None, math.nan, [], "a", 3]
    for x, c in zip(xs, cs, strict=True):
        window.add({"x": x, "c": c, "unheard of": 1})
    window.add({"x": math.nan})
    assert window.records == 9
    assert window.counts == {"x": [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 1], "c": [2, 1, 2, 3, 1]}
    assert reference["x"].fold(window.counts["x"]) == [3, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert reference["c"].fold(window.counts["c"]) == [2, 1, 2]


@given(st.lists(st.fixed_dictionaries({}, optional={"x": VALUES, "c": VALUES}), max_size=40), st.integers(0, 40))
def test_windows_add(records: list[dict[str, Value]], cut: int) -> None:
    """Counts do not depend on how the records were spread over processes, and each record has one cell a feature."""
    reference = {"x": cells_of(list(NUMBERS[:100])), "c": cells_of(["a"] * 30 + ["b"] * 25)}
    whole, left, right = WindowCounts(reference), WindowCounts(reference), WindowCounts(reference)
    for k, record in enumerate(records):
        whole.add(record)
        (left if k < cut else right).add(record)
    right.merge(left.records, left.counts)
    assert (right.records, right.counts) == (whole.records, whole.counts)
    assert [sum(counts) for counts in whole.counts.values()] == [len(records)] * 2


@pytest.mark.parametrize("counts", [{"x": [0]}, {"y": [0] * 14}])
def test_windows_of_other_references_do_not_add(counts: dict[str, list[int]]) -> None:
    """Counts over another reference raise, and nothing is added."""
    window = WindowCounts({"x": cells_of(list(range(100)))})
    with pytest.raises(ValueError, match="same reference"):
        window.merge(1, counts)
    assert (window.records, sum(window.counts["x"])) == (0, 0)


def test_quality_multiplies_what_is_wrong() -> None:
    """Quality of numbers falls with excess missing, out-of-range values and wrong types; the reference's own is 1.

    Of the next values 2 in 91 lie outside the range of 90.
    """
    cells = cells_of([*range(90), *[None] * 10])
    assert feature_quality(cells, [0] * cells.size) is None
    assert feature_quality(cells, [0, 90, *[0] * (cells.size - 4), 10, 0]) == 1.0
    wrong = feature_quality(cells, [5, 50, *[0] * (cells.size - 5), 5, 30, 10])
    assert wrong == pytest.approx((1 - 0.2) * (1 - 10 / 60 + 2 / 91) * (1 - 0.1))
    assert feature_quality(cells, [0] * (cells.size - 2) + [4, 0]) == pytest.approx(0.1)


@pytest.mark.parametrize(("missing", "at_least"), [(0.0, 5), (0.4, 100)])
def test_clean_windows_of_50_are_not_bad_beyond_doubt(missing: float, at_least: int) -> None:
    """Of 1,000 at most 1 has an interval below 0.9; the value alone is below it in 1 % and, with 40 % missing, 10 %."""
    generator = np.random.default_rng(4)
    alone = beyond_doubt = 0
    for _ in range(1000):
        values = [None if lost else x for x, lost in zip(*drawn(generator, 150, missing), strict=True)]
        cells = reference_cells(values[:100])
        if cells is None:  # 49 values are no reference
            continue
        window = WindowCounts({"x": cells})
        for value in values[100:]:
            window.add({"x": value})
        quality = feature_quality(cells, window.counts["x"])
        low, high = feature_quality_interval(cells, window.counts["x"])
        assert quality is not None
        assert low <= quality <= high
        alone += quality < 0.9
        beyond_doubt += high < 0.9
    assert alone >= at_least
    assert beyond_doubt <= 1


def drawn(generator: np.random.Generator, n: int, missing: float) -> tuple[list[float], list[bool]]:
    """Numbers, and which of them are missing."""
    return generator.standard_normal(n).tolist(), (generator.random(n) < missing).tolist()


@pytest.mark.parametrize(("time", "known"), [(1.0, True), (25.0, True), (101.0, False)])
def test_quality_that_is_lost_is_lost_beyond_doubt(time: float, known: bool) -> None:
    """98 of 100 values missing where none were; without an independent record it is unknown."""
    cells = cells_of(list(range(1000)))
    low, high = feature_quality_interval(cells, [0, 2, *[0] * (cells.size - 4), 98, 0], time)
    assert (high < 0.9) == known == (low == low)


def test_quality_of_categories_falls_with_new_ones() -> None:
    """New categories are what exceeds the reference's share of values without a cell."""
    cells = cells_of(["a"] * 90 + ["b"] * 10)
    assert feature_quality(cells, [90, 10, 0, 0]) == 1.0
    assert feature_quality(cells, [60, 40, 0, 0]) == pytest.approx(0.7)
