"""The judge is judged: by the known answers, by cases worked out by hand, and by the laws the definitions imply."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations, groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import ground, outcomes, users
from tests.reference.ground import DAY, SECOND, Ev, Identify, NpsAnswer, micros
from tests.reference.strategies import NAMES, UserHistory, altered, batches, histories, identifies
from tests.vectors import FOLDER, load

UTC = ZoneInfo("UTC")
Input = dict[str, Any]


# --- known answers ---------------------------------------------------------------------------------------------------


def _events(given: Input) -> list[Ev]:
    kinds = {"view": "page_view", "custom": "custom"}
    raw = given.get("events") or given["events_in_arrival_order"]
    return [Ev(e["user"], e["event_id"], micros(e["ts"]), kinds[e["kind"]], e["name"]) for e in raw]


def _session_count(given: Input) -> object:
    return len(users.sessions(_events(given)))


def _bounced(events: Sequence[Ev]) -> bool:
    return users.bounce(users.sessions(events), now=max(e.ts for e in events) + DAY)["bounce_rate"] == 1


def _dedupe(given: Input) -> object:
    events = _events(given)
    keyed = [replace(e, type="purchase") if e.name == "buy" else e for e in events]
    return {
        "events": len(ground.kept(events)),
        "bounced": _bounced(events),
        "bounced_with_key_event": _bounced(keyed),
    }


def _retention(given: Input, mode: users.Mode) -> object:
    zone = ZoneInfo(given.get("tz", "UTC"))
    since, until = given.get("range", (None, given.get("as_of")))
    as_of = date.fromisoformat(until)
    days = (as_of - date.fromisoformat(since)).days + 1 if since else 90
    table = users.retention(_events(given), zone, ground.day_start(as_of, zone), as_of, given["n"], mode, days)
    return {
        str(cohort): {str(n): list(cell) if cell else None for n, cell in cells.items()}
        for cohort, cells in table.items()
    }


def _lifecycle(given: Input) -> object:
    first, last = map(date.fromisoformat, given["days"])
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    return [users.lifecycle(_events(given), UTC, day, 1) for day in days]


def _funnel(given: Input) -> object:
    return outcomes.funnel(_events(given), given["steps"], given["window_s"], now=micros("2026-02-01"))["reached"]


def _nps(given: Input) -> object:
    answers = [NpsAnswer(f"u{n}", "s", score, n, f"n{n}") for n, score in enumerate(given["scores"])]
    return outcomes.nps(answers, 0, DAY)["nps_score"]


def _margin(given: Input) -> object:
    counts = given["promoters"], given["detractors"], given["promoters"] + given["passives"] + given["detractors"]
    margin = outcomes.nps_margin(*counts)
    return {"nps": outcomes.nps_score(*counts), "moe95": None if margin is None else round(margin, 4)}


KNOWN: dict[str, Callable[[Input], object]] = {
    "D01": _session_count,
    "D02": _session_count,
    "D03": _session_count,
    "D04": _dedupe,
    "D05": lambda given: _bounced(_events(given)),
    "D07": lambda given: _bounced(_events(given)),
    "D09": lambda given: [
        users.active_users(_events(given), ZoneInfo(tz), date.fromisoformat(given["day"]), 1) for tz in given["tz"]
    ],
    "D10": lambda given: [
        users.active_users(_events(given), UTC, date.fromisoformat(day), n) for day, n in given["queries"]
    ],
    "D11": lambda given: _retention(given, "on"),
    "D12": lambda given: _retention(given, "on"),
    "D13": lambda given: {"on": _retention(given, "on"), "on_or_after": _retention(given, "on_or_after")},
    "D14": lambda given: _retention(given, "on"),
    "D15": _lifecycle,
    "D16": _funnel,
    "D18": _funnel,
    "D20": _funnel,
    "D22": _funnel,
    "D24": _funnel,
    "D25": _nps,
    "D27": _nps,
    "D28": _nps,
    "D29": _margin,
    "D30": lambda given: {
        "arpu": outcomes.per_user(given["revenue_minor_units"], given["active_users"]),
        "arppu": outcomes.per_user(given["revenue_minor_units"], given["paying_users"]),
    },
    "D31": lambda given: outcomes.ltv_simple(given["arpa_month"], given["churn_month"]),
}


@pytest.mark.parametrize("vector_id", KNOWN)
def test_known_answer(vector_id: str) -> None:
    """Each known answer comes out exactly."""
    vector = load("analytics", vector_id)
    assert KNOWN[vector_id](vector["input"]) == vector["expected"]


def test_every_known_answer_is_asked_for() -> None:
    """No vector of the user reports is left out."""
    load("analytics", "D01")
    vectors = json.loads((FOLDER / "analytics.json").read_text(encoding="utf-8"))["vectors"]
    assert sorted(KNOWN) == sorted(v["id"] for v in vectors if v["id"].startswith("D"))


# --- laws ------------------------------------------------------------------------------------------------------------


def report_all(
    h: UserHistory, events: Sequence[Ev], answers: Sequence[NpsAnswer], aliases: Sequence[Identify]
) -> object:
    """Every report of a history, for comparison."""
    window = ground.days_window(h.as_of, 30, h.zone)
    seen = (h.zone, h.now, h.as_of)
    return (
        ground.kept(events, aliases),
        users.engagement(events, *seen, aliases=aliases),
        users.totals(events, aliases),
        users.retention(events, *seen, mode="rolling_24h", aliases=aliases),
        users.headline_retention(events, *seen, 7, aliases),
        users.lifecycle(events, h.zone, h.as_of, 7, aliases),
        users.churn_rate(events, *seen, aliases=aliases),
        users.segments(events, h.zone, h.as_of, aliases),
        outcomes.conversion(events, *window, aliases=aliases),
        outcomes.funnel(events, ["a", "b", "a"], 1800, h.now, aliases),
        outcomes.nps(answers, *window, aliases=aliases),
        outcomes.revenue(events, *window, aliases=aliases),
    )


@settings(max_examples=30, deadline=None)
@given(st.data(), histories())
def test_order_and_batching_of_receipt_mean_nothing(data: st.DataObject, h: UserHistory) -> None:
    """Any order, batching and re-delivery of events, answers and links gives every report anew, equal."""
    events = [e for batch in data.draw(batches(h.events)) for e in batch]
    answers = [a for batch in data.draw(batches(h.answers)) for a in batch]
    aliases = data.draw(st.permutations(h.aliases))
    assert report_all(h, events, answers, aliases) == report_all(h, h.events, h.answers, h.aliases)


@settings(max_examples=50, deadline=None)
@given(st.data(), histories(max_events=24))
def test_first_received_wins(data: st.DataObject, h: UserHistory) -> None:
    """Ids received again with other contents change nothing."""
    assert ground.kept(data.draw(altered(h.events)), h.aliases) == ground.kept(h.events, h.aliases)


@given(st.data())
def test_merging_is_commutative_associative_idempotent(data: st.DataObject) -> None:
    """Links without refusals give the connected components, in any order and however often."""
    links = data.draw(identifies())
    again = data.draw(st.permutations(links + links))
    ids = sorted({i for link in links for i in (link.anon, link.user)})
    before, after = ground.persons(links), ground.persons(again)
    components = {i: {i} for i in ids}
    for link in links:
        joined = components[link.anon] | components[link.user]
        components.update(dict.fromkeys(joined, joined))
    for a, b in combinations(ids, 2):
        assert (before(a) == before(b)) is (after(a) == after(b)) is (b in components[a])


@settings(max_examples=30, deadline=None)
@given(histories())
def test_counts_add_up(h: UserHistory) -> None:
    """Lifecycle sums to both periods, segments to all persons, sessions to the events, windows are nested."""
    start, end = ground.days_window(h.as_of, 7, h.zone)
    counts = users.lifecycle(h.events, h.zone, h.as_of, 7, h.aliases)
    active = len(ground.active_persons(h.events, start, end, h.aliases))
    week_before = h.as_of - timedelta(days=7)
    assert counts["new"] + counts["returning"] + counts["resurrecting"] == active
    assert counts["returning"] + counts["dormant"] == users.active_users(h.events, h.zone, week_before, 7, h.aliases)
    seen = ground.first_seen(h.events, h.aliases)
    assert sum(users.segments(h.events, h.zone, h.as_of, h.aliases).values()) == sum(ts < end for ts in seen.values())
    activity = [e for e in ground.kept(h.events, h.aliases) if ground.is_activity(e)]
    assert sum(s.events for s in users.sessions(h.events, h.aliases)) == len(activity)
    dau, wau, mau = (users.active_users(h.events, h.zone, h.as_of, n, h.aliases) for n in (1, 7, 28))
    assert dau <= wau <= mau <= len(seen)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_sessions_without_client_id_are_runs_of_small_gaps(h: UserHistory) -> None:
    """A session starts exactly where the person's last half hour holds no event without a client's session id."""
    relevant = [
        e for e in ground.kept(h.events, h.aliases) if not e.background and ground.names_nobody(e.session or "")
    ]
    relevant = [e for e in relevant if e.type not in ground.PASSIVE]
    starts = {
        (e.user, e.ts)
        for e in relevant
        if not any(o.user == e.user and e.ts - 1800 * SECOND <= o.ts < e.ts for o in relevant)
    }
    found = [s for s in users.sessions(h.events, h.aliases) if s.client_id is None]
    assert sorted((s.person, s.start) for s in found) == sorted(starts)


def longest_chain(events: Sequence[Ev], steps: Sequence[str], window: int) -> int:
    """How many steps some increasing choice of one person's events reaches, by trying every choice."""
    matches = [(e, [k for k, s in enumerate(steps) if s in (e.type, e.name)]) for e in events]
    ordered = sorted(((e.ts, ks[0], e.id), ks) for e, ks in matches if ks)

    def extend(start: int, after: int, step: int) -> int:
        following = [
            n
            for n, (key, ks) in enumerate(ordered)
            if n > after and step < len(steps) and step in ks and key[0] - start <= window
        ]
        return max((extend(start, n, step + 1) for n in following), default=step)

    return max((extend(key[0], n, 1) for n, (key, ks) in enumerate(ordered) if 0 in ks), default=0)


