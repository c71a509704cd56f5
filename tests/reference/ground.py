"""The ground rules of the definitions in plain Python, and the plain events they speak of.

Times are integer microseconds UTC, windows half-open `[start, end)`, days are local calendar days (`date`). What is
unknown is None. A line that begins with "Decision:" settles what the definition leaves open.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias, TypeVar
from zoneinfo import ZoneInfo

SECOND = 1_000_000
DAY = 86_400 * SECOND
Z_95 = 1.959963984540054

KEY = frozenset({"conversion", "purchase", "signup", "form_submit"})
TRACKED = KEY | {"page_view", "click", "login", "logout", "feature_use", "error", "custom"}
SESSION_MARKERS = frozenset({"session.start", "session.end"})
PASSIVE = SESSION_MARKERS | {"feature_flag.evaluation", "nps"}

NOBODY = frozenset(
    {
        *("", "undefined", "null", "none", "nan", "true", "false", "anonymous", "guest", "unknown"),
        *("[objectobject]", "0", "-1", "\N{MINUS SIGN}1"),
    }
)

Interval: TypeAlias = tuple[float, float] | None


@dataclass(frozen=True)
class Ev:
    """One thing a user did; `session` is the client's session id, `value` is in major units of `currency`."""

    user: str
    id: str
    ts: int
    type: str = "page_view"
    name: str = "p"
    session: str | None = None
    background: bool = False
    value: float | None = None
    currency: str | None = None
    environment: str = "test"


@dataclass(frozen=True)
class Identify:
    """`identify(anon, user)`."""

    anon: str
    user: str


@dataclass(frozen=True)
class Unlink:
    """`unlink(anon)`."""

    anon: str


@dataclass(frozen=True)
class NpsAnswer:
    """One answer, 0 to 10, to "would you recommend us"."""

    user: str
    survey: str
    score: int
    ts: int
    id: str
    environment: str = "test"


def names_nobody(text: str) -> bool:
    """Whether an id is one that programs write for none, in any case, or nothing that one sees.

    Decision: white space is not seen, wherever it is.
    """
    return "".join(text.casefold().split()) in NOBODY


def corrected_ts(original: int, received: int, sent: int | None = None) -> tuple[int, bool]:
    """The time of an event by our clock, and whether it was clamped.

    Decision: the clamp looks at the corrected time; exactly 300 s ahead is not clamped. A difference of less than 60 s
    either way is transit, and exactly 60 s is corrected.
    """
    off = 0 if sent is None else received - sent
    ts = original + off if abs(off) >= 60 * SECOND else original
    return (received, True) if ts > received + 300 * SECOND else (ts, False)


def micros(text: str, zone: ZoneInfo | None = None) -> int:
    """Microseconds of an ISO time; one without an offset is local to `zone`, or UTC."""
    moment = datetime.fromisoformat(text)
    return _micros(moment if moment.tzinfo else moment.replace(tzinfo=zone or UTC))


def views(*times: int, user: str = "u", name: str = "p") -> list[Ev]:
    """Page views of one user at these times."""
    return [Ev(user, f"{user}{n}", ts, name=name) for n, ts in enumerate(times)]


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def day_of(ts: int, zone: ZoneInfo) -> date:
    """The local calendar day of a time."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts)).astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> int:
    """Local midnight, or the first instant of the day where midnight does not exist."""
    return _micros(datetime(day.year, day.month, day.day, tzinfo=zone))


def days_window(as_of: date, days: int, zone: ZoneInfo) -> tuple[int, int]:
    """Decision: a window of n days (weeks: 7n) is the n local days that end with `as_of`, that day included."""
    return day_start(as_of - timedelta(days=days - 1), zone), day_start(as_of + timedelta(days=1), zone)


def complete(day: date, zone: ZoneInfo, now: int) -> bool:
    """Whether the whole local day has passed."""
    return day_start(day + timedelta(days=1), zone) <= now


def last_complete_day(as_of: date, zone: ZoneInfo, now: int) -> date:
    """The last complete day up to `as_of`."""
    while not complete(as_of, zone, now):
        as_of -= timedelta(days=1)
    return as_of


def persons(aliases: Iterable[Identify | Unlink]) -> Callable[[str], str]:
    """Return the function from any id to its person.

    Decision: the first link of an id stays until it is taken back; a later one to another person is refused, as is one
    of an id that was ever named as a user, whether that call was refused or not. An id goes along with the one that it
    was identified as. So without refusals the persons are the connected components of the links, in any order.
    """
    owner: dict[str, str] = {}
    users: set[str] = set()

    def person(distinct_id: str) -> str:
        while distinct_id in owner:
            distinct_id = owner[distinct_id]
        return distinct_id

    for link in aliases:
        if isinstance(link, Unlink):
            owner.pop(link.anon, None)
            continue
        users.add(link.user)
        if person(link.anon) != person(link.user) and link.anon not in owner and link.anon not in users:
            owner[link.anon] = link.user
    return person


Received = TypeVar("Received", Ev, NpsAnswer)


def kept(received: Iterable[Received], aliases: Iterable[Identify | Unlink] = ()) -> list[Received]:
    """What is left after dropping repeated ids, with `user` resolved to the person, by (ts, id)."""
    person = persons(aliases)
    first: dict[str, Received] = {}
    for record in received:
        first.setdefault(record.id, record)
    return sorted((replace(r, user=person(r.user)) for r in first.values()), key=lambda r: (r.ts, r.id))


def erased(received: Iterable[Received], aliases: Sequence[Identify | Unlink], user: str) -> list[Received]:
    """What is left after `delete_user(user)`. Decision: every id of the person goes, whichever of them was named."""
    person = persons(aliases)
    return [r for r in received if person(r.user) != person(user)]


def is_activity(event: Ev) -> bool:
    """Whether the event makes its person active (the "qualifying" events)."""
    return event.type not in PASSIVE and not event.background


def active_persons(events: Iterable[Ev], start: int, end: int, aliases: Iterable[Identify | Unlink] = ()) -> set[str]:
    """Persons with activity in the window."""
    return {e.user for e in kept(events, aliases) if is_activity(e) and start <= e.ts < end}


def first_seen(events: Iterable[Ev], aliases: Iterable[Identify | Unlink] = ()) -> dict[str, int]:
    """Time of each person's first activity. Decision: passive events do not make a person seen."""
    seen: dict[str, int] = {}
    for event in filter(is_activity, kept(events, aliases)):
        seen.setdefault(event.user, event.ts)
    return seen


def active_days(
    events: Iterable[Ev], zone: ZoneInfo, as_of: date, aliases: Iterable[Identify | Unlink] = ()
) -> dict[str, set[date]]:
    """The days on which each person was active, up to `as_of`."""
    days: defaultdict[str, set[date]] = defaultdict(set)
    for event in filter(is_activity, kept(events, aliases)):
        if day_of(event.ts, zone) <= as_of:
            days[event.user].add(day_of(event.ts, zone))
    return dict(days)


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole, None where whole is 0."""
    return part / whole if whole else None


def wilson(successes: int, n: int) -> Interval:
    """95 % Wilson score interval of a proportion, None at n = 0."""
    if n == 0:
        return None
    z, p = Z_95, successes / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
