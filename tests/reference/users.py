"""Activity, sessions, retention, lifecycle and segments straight from the definitions: slow, obvious, the judge.

Nothing here knows the product. `events` is in the order of receipt: every report first drops repeated ids (the first
received wins) and resolves aliases. What is unknown is None. A line that begins with "Decision:" settles what the
definition leaves open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from tests.reference.ground import (
    DAY,
    KEY,
    PASSIVE,
    SECOND,
    SESSION_MARKERS,
    TRACKED,
    Ev,
    Identify,
    Interval,
    Unlink,
    active_days,
    active_persons,
    complete,
    day_of,
    day_start,
    days_window,
    first_seen,
    is_activity,
    kept,
    last_complete_day,
    names_nobody,
    ratio,
    wilson,
)

SESSION_GAP = 1800 * SECOND
CLIENT_SESSION_GAP = 24 * 3600 * SECOND
ENGAGED = 10 * SECOND
MONTH_DAYS = 28

Cell: TypeAlias = tuple[int, int] | None
Mode: TypeAlias = Literal["on", "on_or_after", "rolling_24h"]


@dataclass(frozen=True)
class Session:
    """Events of one person that belong together; `events` counts activity, so a session of markers alone has 0."""

    person: str
    client_id: str | None
    start: int
    end: int
    events: int
    views: int
    key_events: int

    @property
    def engaged(self) -> bool:
        """Whether it lasts 10 s or more, or has two views, or a key event."""
        return self.end - self.start >= ENGAGED or self.views >= 2 or self.key_events >= 1


def active_users(
    events: Sequence[Ev], zone: ZoneInfo, as_of: date, days: int, aliases: Sequence[Identify | Unlink] = ()
) -> int:
    """Distinct persons active on the `days` local days that end with `as_of` (1 DAU, 7 WAU, 28 MAU)."""
    return len(active_persons(events, *days_window(as_of, days, zone), aliases))


def first_day(events: Sequence[Ev], zone: ZoneInfo, aliases: Sequence[Identify | Unlink] = ()) -> date | None:
    """The day on which the second person was first seen; that of the only person.

    Decision: so a wrong clock of one person moves nothing, and an import moves it back.
    """
    days = sorted(day_of(ts, zone) for ts in first_seen(events, aliases).values())
    return days[1] if len(days) > 1 else days[0] if days else None


def is_known(since: date, events: Sequence[Ev], zone: ZoneInfo, aliases: Sequence[Identify | Unlink] = ()) -> bool:
    """Whether every day from `since` on is one of the store's."""
    first = first_day(events, zone, aliases)
    return first is None or first <= since


def stickiness(
    events: Sequence[Ev], zone: ZoneInfo, now: int, as_of: date, aliases: Sequence[Identify | Unlink] = ()
) -> float | None:
    """Mean DAU of the last 28 complete days over the MAU of the same days.

    Decision: those end with `as_of` when it is complete, else with the day before; where they begin before the first
    day nothing is known.
    """
    last = last_complete_day(as_of, zone, now)
    if not is_known(last - timedelta(days=MONTH_DAYS - 1), events, zone, aliases):
        return None
    daus = [active_users(events, zone, last - timedelta(days=back), 1, aliases) for back in range(MONTH_DAYS)]
    return ratio(sum(daus) / MONTH_DAYS, active_users(events, zone, last, MONTH_DAYS, aliases))


def sessions(events: Sequence[Ev], aliases: Sequence[Identify | Unlink] = ()) -> list[Session]:
    """All sessions by (start, person, client id).

    Decision: session.start and session.end open and stretch the session whose id they carry, for that is what they
    say; those without an id say nothing, and background events, flag evaluations and NPS answers neither open nor
    stretch one. An empty client id is none,
    as one that programs write for none. Exactly 30 min, or 24 h where a client gives the id, is no end.
    """
    groups: defaultdict[tuple[str, str | None, int], list[Ev]] = defaultdict(list)
    last: dict[tuple[str, str | None], tuple[int, int]] = {}  # by person and client id: (ts, number of the session)
    for event in kept(events, aliases):
        if event.background or event.type in PASSIVE - SESSION_MARKERS:
            continue
        client = None if names_nobody(event.session or "") else event.session
        if not client and event.type in SESSION_MARKERS:
            continue
        previous, number = last.get((event.user, client), (event.ts, 0))
        number += event.ts - previous > (CLIENT_SESSION_GAP if client else SESSION_GAP)
        last[event.user, client] = (event.ts, number)
        groups[event.user, client, number].append(event)
    found = [
        Session(
            person=person,
            client_id=client_id,
            start=min(e.ts for e in group),
            end=max(e.ts for e in group),
            events=sum(is_activity(e) for e in group),
            views=sum(e.type == "page_view" for e in group),
            key_events=sum(e.type in KEY for e in group),
        )
        for (person, client_id, _), group in groups.items()
    ]
    return sorted(found, key=lambda s: (s.start, s.person, s.client_id or ""))


