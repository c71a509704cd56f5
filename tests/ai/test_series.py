"""Models over time, as answers show it."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isnan
from typing import Any

import pytest

from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.definitions.model_use import ModelUse
from otel_measure.errors import NoStore
from otel_measure.store.sqlite.models import add_received
from otel_measure.testing import START, Capture


def call(measured: Capture, minutes_ago: int, model: str = "m", version: str = "1", **fields: Any) -> None:
    """Record a call of 100 ms."""
    measured.ai.record_inference(model, version, 100.0, timestamp=START - timedelta(minutes=minutes_ago), **fields)


def known(column: tuple[float, ...]) -> list[float | None]:
    """Return a column with `None` where it is unknown."""
    return [None if isnan(number) else number for number in column]


def test_the_series_whole(measured: Capture) -> None:
    """Sums are 0 in a step without calls, what describes calls is unknown there, and the running step is marked."""
    call(
        measured, 0, input_tokens=10, output_tokens=2, cached_input_tokens=4, reasoning_tokens=1,
        cost_usd=0.5,
    )  # fmt: skip
    call(measured, 1, error_type="Timeout")
    call(measured, 11, cost_usd=0.25)
    series = measured.ai.get_model_series(window="15m", step="5m")
    assert series.start == tuple(START - timedelta(minutes=m) for m in (15, 10, 5, 0))[:4]
    assert (series.step_seconds, series.partial, series.groups, series.previous) == (300, (3,), (), None)
    assert {name: known(column) for name, column in series.columns.items()} == {
        "requests": [1, 0, 1, 1],
        "errors": [0, 0, 1, 0],
        "error_rate": [0, None, 1, 0],
        "p50_ms": [100, None, 100, 100],
        "p95_ms": [100, None, 100, 100],
        "p99_ms": [100, None, 100, 100],
        "mean_ms": [100, None, 100, 100],
        "first_chunk_p50_ms": [None] * 4,
        "first_chunk_p95_ms": [None] * 4,
        "input_tokens": [None, 0, None, 10],
        "output_tokens": [None, 0, None, 2],
        "cached_input_tokens": [None, 0, None, 4],
        "reasoning_tokens": [None, 0, None, 1],
        "cache_hit_ratio": [None, None, None, 0.4],
        "cost_usd": [0.25, 0, None, 0.5],
        "cost_per_request_usd": [0.25, None, None, 0.5],
        "priced_ratio": [1, None, 0, 1],
    }
    assert (series.window.start, series.window.end) == (
        START - timedelta(minutes=15) + timedelta(microseconds=1),
        START + timedelta(microseconds=1),
    )


def test_the_time_before_has_the_same_steps(measured: Capture) -> None:
    """The equally long time before ends where the window begins, and its steps are as long."""
    call(measured, 0)
    call(measured, 70)
    call(measured, 80)
    series = measured.ai.get_model_series(window="1h", step="15m", compare="previous")
    assert sum(series.columns["requests"]) == 1
    assert series.previous is not None
    assert series.previous.start == tuple(start - timedelta(hours=1) for start in series.start)
    assert sum(series.previous.columns["requests"]) == 2
    assert series.previous.window.end == series.window.start


def test_groups_beyond_twenty_are_one(measured: Capture) -> None:
    """The twenty models with the most calls have columns of their own, the others share theirs, and all add up."""
    for n in range(23):
        for _ in range(2 if n < 20 else 1):
            call(measured, 0, f"m{n:02}")
    series = measured.ai.get_model_series(window="5m", step="1h", group_by="model")
    assert [group.key for group in series.groups] == [{"model_name": f"m{n:02}"} for n in range(20)] + [{}]
    assert [group.other for group in series.groups] == [False] * 20 + [True]
    assert [sum(group.columns["requests"]) for group in series.groups] == [2] * 20 + [3]
    assert sum(series.columns["requests"]) == 43


def test_versions_and_services_are_told_apart(measured: Capture) -> None:
    """A group by version names its model too; a model is all of its versions."""
    call(measured, 0, "m", "1")
    call(measured, 0, "m", "2")
    call(measured, 0, "n", "1")
    by_version = measured.ai.get_model_series("m", window="5m", group_by="version")
    assert [group.key for group in by_version.groups] == [
        {"model_name": "m", "model_version": "1"},
        {"model_name": "m", "model_version": "2"},
    ]
    assert sum(by_version.columns["requests"]) == 2
    assert sum(measured.ai.get_model_series("m", "2").columns["requests"]) == 1
    (service,) = measured.ai.get_model_series(group_by="service").groups
    assert (list(service.key), sum(service.columns["requests"])) == (["service"], 3)


def test_errors_are_told_apart_by_type(measured: Capture) -> None:
    """The twenty most frequent types have their errors per step, all others are one group, and all add up."""
    for n in range(22):
        call(measured, 70, error_type=f"E{n:02}")
    for minutes_ago in (0, 0, 70):
        call(measured, minutes_ago, error_type="Timeout")
    call(measured, 0)
    call(measured, 0, "other", error_type="E00")
    series = measured.ai.get_model_series("m", window="90m", step="1h", group_by="error_type")
    assert [group.key for group in series.groups] == [
        {"error_type": "Timeout"}, *({"error_type": f"E{n:02}"} for n in range(19)), {},
    ]  # fmt: skip
    assert [group.other for group in series.groups] == [False] * 20 + [True]
    of_types = {group.key.get("error_type", "others"): group.columns["errors"] for group in series.groups}
    assert (sum(of_types["Timeout"]), of_types["Timeout"][-1]) == (3, 2)
    assert sum(of_types["others"]) == 3
    assert [sum(step) for step in zip(*of_types.values(), strict=True)] == list(series.columns["errors"])
    assert {name for group in series.groups for name in group.columns} == {"errors"}
    assert measured.ai.get_model_series("m", "2", group_by="error_type").groups == ()


def test_errors_that_only_metrics_tell_of_have_no_type(measured: Capture) -> None:
    """They are in the last group, so that the groups add up to the report."""
    call(measured, 0, error_type="Timeout")
    measured.runtime.recorder.flush()
    store: Any = measured.runtime.store
    with store._transaction() as transaction:
        minute = measured.clock.now_us - measured.clock.now_us % 60_000_000
        (origin,) = transaction.connection.execute("SELECT id FROM origin").fetchone()
        cell = (60, minute, transaction.names.model("m", "1"), origin, "openai")
        received = {cell: ModelUse("m", "1", requests=5, errors=4)}
        add_received(transaction.connection, received)
    groups = measured.ai.get_model_series(window="5m", group_by="error_type").groups
    assert [(group.other, sum(group.columns["errors"])) for group in groups] == [(False, 1), (True, 4)]


def test_what_retention_removed_is_unknown() -> None:
    """Steps that end before the horizon are unknown, and not 0."""
    with Capture(Settings(store=":memory:", retention_days=4)) as measured:
        call(measured, 0)
        call(measured, 8 * 1440)
        measured.runtime.recorder.flush()
        assert measured.runtime.store is not None
        measured.runtime.store.sweep(measured.clock.now_us)
        series = measured.ai.get_model_series(window="10d", step="1d")
        requests = known(series.columns["requests"])
        call(measured, 0, error_type="Timeout")
        (group,) = measured.ai.get_model_series(window="10d", step="1d", group_by="error_type").groups
        assert known(group.columns["errors"]) == [None] * 6 + [0] * 4 + [1]
    assert requests == [None] * 6 + [0] * 4 + [1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model_version": "1"}, "model_version='1' needs a model_name"),
        ({"step": "2m"}, "step must be one of 1m, 5m, 15m, 1h, 6h, 1d, 1w, not '2m'"),
        ({"start": datetime(2026, 1, 15)}, "start must say its zone"),
        ({"group_by": "colour"}, "group_by must be one of model, version, provider, service, error_type, not 'colour'"),
        ({"compare": "next"}, "compare must be 'previous', not 'next'"),
    ],
)
def test_what_is_no_question_is_refused(measured: Capture, asked: dict[str, Any], message: str) -> None:
    """The message names the argument, its rule and the value."""
    with pytest.raises(ValueError, match=message):
        measured.ai.get_model_series(**asked)


def test_a_process_without_a_store_knows_no_times(storeless: AiModelService) -> None:
    """The reader of a process has totals only."""
    with pytest.raises(NoStore, match="get_model_series"):
        storeless.get_model_series()