@settings(max_examples=30, deadline=None)
@given(
    histories(max_events=22),
    st.lists(st.sampled_from((*NAMES, "page_view")), min_size=1, max_size=3),
    st.sampled_from((10, 30, 1800, 3600)),
)
def test_funnel_equals_trying_every_choice(h: UserHistory, steps: list[str], window_s: int) -> None:
    """The rule of the latest start reaches as far as the best choice of events; all who stopped are accounted for."""
    by_person = groupby(sorted(ground.kept(h.events, h.aliases), key=lambda e: e.user), key=lambda e: e.user)
    depths = [longest_chain(list(mine), steps, window_s * SECOND) for _, mine in by_person]
    report = outcomes.funnel(h.events, steps, window_s, h.now, h.aliases)
    assert report["reached"] == [sum(d > k for d in depths) for k in range(len(steps))]
    stopped = [a + b for a, b in zip(report["dropped"], report["in_progress"], strict=True)]
    assert stopped == [sum(d == k + 1 < len(steps) for d in depths) for k in range(len(steps))]


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(("u1", "a1")))
def test_erasing_equals_never_having_seen(h: UserHistory, user: str) -> None:
    """After erasure no report knows the person, and everybody else is as before."""
    left = ground.erased(h.events, h.aliases, user)
    gone = ground.persons(h.aliases)(user)
    before, after = (ground.active_days(events, h.zone, h.as_of, h.aliases) for events in (h.events, left))
    assert after == {person: days for person, days in before.items() if person != gone}


