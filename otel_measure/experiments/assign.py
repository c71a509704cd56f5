"""From a caller's arguments to a test, and from a test and a user to a variant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from otel_measure.records import checks
from otel_measure.stats.hashing import bucket_ranges, choose_variation, equal_weights, unit_share
from otel_measure.store.types.experiments import Experiment

MAX_KEY_CHARS: Final = 200
MAX_VARIANTS: Final = 100
_NOT_OF_A_SLUG: Final = re.compile(r"[\W_]+")
_KEY: Final = re.compile(r"(?=.*\w)[^\s/]+")


def variant_of(experiment: Experiment, user_id: str) -> str | None:
    """Return the variant of a user, `None` outside coverage; the same in every process, SDK and language.

    The hash is GrowthBook's version 2 with the key of the test as its seed (DEFINITIONS: Assignment).
    """
    share = unit_share(experiment.key, user_id)
    chosen = choose_variation(share, bucket_ranges(experiment.weights, experiment.coverage))
    return None if chosen is None else experiment.variants[chosen]


def slug(name: str) -> str:
    """Return a name in lower case with a hyphen for everything that is no letter or digit, of any script."""
    return _NOT_OF_A_SLUG.sub("-", unicodedata.normalize("NFKC", name).casefold()).strip("-")


def definition(
    test_name: str, variants: Sequence[str], weights: Sequence[float] | None, coverage: float, key: str | None, now: int
) -> Experiment:
    """Return the test that arguments of `create_ab_test` stand for.

    Raises:
        ValueError: an argument breaks its rule; the message names it.
    """
    name = checks.text("test_name", test_name)
    names = _variants(variants)
    shares = equal_weights(len(names)) if weights is None else _weights(weights, len(names))
    share = checks.number("coverage", coverage, low=0.0, high=1.0)
    if share == 0.0:
        raise ValueError(f"coverage must be above 0, not {coverage!r}: nobody would take part")
    bucket_ranges(shares, share)
    return Experiment(_key(key, name), name, names, tuple(shares), share, now)


def _key(key: str | None, name: str) -> str:
    if key is None and not slug(name):
        raise ValueError(f"test_name has no letter or digit to make a key of: {name!r}; give key=...")
    chosen = checks.text("key", slug(name)[:MAX_KEY_CHARS] if key is None else key, MAX_KEY_CHARS)
    if not (_KEY.fullmatch(chosen) and chosen.isprintable()):
        raise ValueError(f"key must have a letter or digit and neither white space nor a slash, not {key!r}")
    return chosen


def _variants(variants: Sequence[str]) -> tuple[str, ...]:
    if isinstance(variants, str) or not isinstance(variants, Sequence):
        raise ValueError(f"variants must be a list of names, the control first, not {variants!r}")
    names = tuple(checks.text(f"variants[{i}]", name, MAX_KEY_CHARS) for i, name in enumerate(variants))
    if not 2 <= len(names) <= MAX_VARIANTS or len(set(names)) < len(names):
        raise ValueError(f"variants must be 2 to {MAX_VARIANTS} different names, not {list(variants)!r}")
    return names


def _weights(weights: object, variants: int) -> list[float]:
    if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != variants:
        raise ValueError(f"weights must be one share for each of the {variants} variants, not {weights!r}")
    return [checks.number(f"weights[{i}]", share, low=0.0, high=1.0) for i, share in enumerate(weights)]
