"""Random histories that go where definitions break: ties, edges of gaps, midnights, clock changes, re-deliveries.

A time is one of a few local midnights, often of a day with a clock change, plus a small step from a list of edges, so
that two draws often meet or lie exactly one limit apart. First entries are the dull ones: a failing history shrinks
towards one user, one zone, one time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.reference.ground import DAY, SECOND, Ev, Identify, NpsAnswer, Received, Unlink, day_of, day_start

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
# Plain days, and those on which New York (8 March, 1 November) and Lord Howe (5 April, 4 October; half an hour) change.
DATES = tuple(date.fromisoformat(f"2026-{d}") for d in ("01-15", "03-08", "11-01", "04-05", "10-04"))
DAYS_LATER = (0, 1, -1, 2, 6, 7, 8, 27, 28, 29, 30, 31, 60, 89, 90)
AROUND_GAPS = tuple(k * 1800 * SECOND + d for k in (1, 2, -1, 48) for d in (0, 1, -1))
STEPS = (0, 1, -1, 10 * SECOND, 10 * SECOND - 1, 30 * SECOND, *AROUND_GAPS)
GAPS = (0, 5 * SECOND, 10 * SECOND, 1800 * SECOND, 1800 * SECOND + 1)
NOW_LATER = (1800 * SECOND, 0, 1800 * SECOND - 1, 1, DAY, 7 * DAY, 31 * DAY)

USERS = ("u1", "u2", "u3")
ANONYMOUS = ("a1", "a2", "a3")
CLIENT_SESSIONS = (None, "s1", "s2", "undefined")
TYPES = ("page_view", "click", "conversion", "purchase", "form_submit", "custom")
PASSIVE_TYPES = ("session.start", "session.end", "feature_flag.evaluation", "nps")
NAMES = ("a", "b", "c", "conversion")
VALUES = (None, 0.25, 20.0, -5.5)  # exact in binary: sums do not depend on their order
CURRENCIES = (None, "USD", "EUR")
SURVEYS = ("default", "checkout")


@dataclass(frozen=True)
class UserHistory:
    """What was received, in the order of receipt, and when and where one looks at it.

    Attributes:
        elsewhere: what the same users did in another environment: it adds to nothing that is asked for.
    """

    zone_name: str
    now: int
    as_of: date
    events: list[Ev]
    aliases: list[Identify]
    answers: list[NpsAnswer]
    elsewhere: list[Ev | NpsAnswer]

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the project."""
        return ZoneInfo(self.zone_name)


@st.composite
def _days(draw: st.DrawFn) -> list[date]:
    """One to five days around one of DATES, so that events of a history meet."""
    anchor = draw(st.sampled_from(DATES))
    later = draw(st.lists(st.sampled_from(DAYS_LATER), min_size=1, max_size=5, unique=True))
    return [anchor + timedelta(days=d) for d in later]


def _times(zone: ZoneInfo, days: Sequence[date]) -> st.SearchStrategy[int]:
    """Times around local midnights, so that the edge of a day stays one over a clock change."""
    return st.builds(int.__add__, st.sampled_from([day_start(d, zone) for d in days]), st.sampled_from(STEPS))


def _one_event(times: st.SearchStrategy[int]) -> st.SearchStrategy[Ev]:
    """One event without its id; markers always carry a session id, as a client that starts sessions gives one."""
    common = {"user": st.sampled_from(USERS + ANONYMOUS), "id": st.just(""), "ts": times}
    tracked = st.builds(
        Ev,
        **common,
        type=st.sampled_from(TYPES),
        name=st.sampled_from(NAMES),
        session=st.sampled_from(CLIENT_SESSIONS),
        background=st.sampled_from((False, False, False, True)),
        value=st.sampled_from(VALUES),
        currency=st.sampled_from(CURRENCIES),
    )
    passive = st.builds(
        Ev,
        **common,
        type=st.sampled_from(PASSIVE_TYPES),
        name=st.sampled_from(NAMES),
        session=st.sampled_from(CLIENT_SESSIONS[1:]),
    )
    return st.integers(0, 5).flatmap(lambda kind: passive if kind == 5 else tracked)


@st.composite
def _burst(draw: st.DrawFn, times: st.SearchStrategy[int]) -> list[Ev]:
    """One event, or the same two or three times at equal gaps: what makes sessions long."""
    event, gap = draw(_one_event(times)), draw(st.sampled_from(GAPS))
    return [replace(event, ts=event.ts + k * gap) for k in range(draw(st.sampled_from((1, 1, 2, 3))))]


