from __future__ import annotations

import random

import growthbook
import pytest

from otel_measure.experiments.assign import MAX_KEY_CHARS, definition, slug, variant_of
from otel_measure.store.types.experiments import Experiment
from tests.vectors import load


def test_a_definition_has_the_slug_as_its_key_and_equal_weights() -> None:
    """Name, variants and defaults make the whole definition."""
    found = definition("New Homepage", ["control", "variant_a"], None, 1.0, None, 7)
    assert found == Experiment("new-homepage", "New Homepage", ("control", "variant_a"), (0.5, 0.5), 1.0)
    assert found.created == 7


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("  Pricing_page: v2! ", "pricing-page-v2"),
        ("Über Größe", "über-grösse"),
        ("日本 語", "日本-語"),
        ("１２", "12"),
    ],
)
def test_slug(name: str, key: str) -> None:
    """Letters and digits of any script stay, in lower case; the rest becomes single hyphens."""
    assert slug(name) == key


def test_a_long_name_has_a_key_of_bounded_length() -> None:
    """The key made of a name is cut, not refused."""
    assert len(definition("x" * 900, ["a", "b"], None, 1.0, None, 0).key) == MAX_KEY_CHARS


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_name": ""}, "test_name must be a non-empty string"),
        ({"test_name": "!?"}, "test_name has no letter or digit"),
        ({"variants": "ab"}, "variants must be a list of names"),
        ({"variants": {"a", "b"}}, "variants must be a list of names"),
        ({"variants": ["a"]}, "variants must be 2 to 100 different names"),
        ({"variants": ["a", "a"]}, "variants must be 2 to 100 different names"),
        ({"variants": ["a", ""]}, r"variants\[1\] must be a non-empty string"),
        ({"weights": [0.5]}, "weights must be one share for each of the 2 variants"),
        ({"weights": "ab"}, "weights must be one share for each of the 2 variants"),
        ({"weights": [0.7, 0.6]}, "must add to 1"),
        ({"weights": [1.5, -0.5]}, r"weights\[0\] must be between 0 and 1"),
        ({"weights": [float("nan"), 1]}, r"weights\[0\] must be a finite number"),
        ({"coverage": 0}, "coverage must be above 0"),
        ({"coverage": 1.5}, "coverage must be between 0 and 1"),
        ({"coverage": True}, "coverage must be a number"),
        ({"key": "a b"}, "key must have a letter or digit"),
        ({"key": "a/b"}, "key must have a letter or digit"),
        ({"key": ".."}, "key must have a letter or digit"),
        ({"key": "a\u200b"}, "key must have a letter or digit"),
        ({"key": ""}, "key must be a non-empty string"),
    ],
)
def test_wrong_arguments_are_refused(changed: dict[str, object], message: str) -> None:
    """Each error names the argument and the rule."""
    arguments: dict[str, object] = {
        "test_name": "t", "variants": ["a", "b"], "weights": None, "coverage": 1.0, "key": None, "now": 0
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        definition(**arguments | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("vector_id", ["BR09", "BR11"])
def test_bad_weights_and_coverage_vectors_are_refused(vector_id: str) -> None:
    """What other SDKs even out cannot be defined here."""
    given = load("analytics.json", vector_id)["input"]
    with pytest.raises(ValueError, match=r"weights|coverage"):
        definition("t", ["a", "b"], given["weights"], given["coverage"], None, 0)


def test_rn70_from_definition_to_variant() -> None:
    """A definition whose key is the vector's seed gives the vector's variation."""
    vector = load("analytics.json", "RN70")
    given = vector["input"]["experiment"]
    names = [str(variation) for variation in given["variations"]]
    experiment = definition("t", names, given["weights"], given["coverage"], given["seed"], 0)
    assert variant_of(experiment, vector["input"]["attributes"]["id"]) == str(vector["expected_in_source"]["value"])


def _text(source: random.Random) -> str:
    starts = (0x30, 0xC0, 0x621, 0x4E00, 0x1F600)
    return "a" + "".join(chr(source.choice(starts) + source.randrange(9)) for _ in range(source.randrange(1, 20)))


def test_users_get_the_arm_of_the_growthbook_package() -> None:
    """10,000 random users, keys, weights and coverages get the variant that GrowthBook's own evaluation gives them."""
    source = random.Random(11)
    outside = 0
    for _ in range(10_000):
        key, user = _text(source), _text(source)
        raw = [source.random() for _ in range(source.randrange(2, 6))]
        weights = [share / sum(raw) for share in raw]
        coverage = source.choice([1.0, 1.0 - source.random()])
        names = [f"v{i}" for i in range(len(weights))]
        client = growthbook.GrowthBook(attributes={"id": user})
        theirs = client.run(
            growthbook.Experiment(key=key, variations=names, weights=weights, coverage=coverage, hashVersion=2)
        )
        found = variant_of(definition("t", names, weights, coverage, key, 0), user)
        assert found == (theirs.value if theirs.inExperiment else None)
        outside += found is None
    assert 1000 < outside < 4000
