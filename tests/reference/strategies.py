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


_ANCHOR = st.sampled_from(DATES)
_LATER = st.lists(st.sampled_from(DAYS_LATER), min_size=1, max_size=5, unique=True)


@st.composite
def _days(draw: st.DrawFn) -> list[date]:
    """One to five days around one of DATES, so that events of a history meet."""
    anchor, later = draw(_ANCHOR), draw(_LATER)
    return [anchor + timedelta(days=d) for d in later]


_DAYS = _days()

# Strategies are built once: hypothesis takes longer to look at a new one than to draw from it. Hence a record is drawn
# at its distance from a midnight, so that the edge of a day stays one over a clock change, and which one beside it.
_WHICH = st.integers(0, 59)  # of one to five, each as often
_STEP = st.sampled_from(STEPS)
_GAP = st.sampled_from(GAPS)
_AS_OFTEN = st.sampled_from((1, 1, 2, 3))
_USER = st.sampled_from(USERS)
_TYPE = st.sampled_from(TYPES)
_ANYONE = st.sampled_from(USERS + ANONYMOUS)
# Markers always carry a session id, as a client that starts sessions gives one.
_TRACKED = st.builds(
    Ev,
    user=_ANYONE,
    id=st.just(""),
    ts=_STEP,
    type=_TYPE,
    name=st.sampled_from(NAMES),
    session=st.sampled_from(CLIENT_SESSIONS),
    background=st.sampled_from((False, False, False, True)),
    value=st.sampled_from(VALUES),
    currency=st.sampled_from(CURRENCIES),
)
_PASSIVE = st.builds(
    Ev,
    user=_ANYONE,
    id=st.just(""),
    ts=_STEP,
    type=st.sampled_from(PASSIVE_TYPES),
    name=st.sampled_from(NAMES),
    session=st.sampled_from(CLIENT_SESSIONS[1:]),
)
_EVENT = st.integers(0, 5).flatmap(lambda kind: _PASSIVE if kind == 5 else _TRACKED)
_ANSWER = st.builds(
    NpsAnswer, user=_ANYONE, survey=st.sampled_from(SURVEYS), score=st.integers(0, 10), ts=_STEP, id=st.just("")
)


@st.composite
def _bursts(draw: st.DrawFn) -> tuple[int, list[Ev]]:
    """Near a midnight, one event, or the same two or three times at equal gaps: what makes sessions long."""
    event, gap = draw(_EVENT), draw(_GAP)
    return draw(_WHICH), [replace(event, ts=event.ts + k * gap) for k in range(draw(_AS_OFTEN))]


_BURST = _bursts()
_FEW_BURSTS = st.lists(_BURST, max_size=4)
_ANSWER_NEAR = st.tuples(_WHICH, _ANSWER)
_TIME = st.tuples(_WHICH, _STEP)
_STREAK_DAYS = st.sampled_from((0, 0, 11, 12))
_ZONE = st.sampled_from(ZONES)
_NOW_LATER = st.sampled_from(NOW_LATER)
_SEEN_LATER = st.sampled_from((0, 1, 7, 30))
_OWNERS = st.dictionaries(st.sampled_from(ANONYMOUS), _USER, max_size=len(ANONYMOUS))


@st.composite
def _streak(draw: st.DrawFn, zone: ZoneInfo, last: date) -> list[Ev]:
    """Nothing, or one user active on the 11 or 12 days that end with `last`: where power users begin."""
    days, user = draw(_STREAK_DAYS), draw(_USER)
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
    owner = draw(_OWNERS)
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
    zone_name = draw(_ZONE)
    zone = ZoneInfo(zone_name)
    days = draw(_DAYS)
    midnights = [day_start(day, zone) for day in days]

    def at(which: int, step: int) -> int:
        return midnights[which % len(midnights)] + step

    def told(bursts: list[tuple[int, list[Ev]]]) -> list[Ev]:
        return [replace(event, ts=at(which, event.ts)) for which, burst in bursts for event in burst]

    def answered(most: int) -> list[NpsAnswer]:
        return [replace(one, ts=at(which, one.ts)) for which, one in draw(st.lists(_ANSWER_NEAR, max_size=most))]

    bursts = draw(st.lists(_BURST, max_size=max_events // 2))
    drawn = [*draw(_streak(zone, max(days))), *told(bursts)][:max_events]
    events = [replace(e, id=f"e{n:02}") for n, e in enumerate(drawn)]
    answers = [replace(a, id=f"n{n:02}") for n, a in enumerate(answered(max_answers))]
    staged: list[Ev | NpsAnswer] = [*told(draw(_FEW_BURSTS)), *answered(2)]
    elsewhere = [replace(one, id=f"s{n:02}", environment="staging") for n, one in enumerate(staged)]
    latest = max([e.ts for e in events] + [a.ts for a in answers], default=at(*draw(_TIME)))
    now = latest + draw(_NOW_LATER)
    return UserHistory(
        zone_name=zone_name,
        now=now,
        as_of=day_of(now, zone) - timedelta(days=draw(_SEEN_LATER)),
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
            moved = replace(again, ts=again.ts + draw(_STEP), user=draw(_USER))
            received.append(replace(moved, type=draw(_TYPE)))
    return received


@st.composite
def batches(draw: st.DrawFn, received: Sequence[Received]) -> list[list[Received]]:
    """The same records in any order, cut into batches anywhere (one record each, all at once, empty ones too)."""
    order = draw(st.permutations(received))
    cuts: list[int] = sorted(draw(st.lists(st.integers(0, len(order)), max_size=6)))
    return [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