def test_histories_reach_every_segment_and_both_kinds_of_bounce() -> None:
    """The random histories are not too tame to tell implementations apart."""
    reached: set[str] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(histories())
    def collect(h: UserHistory) -> None:
        assert len(h.events) <= 40
        reached.update(k for k, n in users.segments(h.events, h.zone, h.as_of, h.aliases).items() if n)
        found = users.sessions(h.events, h.aliases)
        reached.update(f"engaged {s.engaged}" for s in found if s.views)
        reached.update("long gap session" for s in found if s.client_id is None and s.end - s.start > 1800 * SECOND)
        cells = [c for row in users.retention(h.events, h.zone, h.now, h.as_of).values() for c in row.values()]
        reached.update("immature" if c is None else "returned" if c[0] else "lost" for c in cells)
        reached.update("merged" for _ in h.aliases)
        reached.update("again" for _ in range(len(h.events) - len({e.id for e in h.events})))
        conversions = outcomes.conversion(h.events, 0, h.now, aliases=h.aliases)
        reached.update(f"value {type(conversions['conversion_value']).__name__}" for _ in "v")

    collect()
    assert reached == {
        *("new", "active", "power", "at_risk", "churned", "resurrected", "engaged True", "engaged False"),
        *("long gap session", "immature", "returned", "lost", "merged", "again", "value float", "value NoneType"),
    }
