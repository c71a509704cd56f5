"""What a report is asked about, and the endpoint that answers it: the same handler, query and envelope as over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from exporter.api import ROUTES
from exporter.http.commit import GroupCommit
from exporter.http.dispatch import content_of
from exporter.http.readiness import Readiness
from exporter.http.types import API, Backend, Call, NoBody
from otel_measure.errors import ConfigurationError
from otel_measure.store.protocol import Store

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime

_DAY: re.Pattern[str] = re.compile(r"\d{4}-\d\d-\d\d")
Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAsked:
    """What the options say.

    Attributes:
        window: how far back; `None` for the one of the endpoint.
        start, end: days, or times with their zone; in the place of a window.
    """

    window: str | None = None
    start: str | None = None
    end: str | None = None
    service: str | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        if self.window is not None and (self.start or self.end):
            raise ConfigurationError("--window and --start or --end exclude each other: give one of them")
        if self.end and not self.start:
            raise ConfigurationError("--end needs a --start; --window alone ends now")

    def times(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return the window, or start and end as times, as parameters of an endpoint; a day is one of the zone.

        Raises:
            ConfigurationError: a time is none.
        """
        if self.start is None:
            return {} if self.window is None else {"window": self.window}
        return {"start": _begin("--start", self.start, zone)} | (
            {} if self.end is None else {"end": _end("--end", self.end, zone)}
        )

    def days(self, today: date) -> dict[str, Any]:
        """Return the window as whole days, as parameters of an endpoint that knows days alone.

        Raises:
            ConfigurationError: a day is none, or the first comes after the last.
        """
        if self.start is None:
            return {} if self.window is None else {"window": self.window}
        first = _day("--start", self.start)
        last = today if self.end is None else _day("--end", self.end)
        if first > last:
            raise ConfigurationError(f"--start {first} comes after {'--end ' if self.end else 'today, '}{last}")
        window = {"window": f"{(last - first).days + 1}d"}
        return window | ({} if last == today else {"as_of": last})


def _day(option: str, given: str) -> date:
    try:
        if _DAY.fullmatch(given):
            return date.fromisoformat(given)
    except ValueError as error:
        raise ConfigurationError(f"{option} {given!r} is no day of the calendar: {error}") from error
    raise ConfigurationError(f"{option} must be a day such as 2026-01-31, not {given!r}: users are counted by days")


def _begin(option: str, given: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(_day(option, given), time(), zone) if _DAY.fullmatch(given) else _time(option, given)


def _end(option: str, given: str, zone: ZoneInfo) -> datetime:
    """Return the end of a day, which is the beginning of the next one, or a time."""
    if not _DAY.fullmatch(given):
        return _time(option, given)
    return datetime.combine(_day(option, given) + timedelta(days=1), time(), zone)


def _time(option: str, given: str) -> datetime:
    try:
        told = datetime.fromisoformat(given)
    except ValueError:
        told = None
    if told is None or told.tzinfo is None:
        raise ConfigurationError(
            f"{option} must be a day such as 2026-01-31, or a time with its zone such as 2026-01-31T12:00Z,"
            f" not {given!r}"
        )
    return told


class Endpoints:
    """Asks the handlers of endpoints of a runtime that nobody serves.

    Args:
        runtime: answers.
        store: of it.
    """

    def __init__(self, runtime: Runtime, store: Store) -> None:
        self.runtime = runtime
        self._store = store
        self._backend = Backend(runtime, GroupCommit(runtime.recorder.commit), Readiness(store))

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose days are days."""
        return ZoneInfo(self._store.definitions.timezone)

    @property
    def now(self) -> datetime:
        """What time it is, in that zone."""
        return datetime.fromtimestamp(self.runtime.clock() / 1_000_000, self.zone)

    def ask(self, handler: Callable[[Call[Q, NoBody]], A], query: Q, **path_params: str) -> A:
        """Return what the handler of an endpoint answers.

        Raises:
            ConfigurationError: what is asked breaks a rule; the message names it.
        """
        try:
            return handler(self._call(query, path_params))
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def _call(self, query: Q, path_params: Mapping[str, str]) -> Call[Q, NoBody]:
        return Call(path_params, query, NoBody(), _backend=self._backend)

    def envelope(self, path: str, query: msgspec.Struct, answer: object) -> str:
        """Return an answer as its endpoint sends it.

        Args:
            path: of the endpoint, below that of the API.
            query: that it was asked.
            answer: of its handler.
        """
        (route,) = (one for one in ROUTES if (one.method, one.path) == ("GET", f"{API}{path}"))
        return content_of(route, self._call(query, {}), answer).body.decode()
