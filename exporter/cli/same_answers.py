"""Whether two stores answer alike: every report of the API, asked of both at the same moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from exporter.api import ROUTES
from exporter.cli.report.asked import Endpoints
from exporter.http.types import API
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from otel_measure.runtime import Runtime

# What is asked of a store, and of nothing else: the machine that a command runs on, which alerts tell of as well, is
# another one each time.
_ASKED: Final = (
    "/infrastructure/series", "/infrastructure/hosts", "/infrastructure/services",
    "/ai/models", "/ai/summary", "/ai/series", "/ai/errors", "/ai/calls", "/ai/evaluations", "/ai/agents",
    "/ai/spending", "/users/engagement", "/users/summary", "/users/conversion", "/users/retention", "/users/nps",
    "/users/series", "/users/segments", "/experiments", "/changes", "/environments", "/otlp/senders",
)  # fmt: skip
_WINDOW: Final = "30d"


def differing(first: Settings, second: Settings, now: int) -> list[str]:
    """Return the reports that two stores tell differently, with their environment.

    Args:
        first: where one is.
        second: where the other is.
        now: microseconds; every report is as of then.

    Raises:
        StoreUnavailable: one of them cannot be read.
    """
    answers, others = _answers(first, now), _answers(second, now)
    return sorted(asked for asked in answers.keys() | others.keys() if answers.get(asked) != others.get(asked))


def _answers(settings: Settings, now: int) -> Mapping[str, str]:
    with _reading(settings, now) as endpoints:
        store = endpoints.runtime.store
        assert store is not None
        with store.asking() as moment:
            environments = moment.environments
        return dict(each for environment in environments for each in _of_environment(endpoints, environment))


def _of_environment(endpoints: Endpoints, environment: str) -> Iterator[tuple[str, str]]:
    for route in ROUTES:
        path = route.path.removeprefix(API)
        if route.method == "GET" and path in _ASKED:
            wanted = {"environment": environment, "window": _WINDOW}
            given: dict[str, Any] = {k: v for k, v in wanted.items() if k in route.query.__struct_fields__}
            query = route.query(**given)
            yield f"{path} of {environment}", endpoints.envelope(path, query, endpoints.ask(route.handler, query))


@contextmanager
def _reading(settings: Settings, now: int) -> Iterator[Endpoints]:
    runtime = Runtime(settings, clock=lambda: now, reads_only=True)
    if runtime.store is None:
        raise ConfigurationError("the settings want no store")
    try:
        yield Endpoints(runtime, runtime.store)
    finally:
        runtime.sampler.stop()
        runtime.store.close()
