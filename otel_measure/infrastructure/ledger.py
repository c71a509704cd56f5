"""The ledger of watched services: what is recorded about them, and what can honestly be said from it.

The wall clock may step. A forward step looks like a gap in the heartbeats: unknown, but for an outage that lasts
through it. After a backward step some transitions lie in the future; they came from a clock that was ahead, and what
they say is the state of the service now. So the next heartbeat states it again at the time that the clock tells now,
and who records another state later also revokes the last one that lies ahead: nothing recorded comes back by itself
when the clock gets there a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import nan
from typing import Final, Literal, cast

from otel_measure.deferred import AT_ONCE, Command, Deferred
from otel_measure.definitions.days import moment
from otel_measure.definitions.heartbeats import LONGEST_GAP_US
from otel_measure.definitions.series import Compare, Series
from otel_measure.definitions.steps import SeriesWindow
from otel_measure.definitions.windows import MINUTE_US, Window, minutes, time_span
from otel_measure.errors import NoStore
from otel_measure.infrastructure.availability import (
    SECOND_US,
    Availability,
    Interval,
    State,
    Transition,
    availability,
    check_sla_target,
    down_since,
    gaps,
    in_order,
    is_down,
    touching,
)
from otel_measure.infrastructure.availability_series import Reckoned, availability_series
from otel_measure.infrastructure.commands import (
    DEFAULT_SLA_TARGET,
    STEPPED_BACK,
    KnownServices,
    MaintenanceCommand,
    RegisterServiceCommand,
    ServiceStateCommand,
    TakenRecords,
    WatchServiceCommand,
    ahead,
    known_service,
    known_services,
)
from otel_measure.infrastructure.service_history import transitions, watched
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.kinds import Maintenance, Origin, Record, ServiceState
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ACCEPTED, Receipt
from otel_measure.store.types.services import ServiceHistory

DEFAULT_WINDOW: Final = "30d"


@dataclass(frozen=True, slots=True)
class Service:
    """A registered service and its state now; `down_since` is None unless it is down."""

    service_name: str
    state: Literal["up", "down", "maintenance"]
    down_since: datetime | None
    sla_target: float
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Services:
    """Every registered service of an environment, sorted by name."""

    services: tuple[Service, ...]
    services_down: int
    timestamp: datetime
    environment: str


class Ledger:
    """Records states of services and reckons their availability.

    What is recorded is of the services of its own environment; an answer is about the one asked for, else the one that
    the store chooses.

    Args:
        origin: of every record.
        recorder: commits the records.
        store: keeps services and heartbeats; without one every call raises `NoStore`.
        now_us, new_id: clock and ids.
        timezone: the zone that answers name.
        deferred: keeps what is set while the store is away.
    """

    def __init__(
        self,
        origin: Origin,
        recorder: Recorder,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        deferred: Deferred = AT_ONCE,
    ) -> None:
        self._deferred = deferred
        self._origin = origin
        self._recorder = recorder
        self._kept = store
        self._now_us = now_us
        self._new_id = new_id
        self._timezone = timezone

    @property
    def _store(self) -> Store:
        if self._kept is None:
            raise NoStore("the availability of services")
        return self._kept

    # ------------------------------------------------------------ writing

    def register(self, name: str, sla_target: float = DEFAULT_SLA_TARGET) -> Service:
        """Add a service, up from now on, or set the target of one that is known; durable when it returns."""
        name = checks.text("name", name)
        target = checks.number("sla_target", sla_target, high=100)
        check_sla_target(target)
        now = self._now_us()
        command = RegisterServiceCommand(self._origin.environment, name, target, now)
        history = self._deferred.do(self._store, command, None)
        return Service(name, "up", None, target, moment(now)) if history is None else _service(history, now)

    def record(self, name: str, state: State, *, at: datetime | None = None, reason: str | None = None) -> str:
        """Record that a service went down or came up; durable when it returns.

        Args:
            name: of a registered service.
            state: which it is in from then on.
            at: when, not in the future; now when not given.
            reason: why.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule.
            NotFound: no such service is registered.
            NoStore: there is none to record in.
        """
        now = self._now_us()
        ts = checks.timestamp_us("at", at, now)
        if ts > now:
            raise ValueError(f"at must not lie in the future, not {at} (now is {moment(now)})")
        why = checks.optional_text("reason", reason)
        caller = current_caller()
        new = ServiceState(
            id=self._new_id(), ts=ts, origin=self._origin, service=checks.text("name", name), state=state, reason=why,
            trace_id=caller.trace_id, span_id=caller.span_id,
        )  # fmt: skip
        receipt = self._take(ServiceStateCommand(new, now, at is None), new)
        if receipt.outcome == "rejected":
            raise ValueError(f"at is refused: {receipt.reason}")
        return new.id

    def _take(self, command: Command[TakenRecords], record: Record) -> Receipt:
        """Have a record of a service stored, with what belongs to it, and measured here; return its receipt."""
        taken = self._deferred.do(self._store, command, TakenRecords([record], [ACCEPTED]))
        self._recorder.measure(*taken)
        return taken.receipts[0]

    def record_maintenance(self, name: str, start: datetime, end: datetime, reason: str | None = None) -> str:
        """Record planned time of a service, past or to come; durable when it returns.

        Args:
            name: of a registered service.
            start: aware.
            end: aware, and no part of it.
            reason: why.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule.
            NotFound: no such service is registered.
            NoStore: there is none to record in.
        """
        now, why = self._now_us(), checks.optional_text("reason", reason)
        start_us, end_us = (checks.moment_us(which, at) for which, at in (("start", start), ("end", end)))
        if end_us <= start_us:
            raise ValueError(f"end must come after start, not {end} after {start}")
        caller = current_caller()
        planned = Maintenance(
            id=self._new_id(), ts=now, origin=self._origin, service=checks.text("name", name), start_us=start_us,
            end_us=end_us, reason=why, trace_id=caller.trace_id, span_id=caller.span_id,
        )  # fmt: skip
        self._take(MaintenanceCommand(planned), planned)
        return planned.id

    def observe(self, name: str, down_because: str | None, failing_for_s: float = 0.0) -> None:
        """Record what a probe saw where it is not what the ledger says.

        Args:
            name: of a registered service.
            down_because: why it is down, None when it is up.
            failing_for_s: how long ago the first probe failed; the outage begins then, though not before the last
                recorded state.
        """
        now = self._now_us()
        history = known_service(self._store, self._origin.environment, name, now)
        if is_down(transitions(history), now) == (down_because is not None):
            return
        began = now - round(failing_for_s * SECOND_US)
        last = max((change.at for change in history.changes if change.at <= now), default=began - 1)
        at = None if down_because is None or began >= now else moment(max(began, last + 1))
        self.record(name, "up" if down_because is None else "down", at=at, reason=down_because)

    def watch(self, name: str) -> None:
        """Note that a service, which is registered with the default target if nobody has, is watched from now on."""
        name, now = checks.text("name", name), self._now_us()
        self._deferred.do(self._store, WatchServiceCommand(self._origin.environment, name, now), None)

    def end_watch(self, name: str) -> None:
        """Note that this process does not watch a service any more."""
        self._store.end_watch(self._origin.environment, name, self._now_us())

    def beat(self, watched: Collection[str] = ()) -> None:
        """Note that this process is alive and watches these services; state again what a clock ahead has recorded."""
        if self._kept is None:
            return
        now = self._now_us()
        self._kept.beat(self._origin.environment, now, watched)
        for history in self._histories(self._origin.environment, now).histories:
            # What another process records meanwhile, or by a clock that differs a little, is not of a clock set back.
            later = ahead(history, self._now_us() + LONGEST_GAP_US)
            if later and (later[-1].state == "down") != is_down(transitions(history), now):
                self.record(history.service.name, cast(State, later[-1].state), reason=STEPPED_BACK)

    # ------------------------------------------------------------ answers

    def _histories(self, environment: str | None, start: int, name: str | None = None) -> KnownServices:
        return known_services(self._store, environment, start, name)

    def knows(self, name: str, environment: str | None = None) -> bool:
        """Whether a service of this name is registered."""
        return bool(self._histories(environment, self._now_us(), name).histories)

    def services(self, environment: str | None = None) -> Services:
        """Return every registered service with its state now."""
        now = self._now_us()
        known = self._histories(environment, now)
        services = tuple(_service(history, now) for history in known.histories)
        down = sum(s.state == "down" for s in services)
        return Services(services, down, moment(now), known.environment)

    def down(self, environment: str | None = None) -> int:
        """Return how many services are down now; without a store none is registered."""
        return 0 if self._kept is None else self.services(environment).services_down

    def availability(
        self, name: str, window: str = DEFAULT_WINDOW, as_of: date | None = None, environment: str | None = None
    ) -> Availability:
        """Return the availability of one service; of an unknown one nothing is known."""
        checks.text("name", name)
        now = self._now_us()
        asked = self._asked(window, now, as_of)
        of, known = self._histories(environment, asked[0], name)
        return self._reckon(of, known[0], asked, now) if known else self._unknown(of, name, asked)

    def series(
        self, name: str, asked: SeriesWindow, step: str | None, compare: Compare | None, environment: str | None = None
    ) -> Series:
        """Return the availability of one service, step by step."""
        checks.text("name", name)
        now = self._now_us()

        def reckon(parts: Sequence[Interval]) -> Reckoned:
            of, known = self._histories(environment, parts[0][0] if parts else now, name)
            if not known:
                return Reckoned(of, [self._unknown(of, name, part) for part in parts])
            history, ordered = known[0], in_order(transitions(known[0]))
            return Reckoned(of, [self._reckon(of, history, part, now, touching(ordered, part)) for part in parts])

        return availability_series(reckon, asked, step, compare, DEFAULT_WINDOW, now, self._timezone)

    def availabilities(self, window: str = DEFAULT_WINDOW, environment: str | None = None) -> list[Availability]:
        """Return the availability of every registered service, sorted by name."""
        now = self._now_us()
        of, histories = self._histories(environment, (asked := self._asked(window, now))[0])
        return [self._reckon(of, history, asked, now) for history in histories]

    def lifetimes(self) -> Iterator[tuple[Availability, bool]]:
        """Yield the availability of every service since its registration, and whether it is down now."""
        now = self._now_us()
        of, histories = self._histories(None, 0)
        for history in histories:
            registered = min(history.service.registered, now - 1)
            yield self._reckon(of, history, (registered, now), now), _service(history, now).state == "down"

    def _asked(self, window: str, now: int, as_of: date | None = None) -> Interval:
        """The window as states see it: unlike that of facts it ends before the running microsecond."""
        end = min(time_span(window, now, self._timezone, as_of).end, now)
        return max(end - minutes(window) * MINUTE_US, 0), end

    def _reckon(
        self, of: str, history: ServiceHistory, asked: Interval, now: int, states: Sequence[Transition] | None = None
    ) -> Availability:
        start, end = asked
        return availability(
            history.service.name,
            registered_us=history.service.registered,
            transitions=transitions(history) if states is None else states,
            unwatched=gaps(watched(history, now), start, end),
            planned=history.planned,
            now_us=end,
            window_s=(end - start) / SECOND_US,
            sla_target=history.service.sla_target,
            timezone=self._timezone,
            environment=of,
        )

    def _unknown(self, environment: str, name: str, asked: Interval) -> Availability:
        start, end = asked
        nothing = availability(name, registered_us=end, transitions=(), unwatched=(), now_us=end, window_s=1)
        return replace(
            nothing,
            uptime_seconds=nan,
            downtime_seconds=nan,
            unknown_seconds=nan,
            maintenance_seconds=nan,
            sla_target=nan,
            error_budget_remaining_seconds=nan,
            error_budget_remaining_ratio=nan,
            window=Window(moment(start), moment(end), self._timezone, environment=environment),
        )


def _service(history: ServiceHistory, now: int) -> Service:
    name, registered, sla_target = history.service
    since = down_since(transitions(history), now)
    is_planned = any(start <= now < end for start, end in history.planned)
    return Service(
        service_name=name,
        state="maintenance" if is_planned else "up" if since is None else "down",
        down_since=None if since is None or is_planned else moment(since),
        sla_target=sla_target,
        registered_at=moment(registered),
    )
