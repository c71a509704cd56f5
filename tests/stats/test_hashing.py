from __future__ import annotations

import math
import random

import growthbook.core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.stats.hashing import bucket_ranges, choose_variation, equal_weights, fnv1a32, unit_share
from tests.vectors import load


@pytest.mark.parametrize(("text", "number"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_fnv1a32_is_the_published_function(text: str, number: int) -> None:
    """The test values of FNV's authors come out."""
    assert fnv1a32(text) == number


@pytest.mark.parametrize("vector_id", ["H09", "H11", "H13"])
def test_unit_share_vectors(vector_id: str) -> None:
    """A unit falls where other SDKs of the convention put it."""
    vector = load("analytics.json", vector_id)
    share = unit_share(vector["input"]["seed"], vector["input"]["value"])
    assert share == pytest.approx(vector["full_precision"]["n"], abs=vector["tolerance_abs"])


@pytest.mark.parametrize("vector_id", ["BR01", "BR03", "BR05", "BR07", "BR13"])
def test_bucket_range_vectors(vector_id: str) -> None:
    """Ranges are those of other SDKs of the convention."""
    vector = load("analytics.json", vector_id)
    given_ = vector["input"]
    ranges = bucket_ranges(given_["weights"] or equal_weights(given_["variations"]), given_["coverage"])
    expected = vector["expected_in_source"]["ranges"]
    assert [list(r) for r in ranges] == [pytest.approx(r, abs=vector["tolerance_abs"]) for r in expected]


@pytest.mark.parametrize("vector_id", ["BR09", "BR11"])
def test_bad_range_vectors_are_refused(vector_id: str) -> None:
    """What other SDKs even out is an error here."""
    given_ = load("analytics.json", vector_id)["input"]
    with pytest.raises(ValueError, match=r"weights=|coverage="):
        bucket_ranges(given_["weights"] or equal_weights(given_["variations"]), given_["coverage"])


@pytest.mark.parametrize("vector_id", [f"CV{k:02d}" for k in range(1, 14, 2)])
def test_choose_variation_vectors(vector_id: str) -> None:
    """A share is in the first half-open range that holds it, or in none."""
    vector = load("analytics.json", vector_id)
    chosen = choose_variation(vector["input"]["n"], [(a, b) for a, b in vector["input"]["ranges"]])
    assert (-1 if chosen is None else chosen) == vector["expected_in_source"]["variation"]


def test_rn70_assignment_end_to_end() -> None:
    """Seed, weights and coverage together give the variation of the vector."""
    vector = load("analytics.json", "RN70")
    experiment = vector["input"]["experiment"]
    share = unit_share(experiment["seed"], vector["input"]["attributes"]["id"])
    ranges = bucket_ranges(experiment["weights"], experiment["coverage"])
    expected = vector["full_precision"]
    assert (share, choose_variation(share, ranges)) == (expected["n"], expected["variation_index"])


def random_text(source: random.Random) -> str:
    """Up to 20 characters from ASCII, Latin, Arabic, Chinese and beyond the basic plane."""
    starts = (0x20, 0xC0, 0x621, 0x4E00, 0x1F600)
    return "".join(chr(source.choice(starts) + source.randrange(40)) for _ in range(source.randrange(1, 20)))


def test_assignment_equals_growthbook() -> None:
    """10,000 random users, keys, weights and coverages get the arm that the growthbook package gives them."""
    source = random.Random(7)
    for _ in range(10_000):
        key, user = random_text(source), random_text(source)
        raw = [source.random() for _ in range(source.randrange(2, 6))]
        weights = [w / sum(raw) for w in raw]
        coverage = source.choice([1.0, source.random()])
        share = unit_share(key, user)
        ranges = bucket_ranges(weights, coverage)
        assert share == growthbook.core.gbhash(key, user, 2)
        theirs = growthbook.core.getBucketRanges(len(weights), coverage, weights)
        assert ranges == theirs
        chosen = choose_variation(share, ranges)
        assert (-1 if chosen is None else chosen) == growthbook.core.chooseVariation(share, theirs)


@given(
    raw=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6),
    share=st.integers(0, 9999).map(lambda k: k / 10_000),
    coverages=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_raising_coverage_moves_nobody(raw: list[float], share: float, coverages: list[float]) -> None:
    """A unit that has an arm at some coverage keeps it at any higher one."""
    weights = [w / math.fsum(raw) for w in raw]
    before, after = (choose_variation(share, bucket_ranges(weights, coverage)) for coverage in coverages)
    assert before is None or before == after


@pytest.mark.parametrize(
    ("weights", "coverage"),
    [
        ([], 1.0),
        ([0.5, 0.4], 1.0),
        ([1.5, -0.5], 1.0),
        ([math.nan, 1.0], 1.0),
        ([0.5, 0.5], -0.1),
        ([0.5, 0.5], 1.1),
        ([0.5, 0.5], math.nan),
    ],
)
def test_bad_weights_and_coverages_are_refused(weights: list[float], coverage: float) -> None:
    """A weight, a sum of weights or a coverage outside its rule raises and is not evened out."""
    with pytest.raises(ValueError, match=r"weights=|coverage="):
        bucket_ranges(weights, coverage)


def test_an_experiment_has_an_arm() -> None:
    """No arms is an error."""
    with pytest.raises(ValueError, match="arms=0"):
        equal_weights(0)


def test_weights_as_people_type_them_are_taken() -> None:
    """Three times 0.33 is meant to be all, although it adds to 0.99."""
    assert bucket_ranges([0.33, 0.33, 0.33]) == [(0.0, 0.33), (0.33, 0.66), (0.66, pytest.approx(0.99))]
