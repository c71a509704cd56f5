"""Two versions of a model side by side: each number with its interval, their change, and what is too little to tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

from otel_measure.ai.comparison import ComparedNumber, UseOfVersion, VersionComparison, compare_versions
from otel_measure.config import Settings
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan
from otel_measure.errors import NoStore
from otel_measure.records.kinds import Inference
from otel_measure.stats.means import Moments
from otel_measure.store.types.models import CallMoments
from otel_measure.testing import Capture
from tests.facts import inference
from tests.stats.simulated_comparisons import coverage

SPAN: Final = TimeSpan(0, 1, 0, True, "UTC")
USE: Final = ModelUse("m", "1", requests=50, priced=50, cost_nano_usd=5_000_000_000)
NO_MOMENTS: Final = Moments.from_deviations(0, 0.0, 0.0, 0.0)


def told(measured: Capture) -> VersionComparison:
    """Compare version 2 with version 1 of model m."""
    return measured.ai.get_version_comparison("m", "2", "1", environment="test")


def by_key(comparison: VersionComparison) -> dict[str, ComparedNumber]:
    """Return the numbers by their keys."""
    return {number.key: number for number in comparison.numbers}


def calls(measured: Capture, version: str, n: int, **more: Any) -> Iterator[Inference]:
    """Yield calls of a version, of lognormal latencies and costs."""
    generator = np.random.default_rng(int(version))
    factor = float(more.pop("factor", 1.0))
    for i, (latency, cost) in enumerate(generator.lognormal(size=(n, 2)).tolist()):
        yield inference(
            f"{version}-{i}", measured.clock() - i * 1_000_000, version=version,
            latency_ms=100 * factor * latency, cost_usd=0.01 * factor * cost, input_tokens=1000,
            error_type="Timeout" if i % 10 < more.get("errors", 0) else None,
        )  # fmt: skip


def test_a_version_that_is_worse_is_told_to_be(measured: Capture) -> None:
    """Twice as slow and dear, with more errors: each interval holds the truth, and none holds "no change"."""
    assert measured.runtime.store is not None
    measured.runtime.store.accept([*calls(measured, "1", 1000), *calls(measured, "2", 1000, factor=2.0, errors=1)])
    comparison = told(measured)
    numbers = by_key(comparison)
    assert (comparison.model_name, comparison.model_version, comparison.baseline_version) == ("m", "2", "1")
    for key in ("p50_ms", "p95_ms", "p99_ms", "cost_per_request_usd"):
        number = numbers[key]
        assert (number.verdict, number.change_is, number.missing) == ("higher", "relative", "")
        assert (number.samples, number.baseline_samples) == (1000, 1000)
        assert 0.0 < number.change_ci[0] < 1.0 < number.change_ci[1]
        assert number.value_ci[0] < number.value < number.value_ci[1]
        assert number.baseline_ci[0] < number.baseline < number.baseline_ci[1]
        assert number.change == number.value / number.baseline - 1.0
    errors = numbers["error_rate"]
    assert (errors.value, errors.baseline, errors.change, errors.change_is) == (0.1, 0.0, 0.1, "absolute")
    assert errors.change_ci[0] > 0.08
    tokens = numbers["input_tokens_per_request"]
    assert (tokens.value, tokens.value_ci, tokens.change_ci, tokens.verdict) == (
        1000.0, (1000.0, 1000.0), (0.0, 0.0), "unclear",
    )  # fmt: skip


def test_what_is_too_little_is_unknown_and_says_why(measured: Capture) -> None:
    """Of few calls there are numbers and no intervals; of a version that was not called there is nothing."""
    assert measured.runtime.store is not None
    measured.runtime.store.accept([*calls(measured, "1", 400), *calls(measured, "2", 75)])
    numbers = by_key(told(measured))
    assert [(key, number.verdict, number.missing) for key, number in numbers.items() if number.missing] == [
        ("p95_ms", "unknown", "p95 needs 76 timed calls, 2 has 75"),
        ("p99_ms", "unknown", "p99 needs 388 timed calls, 2 has 75"),
        ("output_tokens_per_request", "unknown", "20 calls that tell it are needed, 2 has 0"),
    ]
    assert not math.isnan(numbers["p95_ms"].change)
    assert math.isnan(numbers["p95_ms"].change_ci[0])
    never = by_key(measured.ai.get_version_comparison("m", "3", "1", environment="test"))
    assert {number.verdict for number in never.values()} == {"unknown"}
    assert never["error_rate"].missing == "3 was not called"


def test_calls_that_are_not_kept_singly_have_no_interval_of_their_cost() -> None:
    """Where only a sum tells of some calls, their spread is not known; a mean whose interval reaches 0 has no ratio."""
    moments = Moments(30, 0.1, 0.01, 0.0)
    some = UseOfVersion(replace(USE, version="2"), CallMoments(moments, NO_MOMENTS, NO_MOMENTS))
    all_ = UseOfVersion(USE, CallMoments(replace(moments, n=50), NO_MOMENTS, NO_MOMENTS))
    wide = UseOfVersion(USE, CallMoments(replace(moments, n=50, variance=9.0), NO_MOMENTS, NO_MOMENTS))
    cost = by_key(compare_versions("m", some, all_, SPAN))["cost_per_request_usd"]
    assert (cost.value, cost.verdict) == (0.1, "unknown")
    assert cost.missing == "of 50 calls of 2 that tell it, 30 are kept singly"
    assert by_key(compare_versions("m", all_, all_, SPAN))["cost_per_request_usd"].verdict == "unclear"
    reaching = by_key(compare_versions("m", wide, all_, SPAN))["cost_per_request_usd"]
    assert (reaching.verdict, reaching.missing) == ("unknown", "an interval that reaches 0 tells no ratio")


def test_without_a_store_nothing_is_compared() -> None:
    """The readers of a process know no single calls."""
    with Capture(Settings(store=None)) as without, pytest.raises(NoStore):
        without.ai.get_version_comparison("m", "2", "1")


def test_intervals_hold_the_truth_in_95_of_100_cases() -> None:
    """Of lognormal values, for the ratio of two p95 and of two means: in 100 pairs never in fewer than 90."""
    assert coverage("p95", 1.0, 200, 100, seed=1) > 0.9
    assert coverage("mean", 1.0, 100, 100, seed=2) > 0.9