def sessions_in(events: Sequence[Ev], start: int, end: int, aliases: Sequence[Identify | Unlink] = ()) -> list[Session]:
    """Sessions that start in the window, whole, also where they run past its end."""
    return [s for s in sessions(events, aliases) if start <= s.start < end]


def bounce(found: Sequence[Session], now: int) -> dict[str, int | float | None]:
    """Bounce rate of sessions with a view. Decision: at exactly 30 min since its last event a session is closed."""
    viewed = [s for s in found if s.views >= 1 and now - s.end >= SESSION_GAP]
    bounced = sum(not s.engaged for s in viewed)
    return {"bounced": bounced, "viewed": len(viewed), "bounce_rate": ratio(bounced, len(viewed))}


def return_rate(
    events: Sequence[Ev], start: int, end: int, aliases: Sequence[Identify | Unlink] = ()
) -> dict[str, int | float | None]:
    """Persons active in the window and first seen before it, among those active in it."""
    active, seen = active_persons(events, start, end, aliases), first_seen(events, aliases)
    returning = sum(seen[person] < start for person in active)
    return {"returning": returning, "active": len(active), "return_rate": ratio(returning, len(active))}


def share_interval(part: float | None, whole: float | None) -> Interval:
    """The Wilson interval of a share, None where it is unknown."""
    return None if part is None or whole is None else wilson(int(part), int(whole))


def engagement(
    events: Sequence[Ev],
    zone: ZoneInfo,
    now: int,
    as_of: date,
    days: int = 30,
    aliases: Sequence[Identify | Unlink] = (),
) -> dict[str, int | float | bool | Interval]:
    """The engagement report over the `days` local days that end with `as_of`.

    Decision: open sessions are left out of the bounce rate only; sessions per user is over the active persons of the
    window; events per session counts activity; provisional is whether `as_of` is incomplete. Who was first seen before
    the window is known when as many days before it are.
    """
    start, end = days_window(as_of, days, zone)
    found = sessions_in(events, start, end, aliases)
    bounced, returned = bounce(found, now), return_rate(events, start, end, aliases)
    if not is_known(as_of - timedelta(days=2 * days - 1), events, zone, aliases):
        returned |= {"returning": None, "return_rate": None}
    return {
        "dau": active_users(events, zone, as_of, 1, aliases),
        "wau": active_users(events, zone, as_of, 7, aliases),
        "mau": active_users(events, zone, as_of, MONTH_DAYS, aliases),
        "mau_window_days": MONTH_DAYS,
        "stickiness": stickiness(events, zone, now, as_of, aliases),
        "sessions": len(found),
        "avg_session_duration_seconds": ratio(sum(s.end - s.start for s in found) / SECOND, len(found)),
        "avg_sessions_per_user": ratio(len(found), len(active_persons(events, start, end, aliases))),
        "avg_events_per_session": ratio(sum(s.events for s in found), len(found)),
        "bounce_rate": bounced["bounce_rate"],
        "bounce_rate_n": bounced["viewed"],
        "bounce_rate_ci": share_interval(bounced["bounced"], bounced["viewed"]),
        "return_rate": returned["return_rate"],
        "return_rate_n": returned["active"],
        "return_rate_ci": share_interval(returned["returning"], returned["active"]),
        "provisional": not complete(as_of, zone, now),
    }


def totals(events: Sequence[Ev], aliases: Sequence[Identify | Unlink] = ()) -> dict[str, int]:
    """Totals of the summary over the whole store.

    Decision: users are persons with activity; events are tracked ones, background included, markers and flags not.
    """
    return {
        "total_users": len(first_seen(events, aliases)),
        "total_events": sum(e.type in TRACKED for e in kept(events, aliases)),
        "total_sessions": len(sessions(events, aliases)),
    }


def _returned(days: set[date], times: Sequence[int], n: int, mode: Mode) -> bool:
    """Whether one person, active on these days and at these times, came back on day n."""
    target = min(days) + timedelta(days=n)
    if mode == "on":
        return target in days
    if mode == "on_or_after":
        return max(days) >= target
    return any(n * DAY <= ts - min(times) < (n + 1) * DAY for ts in times)


def retention(
    events: Sequence[Ev],
    zone: ZoneInfo,
    now: int,
    as_of: date,
    ns: Sequence[int] = (1, 7, 30),
    mode: Mode = "on",
    days: int = 90,
    aliases: Sequence[Identify | Unlink] = (),
) -> dict[date, dict[int, Cell]]:
    """(returned, size) of every cohort of the `days` local days that end with `as_of`, None where not mature.

    Decision: the cohort is by first activity; cohorts without persons are not listed; events after `as_of` do not
    exist. `rolling_24h` is activity in [first + 24n h, first + 24(n+1) h), and is mature when that has passed for each
    member as well. `on_or_after` has the same maturity as `on` and may still grow.
    """
    known_until = min(now, day_start(as_of + timedelta(days=1), zone))
    per_person = active_days(events, zone, as_of, aliases)
    times: defaultdict[str, list[int]] = defaultdict(list)
    for event in filter(is_activity, kept(events, aliases)):
        times[event.user].append(event.ts)
    table: dict[date, dict[int, Cell]] = {}
    for cohort in sorted({min(active) for active in per_person.values()}):
        if cohort <= as_of - timedelta(days=days):
            continue
        members = [person for person, active in per_person.items() if min(active) == cohort]
        table[cohort] = {}
        for n in ns:
            mature = complete(cohort + timedelta(days=n), zone, known_until)
            if mode == "rolling_24h":
                mature = mature and all(min(times[p]) + (n + 1) * DAY <= known_until for p in members)
            returned = sum(_returned(per_person[p], times[p], n, mode) for p in members)
            table[cohort][n] = (returned, len(members)) if mature else None
    return table


