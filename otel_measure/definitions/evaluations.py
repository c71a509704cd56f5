"""What answers of models were given by whoever evaluated them, added up so that no order of adding can be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final, NamedTuple

_UNIT: Final = 2**1074
"""One over the smallest float above 0: every float is a whole number of it, and sums of whole numbers are exact."""


class Evaluated(NamedTuple):
    """What answers of one model were given under one name of an evaluation: how many, their scores, their labels."""

    model: str
    version: str
    name: str
    answers: int
    scored: int
    score_sum: float
    score_min: float
    score_max: float
    labels: Mapping[str, int]


class SameAnswers(NamedTuple):
    """Answers that do not differ in anything that is counted; `label` and `score` may be `None`."""

    model: str
    version: str
    name: str
    label: str | None
    score: float | None
    answers: int


class _Sums:
    def __init__(self) -> None:
        self.answers = self.scored = self.units = 0
        self.low, self.high = inf, -inf
        self.labels: dict[str, int] = {}

    def add(self, same: SameAnswers) -> None:
        self.answers += same.answers
        if same.score is not None:
            numerator, denominator = same.score.as_integer_ratio()
            self.scored += same.answers
            self.units += same.answers * numerator * (_UNIT // denominator)
            self.low, self.high = min(self.low, same.score), max(self.high, same.score)
        if same.label is not None:
            self.labels[same.label] = self.labels.get(same.label, 0) + same.answers


def evaluated(rows: Iterable[SameAnswers]) -> list[Evaluated]:
    """Return what answers add up to, sorted by model, version and name.

    A sum of scores is the float next to the exact sum: the same from every store, in whatever order it reads.
    """
    sums: dict[tuple[str, str, str], _Sums] = {}
    for row in rows:
        version = row.version if row.model else ""  # of an answer that is no model's
        sums.setdefault((row.model, version, row.name), _Sums()).add(row)
    return [
        Evaluated(*key, of.answers, of.scored, of.units / _UNIT, of.low, of.high, dict(sorted(of.labels.items())))
        for key, of in sorted(sums.items())
    ]