@st.composite
def _streak(draw: st.DrawFn, zone: ZoneInfo, last: date) -> list[Ev]:
    """Nothing, or one user active on the 11 or 12 days that end with `last`: where power users begin."""
    days, user = draw(st.sampled_from((0, 0, 11, 12))), draw(st.sampled_from(USERS))
    return [Ev(user, "", day_start(last - timedelta(days=k), zone)) for k in range(days)]


@st.composite
def _redelivered(draw: st.DrawFn, records: list[Received], most: int) -> list[Received]:
    """The records with some of them received again, unchanged, anywhere later."""
    received = list(records)
    if records:
        for again in draw(st.lists(st.sampled_from(records), max_size=most)):
            earliest = received.index(again) + 1
            received.insert(draw(st.integers(earliest, len(received))), again)
    return received


@st.composite
def identifies(draw: st.DrawFn) -> list[Identify]:
    """Links without refusals, each perhaps repeated.

    No id is linked to two users, and no user to another: which of two wins depends on the order of receipt, by
    definition.
    """
    owner = draw(st.dictionaries(st.sampled_from(ANONYMOUS), st.sampled_from(USERS), max_size=len(ANONYMOUS)))
    links = [Identify(anon, user) for anon, user in owner.items()]
    return draw(st.lists(st.sampled_from(links), max_size=2 * len(links))) if links else []


def identities() -> st.SearchStrategy[list[Identify | Unlink]]:
    """Whatever may be said of who is who, refused or not, in the order of receipt, which is its meaning."""
    anyone = st.sampled_from(ANONYMOUS + USERS)
    link = st.builds(Identify, anon=anyone, user=anyone)
    return st.lists(st.one_of(link, link, st.builds(Unlink, anon=anyone)), max_size=8)


@st.composite
def histories(draw: st.DrawFn, *, max_events: int = 36, max_answers: int = 8) -> UserHistory:
    """A history of at most `max_events` events and 4 re-deliveries, seen at the end of it or a while later or before.

    Any order of receipt of it means the same.
    """
    zone_name = draw(st.sampled_from(ZONES))
    zone = ZoneInfo(zone_name)
    days = draw(_days())
    times = _times(zone, days)
    bursts = draw(st.lists(_burst(times), max_size=max_events // 2))
    drawn = [e for burst in [draw(_streak(zone, max(days))), *bursts] for e in burst][:max_events]
    events = [replace(e, id=f"e{n:02}") for n, e in enumerate(drawn)]
    answer = st.builds(
        NpsAnswer,
        user=st.sampled_from(USERS + ANONYMOUS),
        survey=st.sampled_from(SURVEYS),
        score=st.integers(0, 10),
        ts=times,
        id=st.just(""),
    )
    answers = [replace(a, id=f"n{n:02}") for n, a in enumerate(draw(st.lists(answer, max_size=max_answers)))]
    staged: list[Ev | NpsAnswer] = [e for burst in draw(st.lists(_burst(times), max_size=4)) for e in burst]
    staged += draw(st.lists(answer, max_size=2))
    elsewhere = [replace(one, id=f"s{n:02}", environment="staging") for n, one in enumerate(staged)]
    latest = max([e.ts for e in events] + [a.ts for a in answers], default=draw(times))
    now = latest + draw(st.sampled_from(NOW_LATER))
    return UserHistory(
        zone_name=zone_name,
        now=now,
        as_of=day_of(now, zone) - timedelta(days=draw(st.sampled_from((0, 1, 7, 30)))),
        events=draw(_redelivered(events, 4)),
        aliases=draw(identifies()),
        answers=draw(_redelivered(answers, 2)),
        elsewhere=elsewhere,
    )


@st.composite
def altered(draw: st.DrawFn, events: Sequence[Ev]) -> list[Ev]:
    """The events followed by some of their ids again with *other* contents: the first received must win.

    This order is the meaning, so it must not be permuted.
    """
    received = list(events)
    if received:
        for again in draw(st.lists(st.sampled_from(received), max_size=4)):
            moved = replace(again, ts=again.ts + draw(st.sampled_from(STEPS)), user=draw(st.sampled_from(USERS)))
            received.append(replace(moved, type=draw(st.sampled_from(TYPES))))
    return received


@st.composite
def batches(draw: st.DrawFn, received: Sequence[Received]) -> list[list[Received]]:
    """The same records in any order, cut into batches anywhere (one record each, all at once, empty ones too)."""
    order = draw(st.permutations(received))
    cuts: list[int] = sorted(draw(st.lists(st.integers(0, len(order)), max_size=6)))
    return [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
