"""One question of a store, or several about users, as of the moment they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from otel_measure.definitions.days import Days
from otel_measure.store.protocol import Reader
from otel_measure.store.questions import Moment, UserQuestions
from otel_measure.store.types.facts import EVERYTHING, Filter

T = TypeVar("T")


def asked(store: Reader | None, question: Callable[[Moment], T], where: Filter = EVERYTHING) -> T:
    """Return the answer to one question."""
    assert store is not None
    with store.asking(where) as moment:
        return question(moment)


@contextmanager
def asking_users(store: Reader, where: Filter = EVERYTHING) -> Iterator[UserQuestions]:
    """Yield the questions about users of one moment."""
    with store.asking(where) as moment:
        yield moment.users


class Holdings(NamedTuple):
    """What the whole store holds."""

    users: int
    events: int
    sessions: int


def holdings(ask: UserQuestions) -> Holdings:
    """Return how many users, events and sessions there are, as the summary reckons them."""
    ever = Days(-(2**31), 2**31)
    sessions = ask.sessions(ever, 0)
    return Holdings(ask.first_seen(ever), sessions.events + sessions.background, sessions.sessions)
