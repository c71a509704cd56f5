"""How available a service was over a window, and how sure one can be.

At every moment a service is in maintenance (planned), down, unknown (nobody watched) or up, in this precedence.
Down lasts from a "down" to the next "up"; a service is up from its registration until told otherwise. Maintenance
counts nowhere: with W the length of the rest of the window, U the unknown and D the down time in it:

- observed O = W - U, availability = (O - D) / O, between (W - D - U) / W and (W - D) / W,
- MTTR = mean length of the ended outages, MTBF = (O - D) / incidents,
- error budget B = (1 - objective) · O, left of it B - D, as a share 1 - D / B.

Times are int µs since the epoch, intervals half-open ``[start, end)``, and what is undefined is ``nan``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan
from typing import Final, Literal, TypeAlias

from otel_measure.definitions.days import moment
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.windows import Window

State = Literal["up", "down"]
SlaStatus = Literal["breached", "met", "insufficient_data"]
Interval: TypeAlias = tuple[int, int]

SECOND_US: Final = 1_000_000
ENOUGH_COVERAGE: Final = 0.9
ENOUGH_OBSERVED_S: Final = 3600
_EARLIEST_US: Final = -(2**63)
ROUNDING: Final = 1e-9  # a target met to the microsecond is met


@dataclass(frozen=True, slots=True)
class Transition:
    """What was recorded about a service: from `at_us` on it is in this state.

    Attributes:
        at_us: When, in µs since the epoch; back-filled records are like any other.
        state: ``down`` or ``up``.
        reason: Why, in the words of who recorded it.
        event_id: Orders records of the same µs, so that their order of arrival does not matter.
    """

    at_us: int
    state: State
    reason: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """One outage, from its first moment that nobody had planned; ``ended_at`` is None while it lasts.

    ``duration_seconds`` is its length without maintenance.
    """

    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class Availability:
    """How available a service was over a window; see the module for each definition."""

    service_name: str
    availability_percent: float
    availability_percent_low: float
    availability_percent_high: float
    uptime_seconds: float
    downtime_seconds: float
    unknown_seconds: float
    maintenance_seconds: float
    coverage_ratio: float
    incidents: int
    mtbf_seconds: float
    mttr_seconds: float
    sla_target: float
    sla_compliance: bool | None
    sla_status: SlaStatus
    error_budget_remaining_seconds: float
    error_budget_remaining_ratio: float
    last_incident: Incident | None
    window: Window


@dataclass(frozen=True, slots=True)
class _Outage:
    start_us: int
    end_us: int
    ended: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Incident:
    """An outage, and the parts of it that nobody had planned, in whole and inside the window."""

    outage: _Outage
    parts: list[Interval]
    inside: list[Interval]


def availability(
    service_name: str,
    *,
    registered_us: int,
    transitions: Iterable[Transition],
    unwatched: Iterable[Interval],
    planned: Iterable[Interval] = (),
    now_us: int,
    window_s: float,
    sla_target: float = 99.9,
    timezone: str = "UTC",
    environment: str = UNNAMED,
) -> Availability:
    """Reckon the availability of one service over the last `window_s` seconds.

    Args:
        service_name: Whose availability it is.
        registered_us: When the service was registered; the window never begins before.
        transitions: Every state recorded for the service, in any order.
        unwatched: Intervals in which nobody looked; see `gaps`.
        planned: Intervals of maintenance; they may overlap.
        now_us: End of the window.
        window_s: Length of the window.
        sla_target: Percentage of the time the service has to be up, above 1 and up to 100.
        timezone: Name of the project's zone, told in the answer.
        environment: In which the service is watched, told likewise.

    Raises:
        ValueError: `sla_target` or `window_s` is out of range.
    """
    _check(sla_target, window_s)
    window = (min(now_us, max(registered_us, now_us - round(window_s * SECOND_US))), now_us)
    known = list(planned)
    incidents = _incidents(_outages(transitions, now_us), _merge(known, (_EARLIEST_US, now_us)), window)
    maintenance = _merge(known, window)
    down = [part for incident in incidents for part in incident.inside]
    unknown = _subtract(_merge(unwatched, window), sorted([*maintenance, *down]))
    maintenance_us, down_us, unknown_us = _length(maintenance), _length(down), _length(unknown)
    length_us = window[1] - window[0] - maintenance_us
    observed_us = length_us - unknown_us
    ended = [incident.inside for incident in incidents if incident.outage.ended]
    ratio = _share(observed_us - down_us, observed_us)
    high, coverage = _share(length_us - down_us, length_us), _share(observed_us, length_us)
    budget_us = (1 - sla_target / 100) * observed_us
    compliance = _compliance(ratio, high, coverage, observed_us, sla_target)
    return Availability(
        service_name=service_name,
        availability_percent=100 * ratio,
        availability_percent_low=100 * _share(observed_us - down_us, length_us),
        availability_percent_high=100 * high,
        uptime_seconds=(observed_us - down_us) / SECOND_US,
        downtime_seconds=down_us / SECOND_US,
        unknown_seconds=unknown_us / SECOND_US,
        maintenance_seconds=maintenance_us / SECOND_US,
        coverage_ratio=coverage,
        incidents=len(incidents),
        mtbf_seconds=_share(observed_us - down_us, len(incidents) * SECOND_US),
        mttr_seconds=_share(sum(map(_length, ended)), len(ended) * SECOND_US),
        sla_target=sla_target,
        sla_compliance=compliance,
        sla_status=_SLA_STATUS[compliance],
        error_budget_remaining_seconds=(budget_us - down_us) / SECOND_US,
        error_budget_remaining_ratio=1 - _share(down_us, budget_us),
        last_incident=_incident(incidents[-1]) if incidents else None,
        window=Window(moment(window[0]), moment(window[1]), timezone, environment=environment),
    )


def in_order(transitions: Iterable[Transition]) -> list[Transition]:
    """The states of a service as they followed each other."""
    return sorted(transitions, key=lambda t: (t.at_us, t.event_id, t.state))


def touching(ordered: Sequence[Transition], window: Interval) -> Sequence[Transition]:
    """The states that tell the outages in a window, from their beginnings on, as all states in their order do."""
    start, end = (bisect_right(ordered, at_us, key=lambda t: t.at_us) for at_us in window)
    while start and not _is_recovery(ordered, start - 1):
        start -= 1
    return ordered[start:end]


def _is_recovery(ordered: Sequence[Transition], n: int) -> bool:
    """Whether the service is up after a state: not where an outage goes on in the same microsecond (see `_joined`)."""
    is_last = n + 1 == len(ordered)
    return ordered[n].state == "up" and (is_last or ordered[n].at_us < ordered[n + 1].at_us)


def down_since(transitions: Iterable[Transition], now_us: int) -> int | None:
    """When the outage that lasts at `now_us` began, in µs; None for a service that is up then."""
    outages = _outages(transitions, now_us)
    return outages[-1].start_us if outages and not outages[-1].ended else None


def is_down(transitions: Iterable[Transition], now_us: int) -> bool:
    """Whether a service is down at `now_us`: its latest state by then is ``down``."""
    return down_since(transitions, now_us) is not None


def gaps(watched: Iterable[Interval], start_us: int, end_us: int) -> list[Interval]:
    """The parts of ``[start, end)`` in which nothing watched, ascending: the rest of the `watched` intervals."""
    return _subtract([(start_us, end_us)] if start_us < end_us else [], _merge(watched, (start_us, end_us)))


_SLA_STATUS: Final[dict[bool | None, SlaStatus]] = {False: "breached", True: "met", None: "insufficient_data"}


def _check(sla_target: float, window_s: float) -> None:
    check_sla_target(sla_target)
    if not 0 < window_s < float("inf"):
        raise ValueError(f"window_s must be a positive number of seconds, not {window_s!r}")


def check_sla_target(sla_target: float) -> None:
    """Refuse a target that is no percentage of the time: 0.999 is a ratio, and would never be missed.

    Raises:
        ValueError: it is not above 1 and up to 100.
    """
    if isinstance(sla_target, bool) or not 1 < sla_target <= 100:
        raise ValueError(f"sla_target must be in percent, above 1 and up to 100 (99.9, not 0.999), not {sla_target!r}")


def _compliance(ratio: float, high: float, coverage: float, observed_us: int, sla_target: float) -> bool | None:
    """False when even the optimistic bound misses, True when it holds and enough was seen, else None."""
    if 100 * high < sla_target - ROUNDING:
        return False
    is_enough = coverage >= ENOUGH_COVERAGE and observed_us >= ENOUGH_OBSERVED_S * SECOND_US
    return True if 100 * ratio >= sla_target - ROUNDING and is_enough else None


def _outages(transitions: Iterable[Transition], now_us: int) -> list[_Outage]:
    """Merged outages up to `now_us`: a "down" while down and an "up" while up change nothing."""
    outages: list[_Outage] = []
    began: Transition | None = None
    for transition in in_order(transitions):
        if transition.at_us > now_us:
            break
        if transition.state == "down":
            began = began or transition
        elif began is not None:
            outages.append(_Outage(began.at_us, transition.at_us, True, began.reason))
            began = None
    if began is not None:
        outages.append(_Outage(began.at_us, now_us, False, began.reason))
    return _joined(o for o in outages if o.start_us < o.end_us or not o.ended)


def _joined(outages: Iterable[_Outage]) -> list[_Outage]:
    """Outages that touch are one: an "up" of no length between them was no recovery."""
    joined: list[_Outage] = []
    for outage in outages:
        if joined and joined[-1].end_us == outage.start_us:
            outage = replace(joined.pop(), end_us=outage.end_us, ended=outage.ended)
        joined.append(outage)
    return joined


def _incidents(outages: Iterable[_Outage], planned: Sequence[Interval], window: Interval) -> list[_Incident]:
    """The outages of which something lies in the window and in no maintenance."""
    found = []
    for outage in outages:
        parts = _subtract([(outage.start_us, outage.end_us)], planned)
        if inside := _merge(parts, window):
            found.append(_Incident(outage, parts, inside))
    return found


def _merge(intervals: Iterable[Interval], window: Interval) -> list[Interval]:
    """The intervals clipped to the window, ascending, overlaps joined, empty ones dropped."""
    merged: list[Interval] = []
    for start, end in sorted((max(a, window[0]), min(b, window[1])) for a, b in intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _subtract(intervals: Iterable[Interval], holes: Sequence[Interval]) -> list[Interval]:
    """What is in the intervals and in none of the holes; both ascending and without overlaps."""
    left: list[Interval] = []
    for start, end in intervals:
        for hole_start, hole_end in holes:
            if hole_end <= start or hole_start >= end:
                continue
            if start < hole_start:
                left.append((start, hole_start))
            start = hole_end
        if start < end:
            left.append((start, end))
    return left


def _length(intervals: Iterable[Interval]) -> int:
    return sum(end - start for start, end in intervals)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else nan


def _incident(incident: _Incident) -> Incident:
    outage, parts = incident.outage, incident.parts
    return Incident(
        started_at=moment(parts[0][0]),
        ended_at=moment(outage.end_us) if outage.ended else None,
        duration_seconds=_length(parts) / SECOND_US,
        reason=outage.reason,
    )
