"""Which services live: anything at all came of them lately, by OTLP or out of a process that shares the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.labels import label_name, parse
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.questions import StreamQuestions

LATELY_US: Final = 10 * MINUTE_US
_ARRIVALS_US: Final = 5 * MINUTE_US  # as finely as it is known when anything came by OTLP
_LOOKED_BACK_US: Final = 2 * HOUR_US
_EVERY_PROCESS_HAS: Final = instruments.PROCESS_MEMORY_USAGE.name
_SERVICE: Final = label_name(semconv.ATTR_SERVICE_NAME)
_ENVIRONMENT: Final = label_name(semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME)


class _Sign(NamedTuple):
    """A sign of life of a service, at a time from `at_least` to `at_most`, microseconds."""

    service: str
    at_least: int
    at_most: int


class SignsOfLife:
    """Remembers when each service of an environment was heard of last."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._heard_until: dict[str, int] = {}
        self._living: set[str] = set()

    def look(self, streams: StreamQuestions, calling: Iterable[str], late_us: Mapping[str, int], now_us: int) -> None:
        """Look who lives now.

        Args:
            streams: know what comes.
            calling: services of which calls came lately, which are signs of life too.
            late_us: how late a service usually tells what it does, of those who are late.
            now_us: microseconds.
        """
        self._living = set(calling)
        for service, at_least, at_most in self._signs(streams, now_us):
            self._heard_until[service] = max(self._heard_until.get(service, 0), min(at_most, now_us))
            if at_least >= now_us - LATELY_US - late_us.get(service, 0):
                self._living.add(service)

    def heard_until(self, service: str) -> int:
        """Return before when a service was heard of last, beside its calls; 0 where it never was."""
        return self._heard_until.get(service, 0)

    def one_that_lives(self, services: Collection[str]) -> str:
        """Return one of some services that lives; empty for none."""
        return min(self._living & set(services), default="")

    def _signs(self, streams: StreamQuestions, now_us: int) -> Iterator[_Sign]:
        since = now_us - _LOOKED_BACK_US
        for origin, at in streams.last_arrivals(since).items():
            if origin.environment == self._environment:
                yield _Sign(origin.service, at, at + _ARRIVALS_US)
        for sender in streams.senders(since):
            if sender.environment == self._environment:
                yield _Sign(sender.service, sender.ts, sender.ts)
        for reading in streams.readings((_EVERY_PROCESS_HAS,), since):
            labels = parse(reading.labels)
            if labels.get(_ENVIRONMENT, "") == self._environment and _SERVICE in labels:
                yield _Sign(labels[_SERVICE], reading.ts, reading.ts)
