"""From the plain histories of the reference to a store, and from answers to what the reference answers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from hypothesis import strategies as st

from otel_measure.definitions.windows import DaySpan, day_span
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Origin, Record, UserEvent
from otel_measure.store.protocol import Store
from otel_measure.store.questions import UserQuestions
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from otel_measure.users import reports
from otel_measure.users.series import user_series
from tests.reference.ground import Ev, Identify, NpsAnswer, Unlink
from tests.reference.strategies import UserHistory
from tests.store.asking import asking_users

HERE = Filter(None, "test")
_ABOUT = ("window", "missing")
FLAG, SURVEY = "feature_flag.evaluation", "nps"


def told_apart(events: Iterable[Ev]) -> list[Ev]:
    """Return the events with those that are records of another kind under a name that nobody asks for."""
    return [replace(e, name="other") if e.type in {FLAG, SURVEY} else e for e in events]


def received_in(history: UserHistory) -> list[Ev | NpsAnswer]:
    """Return everything a history's store receives."""
    elsewhere = [one for one in history.elsewhere if isinstance(one, NpsAnswer)]
    events = [*history.events, *(one for one in history.elsewhere if isinstance(one, Ev))]
    return [*told_apart(events), *history.answers, *elsewhere]


def record(event: Ev | NpsAnswer, service: str = "shop") -> Record:
    """Return the record that stands for a plain event or answer."""
    origin = Origin(service, event.environment)
    if isinstance(event, NpsAnswer):
        return NpsResponse(
            id=event.id, ts=event.ts, origin=origin, user_id=event.user, score=event.score, survey=event.survey
        )
    if event.type == FLAG:
        return Exposure(id=event.id, ts=event.ts, origin=origin, user_id=event.user, experiment="x", variant="y")
    if event.type == SURVEY:  # the conversion of a test is as little a deed of the user as an answer is
        return AbConversion(id=event.id, ts=event.ts, origin=origin, user_id=event.user, experiment="x")
    return UserEvent(
        id=event.id,
        ts=event.ts,
        origin=origin,
        user_id=event.user,
        type=event.type,
        name=event.name,
        session_id=event.session,
        background=event.background,
        value=event.value,
        currency=event.currency,
    )


def feed(store: SqliteStore, steps: Iterable[Sequence[Ev | NpsAnswer] | Identify | Unlink]) -> SqliteStore:
    """Give a store batches and links, in this order."""
    for step in steps:
        if isinstance(step, Identify):
            store.identify(step.anon, step.user)
        elif isinstance(step, Unlink):
            store.unlink(step.anon)
        else:
            store.accept([record(one) for one in step])
    return store


@st.composite
def steps_in_order(
    draw: st.DrawFn, received: Sequence[Ev | NpsAnswer], said: Sequence[Identify | Unlink]
) -> list[Sequence[Ev | NpsAnswer] | Identify | Unlink]:
    """The same records in any order and cut anywhere, with what is said of who is who among them, in its order."""
    found: list[Sequence[Ev | NpsAnswer] | Identify | Unlink] = list(draw(steps(received, ())))
    places = sorted(draw(st.lists(st.integers(0, len(found)), min_size=len(said), max_size=len(said))))
    for place, one in reversed(list(zip(places, said, strict=True))):
        found.insert(place, one)
    return found


@st.composite
def steps(
    draw: st.DrawFn, received: Sequence[Ev | NpsAnswer], aliases: Sequence[Identify]
) -> list[Sequence[Ev | NpsAnswer] | Identify]:
    """The same records in any order and cut anywhere, with the links anywhere among them."""
    order = draw(st.permutations(received))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=6)))
    batches = [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    found: list[Sequence[Ev | NpsAnswer] | Identify] = list(batches)
    for link in draw(st.permutations(aliases)):
        found.insert(draw(st.integers(0, len(found))), link)
    return found


def asked(history: UserHistory, days: int) -> DaySpan:
    """The window of a history's question."""
    return day_span(f"{days}d", history.now, history.zone_name, history.as_of)


def plain(answer: object) -> dict[str, object]:
    """Return an answer as the reference gives it: without what it is about, the unknown as `None`."""
    assert dataclasses.is_dataclass(answer)
    assert not isinstance(answer, type)
    return {key: _known(value) for key, value in dataclasses.asdict(answer).items() if key not in _ABOUT}


def _known(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, float) for end in value):
        return None if math.isnan(value[0]) else value
    return value


def everything(store: Store, zone: str, now: int, as_of: date, where: Filter = HERE, days: int = 30) -> list[object]:
    """Return every report of a store, as comparable values."""
    with asking_users(store, where) as ask:
        return every_report(ask, zone, now, as_of, days)


def every_report(ask: UserQuestions, zone: str, now: int, as_of: date, days: int = 30) -> list[object]:
    """Return every report, as comparable values."""
    window, quarter = (day_span(f"{n}d", now, zone, as_of) for n in (days, 90))
    return [
        repr(reports.summary(ask, window, quarter, now, "conversion")),
        *(repr(reports.conversion(ask, window, event)) for event in ("purchase", "form_submit", "signup", "a")),
        repr(reports.nps(ask, window, "checkout")),
        repr(user_series(ask, window, None, "previous", "conversion", now)),
    ]


def contents(store: SqliteStore, *left_out: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of a store, sorted, by table, but for those that tell which cells and times changed last."""
    with store._database.read() as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not name.startswith("sqlite_") and name not in {"model_change", "slot_change", *left_out}
        ]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
