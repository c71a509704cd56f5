"""What sets something of services, now or when the store is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self

import msgspec

from otel_measure.deferred import Command
from otel_measure.errors import NotFound
from otel_measure.records.kinds import Maintenance, Record, ServiceState
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter, Receipt
from otel_measure.store.types.services import ServiceHistory, StateChange

DEFAULT_SLA_TARGET: Final = 99.9
STEPPED_BACK: Final = "the clock was set back"


class KnownServices(NamedTuple):
    """What is known of the services of one environment."""

    environment: str
    histories: list[ServiceHistory]


class TakenRecords(NamedTuple):
    """Records that a store was given, and what became of each."""

    records: Sequence[Record]
    receipts: Sequence[Receipt]


def known_services(store: Store, environment: str | None, start: int, name: str | None = None) -> KnownServices:
    """Return what is known of services from a time on, microseconds; of one of them by its name."""
    with store.asking(Filter(environment=environment)) as moment:
        return KnownServices(moment.services.environment, moment.services.histories(start, name))


def known_service(store: Store, environment: str, name: str, start: int) -> ServiceHistory:
    """Return what is known of a service.

    Raises:
        NotFound: no such service is registered; the message says where answers find one of this name.
    """
    histories = known_services(store, environment, start, name).histories
    if not histories:
        raise NotFound("service", name, _registered_elsewhere(store, environment, name, start))
    return histories[0]


def _registered_elsewhere(store: Store, environment: str, name: str, start: int) -> str:
    """Say where answers find a service of this name, when that is not where this process records."""
    elsewhere, histories = known_services(store, None, start, name)
    if not histories or elsewhere == environment:
        return ""
    own = f"in {environment!r}" if environment else "in no environment"
    return (
        f"it is registered in the environment {elsewhere!r}, and this process records {own};"
        f" set OTEL_MEASURE_ENVIRONMENT={elsewhere}"
    )


def ahead(history: ServiceHistory, now: int) -> list[StateChange]:
    """Return the states that lie ahead of a time, microseconds."""
    return [change for change in history.changes if change.at > now]


class RegisterServiceCommand(Command[ServiceHistory | None], frozen=True):
    """Adds a service, up from a time on (microseconds), or sets the target of one that is known."""

    call: ClassVar[str] = "register_service"
    environment: str
    name: str
    sla_target: float
    now: int

    def apply(self, store: Store) -> ServiceHistory:
        """Register it; return what is known of it now."""
        store.register_service(self.environment, self.name, self.sla_target, self.now)
        return known_service(store, self.environment, self.name, self.now)


class WatchServiceCommand(Command[None], frozen=True):
    """Says that a service, which is registered if nobody has, is watched from a time on, microseconds."""

    call: ClassVar[str] = "watch_service"
    environment: str
    name: str
    now: int

    def apply(self, store: Store) -> None:
        """Note that somebody watched it then."""
        if not known_services(store, self.environment, self.now, self.name).histories:
            store.register_service(self.environment, self.name, DEFAULT_SLA_TARGET, self.now)
        store.beat(self.environment, self.now, (self.name,))


class _RecordingCommand(Command[TakenRecords], frozen=True):
    """Records something of a service that is registered."""

    def refusal(self, answer: TakenRecords) -> str | None:
        """Tell why the store rejects the record."""
        receipt = answer.receipts[0]
        return receipt.reason if receipt.outcome == "rejected" else None


class ServiceStateCommand(_RecordingCommand, frozen=True):
    """Records that a service went down or came up.

    Attributes:
        state: what is recorded.
        now: when it is recorded, microseconds.
        is_now: it is how the service is now, so that a state ahead of the clock, which says otherwise, is revoked.
    """

    call: ClassVar[str] = "record_service_state"
    state: ServiceState
    now: int
    is_now: bool

    def done_later(self, now: int) -> Self:
        """Revoke nothing that others have recorded since the call."""
        return msgspec.structs.replace(self, now=max(self.now, now))

    def apply(self, store: Store) -> TakenRecords:
        """Record it, and what it revokes; durable."""
        history = known_service(store, self.state.origin.environment, self.state.service, self.now)
        records = [self.state, *(_revocation(self.state, history, self.now) if self.is_now else ())]
        return TakenRecords(records, store.accept(records, durable=True))


class MaintenanceCommand(_RecordingCommand, frozen=True):
    """Records planned time of a service."""

    call: ClassVar[str] = "record_maintenance"
    planned: Maintenance

    def apply(self, store: Store) -> TakenRecords:
        """Record it; durable."""
        known_service(store, self.planned.origin.environment, self.planned.service, self.planned.ts)
        return TakenRecords([self.planned], store.accept([self.planned], durable=True))


def _revocation(new: ServiceState, history: ServiceHistory, now: int) -> Iterator[ServiceState]:
    """Yield what takes back the last state that lies ahead of the clock, where it is another one."""
    later = ahead(history, now)
    if later and later[-1].state != new.state:
        # The id sorts after that of the state it revokes, in the same microsecond.
        yield msgspec.structs.replace(new, id=f"{later[-1].event_id}+", ts=later[-1].at, reason=STEPPED_BACK)


COMMANDS: Final[Sequence[type[Command[Any]]]] = (
    RegisterServiceCommand,
    WatchServiceCommand,
    ServiceStateCommand,
    MaintenanceCommand,
)
