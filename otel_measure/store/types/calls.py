"""Calls of models on the way in, as others tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from otel_measure.definitions.tellings import Telling

TellingOutcome: TypeAlias = Literal["accepted", "same_call", "duplicate", "span", "too_old", "erased", "invalid"]


class TakenTellings(NamedTuple):
    """What became of tellings.

    Attributes:
        outcomes: of each, in the order given: a call of its own, or of a run or use ("accepted"), told of a known call
            ("same_call"), was known itself ("duplicate"), tells of none ("span"), or was refused.
        new_calls: the ids of calls that were not known.
        reassigned: how many calls the counters show that later words took back.
    """

    outcomes: list[TellingOutcome]
    new_calls: list[str]
    reassigned: int

    def with_refused(self, told: Sequence[Telling], refused: Mapping[str, TellingOutcome]) -> TakenTellings:
        """Return the same with the outcomes of those that were refused, by their ids, each in its place."""
        taken = iter(self.outcomes)
        return self._replace(outcomes=[refused[each.id] if each.id in refused else next(taken) for each in told])