def headline_retention(
    events: Sequence[Ev], zone: ZoneInfo, now: int, as_of: date, n: int, aliases: Sequence[Identify | Unlink] = ()
) -> dict[str, int | float | Interval]:
    """Day-n retention (mode `on`) over the mature cohorts of the last 90 days.

    Decision: the last 90 days are those that end with `as_of`; `n` is the persons, `cohorts` the mature cohorts.
    """
    table = retention(events, zone, now, as_of, ns=(n,), aliases=aliases)
    cells = [cells[n] for cells in table.values()]
    mature = [cell for cell in cells if cell is not None]
    returned, size = sum(cell[0] for cell in mature), sum(cell[1] for cell in mature)
    return {
        "rate": ratio(returned, size),
        "returned": returned,
        "n": size,
        "cohorts": len(mature),
        "ci": wilson(returned, size),
    }


def lifecycle(
    events: Sequence[Ev], zone: ZoneInfo, last_day: date, days: int, aliases: Sequence[Identify | Unlink] = ()
) -> dict[str, int]:
    """The period of `days` days that ends with `last_day` against the equally long one before it.

    Decision: new is first activity in the period; an unfinished period gives counts so far.
    """
    start, end = days_window(last_day, days, zone)
    now_active = active_persons(events, start, end, aliases)
    before = active_persons(events, *days_window(last_day - timedelta(days=days), days, zone), aliases)
    seen = first_seen(events, aliases)
    return {
        "new": sum(seen[p] >= start for p in now_active),
        "returning": len(now_active & before),
        "resurrecting": sum(seen[p] < start and p not in before for p in now_active),
        "dormant": len(before - now_active),
    }


def churn_rate(
    events: Sequence[Ev],
    zone: ZoneInfo,
    now: int,
    as_of: date,
    days: int = MONTH_DAYS,
    aliases: Sequence[Identify | Unlink] = (),
) -> dict[str, float | Interval | None]:
    """dormant(P) / active(P−1), of how many, and its interval.

    Decision: P is the last 28 complete days up to `as_of`, as for stickiness; where P−1 begins before the first day
    nothing is known.
    """
    last = last_complete_day(as_of, zone, now)
    counts = lifecycle(events, zone, last, days, aliases)
    before, known = (
        counts["returning"] + counts["dormant"],
        is_known(last - timedelta(days=2 * days - 1), events, zone, aliases),
    )
    return {
        "churn_rate": ratio(counts["dormant"], before) if known else None,
        "churn_rate_n": before,
        "churn_rate_ci": wilson(counts["dormant"], before) if known else None,
    }


def dau_change(
    events: Sequence[Ev],
    zone: ZoneInfo,
    now: int,
    as_of: date,
    aliases: Sequence[Identify | Unlink] = (),
    floor: int = 100,
) -> float | None:
    """The last complete day against the same weekday a week before, as a share of the latter ("DAU drops").

    Decision: None unless the earlier of the two days has `floor` users.
    """
    day = last_complete_day(as_of, zone, now)
    before = active_users(events, zone, day - timedelta(days=7), 1, aliases)
    after = active_users(events, zone, day, 1, aliases)
    return (after - before) / before if before >= max(floor, 1) else None


def segment(days: set[date], as_of: date) -> str:
    """The segment of one person, active on these days.

    Decision: "after a gap ≥ 30" is: the first active day of the last 7 is 30 or more days after the one before it.
    """
    ages = sorted((as_of - day).days for day in days)
    recent, older = [a for a in ages if a < 7], [a for a in ages if a >= 7]
    if not older:
        return "new"
    if recent and older[0] - recent[-1] >= 30:
        return "resurrected"
    if recent:
        return "power" if sum(a < MONTH_DAYS for a in ages) >= 12 else "active"
    return "at_risk" if ages[0] < 30 else "churned"


def segments(
    events: Sequence[Ev], zone: ZoneInfo, as_of: date, aliases: Sequence[Identify | Unlink] = ()
) -> dict[str, int]:
    """Persons per segment. Decision: of all persons with activity up to the end of `as_of`, that day included."""
    counts = dict.fromkeys(("new", "active", "power", "at_risk", "churned", "resurrected"), 0)
    for days in active_days(events, zone, as_of, aliases).values():
        counts[segment(days, as_of)] += 1
    return counts
