"""Everything that is reported of a story, as JSON: each question once for every part of the store that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from exporter.exposition import prometheus
from exporter.http.envelope import success
from otel_measure.errors import MeasureError
from otel_measure.runtime import Runtime
from tests.store.asking import asked
from tests.store.stories.drawn import ENVIRONMENT, SERVICES, TEST
from tests.store.stories.story import Story

OWN_MODEL: Final = ("n", "1")
"""Of which nobody tells but the application that records its calls."""
MODELS: Final = (("m", "1"), ("m", "2"), OWN_MODEL)
CONVERSION: Final = "conversion"
"""What the summary looks at as well."""
_OF_A_MODEL: Final = (
    "get_model_performance_snapshot", "get_accuracy_metrics", "get_regression_metrics", "get_fairness_metrics",
)  # fmt: skip
_OF_USERS: Final = ("get_engagement_metrics", "get_retention_metrics", "get_nps_metrics", "segment_users")


class Question(NamedTuple):
    """A method of one of the services of a runtime, and what it is asked with."""

    service: str
    method: str
    given: tuple[str, ...] = ()
    named: Mapping[str, object] = {}


def questions(story: Story) -> Iterator[Question]:
    """Yield what is asked about a story."""
    named = {"window": story.window, "environment": ENVIRONMENT}
    yield from _about_models(story, named)
    here = {"environment": ENVIRONMENT}
    users = {**here, "as_of": story.as_of}
    for method in _OF_USERS:
        yield Question("users", method, (), users)
    yield Question("users", "get_conversion_metrics", (CONVERSION,), users)
    yield Question("users", "get_user_series", ("7d",), {**users, "step": "1w"})
    yield Question("users", "get_users_summary", (), {**users, "service": story.service})
    yield Question("experiments", "list_ab_tests", (), here)
    yield Question("experiments", "get_ab_test_series", (TEST.key,), here)
    yield Question("infrastructure", "list_services", (), here)
    for service in SERVICES:
        yield Question("infrastructure", "get_availability_metrics", (service, "7d"), users)
        yield Question("infrastructure", "get_availability_series", (service, "7d"), here)


def _about_models(story: Story, named: Mapping[str, object]) -> Iterator[Question]:
    for method in ("list_models", "get_models_summary", "get_evaluations", "get_agents"):
        yield Question("ai", method, (), named)
    yield Question("ai", "get_spending", (story.spent_by,), named)
    for order in ("latency", "cost"):
        yield Question("ai", "get_calls", (order,), named)
    yield Question("ai", "get_model_series", (), {"group_by": story.group_by, **named})
    yield Question("ai", "get_errors", ("m",), named)
    for model in MODELS:
        yield Question("ai", "detect_model_drift", model, {"environment": ENVIRONMENT})
    yield Question("ai", "get_model_performance_snapshot", OWN_MODEL, named)
    for method in _OF_A_MODEL:
        yield Question("ai", method, MODELS[0], named)
    yield Question("ai", "get_version_comparison", ("m", "2", "1"), named)


def reports(runtime: Runtime, story: Story) -> dict[str, bytes]:
    """Return every report as JSON, or what it is refused with, by its question."""
    return {repr(question): _answer(runtime, question) for question in questions(story)}


def _answer(runtime: Runtime, question: Question) -> bytes:
    method = getattr(getattr(runtime, question.service), question.method)
    try:
        return success(method(*question.given, **question.named)).body
    except (MeasureError, ValueError) as refusal:
        return repr(refusal).encode()


def exposition(runtime: Runtime, now: int) -> bytes:
    """Return what `/metrics` shows of what the store counts."""
    return prometheus.render(asked(runtime.store, lambda moment: moment.streams.families(now)))
