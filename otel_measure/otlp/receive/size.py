"""How many items a request has: a small body may hold millions that say nothing, and each costs its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

MAX_ITEMS: Final = 100_000
# Where the items of each signal stand.
_PATHS: Final = (
    ("resource_logs", "scope_logs", "log_records"),
    ("resource_spans", "scope_spans", "spans"),
    ("resource_metrics", "scope_metrics", "metrics"),
)


class TooManyItemsError(ValueError):
    """A request has more items than are looked at."""

    def __init__(self) -> None:
        super().__init__(f"a request must have at most {MAX_ITEMS} items (log records, spans, data points)")


def refuse_too_many(request: Message) -> None:
    """Raise for a request with too many items; what holds items counts as one too.

    Raises:
        TooManyItemsError: it has.
    """
    total = 0
    for n in _counts(request):
        total += n
        if total > MAX_ITEMS:
            raise TooManyItemsError


def _counts(request: Any) -> Iterator[int]:
    for resources, scopes, items in _PATHS:
        for resource in getattr(request, resources, ()):
            yield 1
            for scope in getattr(resource, scopes):
                entries = getattr(scope, items)
                yield 1 + len(entries)
                if items == "metrics":
                    yield from (len(points_of(metric)) for metric in entries)


def points_of(metric: Metric) -> Sequence[Any]:
    """Return the data points of a metric, whatever kind they are of; none where it has no data."""
    form = metric.WhichOneof("data")
    data_points: Sequence[Any] = getattr(metric, form).data_points if form is not None else ()
    return data_points
