"""Answers to "how likely are you to recommend us": the last one of each person, for every window of days.

An answer is a person's last in a window that ends with day D when their next one is after D, so cells by the days until
the next answer make every such question a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from otel_measure.definitions.cells import ANSWERS, CellChanges

NEVER: Final = -1
"""The days until the next answer of who gave none."""
_ONE: Final = (1,)


class DayAnswer(NamedTuple):
    """A person's last answer to a survey on one day."""

    day: int
    ts: int
    id: str
    score: int


def last_of_days(answers: Iterable[DayAnswer]) -> list[DayAnswer]:
    """Return the last answer of each day by (ts, id), ascending."""
    return list({answer.day: answer for answer in sorted(answers)}.values())


def add_answers(changes: CellChanges, survey: str, answers: Sequence[DayAnswer], sign: int = 1) -> None:
    """Add what the last answers of one person's days, ascending, contribute; `sign=-1` takes away."""
    for answer, after in zip_longest(answers, answers[1:]):
        until = after.day - answer.day if after else NEVER
        changes.add(ANSWERS, (answer.day, survey, until, answer.score), _ONE, sign)
