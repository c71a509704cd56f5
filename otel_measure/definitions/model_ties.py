"""Whether two signals speak of one model: a name asked for is tied to the names seen to answer it.

A tie compares signals; it never renames a call that says its own names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from otel_measure.records.kinds import Inference

_JOINTS: Final = ("-", "@", ":", "/", "_")


class ModelNames(NamedTuple):
    """What a signal says of a model: the name asked for and the one that answered, "" where it says nothing."""

    asked: str = ""
    answered: str = ""

    @property
    def says_nothing(self) -> bool:
        """Whether neither is said."""
        return not self.asked and not self.answered


class Likeness(IntEnum):
    """How sure it is that two signals speak of one model, the surest first."""

    BOTH_EQUAL = 0
    ONE_EQUAL = 1
    TIED = 2
    NAMELESS = 3


class ModelTies:
    """The names of a process that were seen together.

    Args:
        pairs: names that calls of this process said, each as often as it was said; incomplete ones as well.
    """

    def __init__(self, pairs: Mapping[ModelNames, int]) -> None:
        self._asked_for: dict[str, Counter[str]] = defaultdict(Counter)
        for names, n in pairs.items():
            if names.asked and names.answered:
                self._asked_for[names.answered][names.asked] += n
        self._asked = {names.asked for names in pairs if names.asked}
        self._lonely = _lonely(pairs)

    def likeness(self, one: ModelNames, other: ModelNames) -> Likeness | None:
        """Return how sure it is that both speak of one model, `None` where they do not.

        An answer's name that only repeats the name asked for may be no answer's: some senders write it so where they
        do not know.
        """
        if one.says_nothing or other.says_nothing:
            return Likeness.NAMELESS
        likeness = self._likeness(one, other)
        if likeness is None and one.answered != other.answered:
            likeness = self._likeness(_without_repetition(one), _without_repetition(other))
            return None if likeness is None else Likeness.TIED
        return likeness

    def _likeness(self, one: ModelNames, other: ModelNames) -> Likeness | None:
        equal = 0
        for a, b in zip(one, other, strict=True):
            if a and b:
                if a != b:
                    return None
                equal += 1
        if equal:
            return Likeness.BOTH_EQUAL if equal == 2 else Likeness.ONE_EQUAL
        asked, answered = one.asked or other.asked, one.answered or other.answered
        return Likeness.TIED if self.are_tied(asked, answered) else None

    def are_tied(self, asked: str, answered: str) -> bool:
        """Tell whether a call that asked for one name may be the one that another name answered."""
        if asked == answered or asked in self._asked_for.get(answered, ()):
            return True
        if is_longer_name(answered, asked):
            # `gpt-4o-mini-2024-07-18` goes on from `gpt-4o`, and is `gpt-4o-mini`'s where that is asked for too.
            return not any(is_longer_name(answered, longer) and is_longer_name(longer, asked) for longer in self._asked)
        return self._lonely == ModelNames(asked, answered)

    def asked_of(self, answered: str) -> str:
        """Return the name that was asked for most often where this one answered (a tie: the first), itself for none."""
        asked_for = self._asked_for.get(answered)
        return min(asked_for, key=lambda asked: (-asked_for[asked], asked)) if asked_for else answered


def _without_repetition(names: ModelNames) -> ModelNames:
    return ModelNames(names.asked) if names.asked == names.answered else names


def is_longer_name(answered: str, asked: str) -> bool:
    """Tell whether a name is another one with something behind it: `gpt-4o-2024-08-06` is `gpt-4o`'s."""
    return bool(asked) and answered.startswith(asked) and answered[len(asked) :].startswith(_JOINTS)


def names_of(record: Inference) -> ModelNames:
    """Return what a call says of its model."""
    return ModelNames(record.model, record.response_model or "")


def are_tied(one: ModelNames, other: ModelNames) -> bool:
    """Tell whether names alone tie two calls: a name that both say, or one that goes on from the other."""
    said, others = {name for name in one if name}, {name for name in other if name}
    return bool(said & others) or any(is_longer_name(a, b) or is_longer_name(b, a) for a in said for b in others)


def _lonely(pairs: Mapping[ModelNames, int]) -> ModelNames | None:
    """Return the one name asked for and the one that answered that a process leaves without a partner."""
    asked = {names.asked for names in pairs if names.asked}
    answered = {names.answered for names in pairs if names.answered}
    together = [names for names in pairs if names.asked and names.answered]
    asked -= {names.asked for names in together}
    answered -= {names.answered for names in together}
    related = {(a, b) for a in asked for b in answered if a == b or is_longer_name(b, a)}
    asked -= {a for a, _ in related}
    answered -= {b for _, b in related}
    return ModelNames(*asked, *answered) if len(asked) == len(answered) == 1 else None
