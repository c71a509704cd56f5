"""Random stories for any store: facts of every kind, what others tell, and who is who, in any order, again and changed.

A story is told step by step to stores that must answer alike. What is told after a step of it depends on nothing but
the steps, so a batch may be told again when nobody knows whether it arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

from otel_measure.records.kinds import Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.models import Model
from tests.facts import DAY, HOUR, MINUTE
from tests.reference.ground import Identify, Unlink
from tests.reference.strategies import histories, identities
from tests.store.conformance.telling import LEARN
from tests.store.stories.drawn import AGO, ENVIRONMENT, SERVICES, TEST, USER, others, points, tellings
from tests.users.feeding import received_in, record

_ALTERED: Final = st.sampled_from(("ts", "ts", "user", "nothing"))
_LATER: Final = st.sampled_from((1, HOUR, DAY))
_AGAIN: Final = st.integers(0, 10**6)


class Erased(NamedTuple):
    """That a user is erased, at a time in microseconds."""

    user: str
    at: int


class Did(NamedTuple):
    """That a method of the store is called, as often as it says that there is more."""

    method: Literal[
        "register_service", "beat", "end_watch", "register_model", "stop_experiment", "bring_up_to_date", "sweep"
    ]
    given: tuple[Any, ...]


class ToldByOthers(NamedTuple):
    """What others tell: spans and facts around calls, or points of streams; what it means is counted at a time."""

    told: Sequence[Any]
    method: Literal["take_tellings", "ingest"]
    at: int


Step: TypeAlias = list[Record] | Identify | Unlink | Erased | Did | ToldByOthers


class Story(NamedTuple):
    """What stores are told, and what is asked about it.

    Attributes:
        zone_name: of the days.
        now: when one looks, microseconds.
        as_of: the last day that one looks at of users.
        window: how far back one looks at models.
        service: of which users are asked about once more.
        group_by, spent_by: what a series of models, and what they cost, are told apart by.
        steps: in their order.
    """

    zone_name: str
    now: int
    as_of: date
    window: str
    service: str
    group_by: str
    spent_by: str
    steps: list[Step]

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the days."""
        return ZoneInfo(self.zone_name)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Return everything that may happen, in any order and batches, some of it twice, later or of another user."""
    history = draw(histories(max_events=20))
    now = history.now
    facts = [*(record(one) for one in received_in(history)), *draw(others(now))]
    records = draw(st.permutations(facts))
    again = [_again(draw, records[n % len(records)]) for n in draw(st.lists(_AGAIN, max_size=6))] if records else []
    steps: list[Step] = _overlapping(records, draw(st.lists(st.integers(0, len(records)), max_size=3)), draw)
    said: list[Step] = [*draw(identities())]
    if users := draw(st.lists(USER, max_size=1)):
        said.insert(draw(st.integers(0, len(said))), Erased(users[0], now - draw(AGO)))
    _insert(draw, steps, said)
    _insert(draw, steps, _told(draw, "take_tellings", draw(tellings(now)), now))
    _insert(draw, steps, _told(draw, "ingest", draw(points(now)), now))
    _insert(draw, steps, draw(st.lists(_did(now), min_size=3, max_size=6)))
    window, service = draw(st.sampled_from(("30d", "24h"))), draw(st.sampled_from(("shop", "api")))
    group_by, spent_by = draw(st.sampled_from(("provider", "version"))), draw(st.sampled_from(("user", "repository")))
    return Story(history.zone_name, now, history.as_of, window, service, group_by, spent_by, [*steps, again])


def _again(draw: st.DrawFn, each: Any) -> Record:
    """Return a record as its sender tries again: as it was, at another time or on another day, or by another user."""
    what = draw(_ALTERED)
    if what == "user" and getattr(each, "user_id", None) is not None:
        again: Record = msgspec.structs.replace(each, user_id=draw(USER))
    else:
        again = msgspec.structs.replace(each, ts=each.ts + (draw(_LATER) if what != "nothing" else 0))
    return again


def _overlapping(records: Sequence[Record], cuts: Sequence[int], draw: st.DrawFn) -> list[Step]:
    """Return records in batches; each begins with some that the one before it ended with."""
    edges = [0, *sorted(cuts), len(records)]
    return [[*records[max(start - draw(st.sampled_from((0, 0, 3))), 0) : end]] for start, end in pairwise(edges)]


def _told(draw: st.DrawFn, method: Literal["take_tellings", "ingest"], drawn: Sequence[Any], now: int) -> list[Step]:
    """Return what others tell in two requests, the first of which comes once more after the second."""
    if not drawn:
        return []
    cut = draw(st.integers(1, len(drawn)))
    requests = [drawn[:cut], drawn[cut:], drawn[:cut]]
    return [ToldByOthers(request, method, now) for request in requests if request]


@st.composite
def _did(draw: st.DrawFn, now: int) -> Did:
    """Return one change of the small state, or a turn of what goes on in the background."""
    service, at = draw(st.sampled_from(SERVICES)), now - draw(AGO)
    target = draw(st.sampled_from((99.0, 99.9)))
    did: Did = draw(
        st.sampled_from(
            (
                Did("register_service", (ENVIRONMENT, service, target, at)),
                Did("register_service", (ENVIRONMENT, service, target, at)),
                Did("beat", (ENVIRONMENT, at, SERVICES)),
                Did("beat", (ENVIRONMENT, at + MINUTE // 2, (service,))),
                Did("end_watch", (ENVIRONMENT, service, at)),
                Did("register_model", (Model("m", "1", "classification", {"min_accuracy": target / 100}),)),
                Did("stop_experiment", (TEST.key, "a", at)),
                Did("bring_up_to_date", ("somebody", now + DAY)),
                Did("sweep", (now,)),
            )
        )
    )
    return did


def _insert(draw: st.DrawFn, steps: list[Step], more: Sequence[Step]) -> None:
    """Put more steps among those that there are, in their order."""
    places = sorted(draw(st.integers(0, len(steps))) for _ in more)
    for place, step in reversed([*zip(places, more, strict=True)]):
        steps.insert(place, step)


def tell(store: Store, step: Step) -> None:
    """Tell a store one step of a story."""
    if isinstance(step, Identify):
        store.identify(step.anon, step.user)
    elif isinstance(step, Unlink):
        store.unlink(step.anon)
    elif isinstance(step, Erased):
        store.erase(step.user, step.at)
    elif isinstance(step, Did):
        call = partial(getattr(store, step.method), *step.given)
        while call() is True and step.method == "bring_up_to_date":
            pass
    elif isinstance(step, ToldByOthers):
        if step.method == "ingest":
            store.ingest(step.told, LEARN)
        else:
            store.take_tellings(step.told)
        while store.count_signals(LEARN, step.at):
            pass
    else:
        store.accept(step)
