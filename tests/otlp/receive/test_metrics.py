from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.signals import ModelSeries
from otel_measure.definitions.streams import Point
from otel_measure.otlp.receive.metrics import MAX_BUCKETS, interpret
from otel_measure.otlp.receive.senders import resource_of
from otel_measure.otlp.values import MAX_DEPTH
from otel_measure.records.kinds import Json, Origin
from otel_measure.stats.binned import Exponential
from tests.otlp.requests import CHAT, CUMULATIVE, DELTA, DURATION, NOW_US, PROCESS, STARTED_US, TOKENS, Metrics

LABELS = 'otel_scope_name="other",service_instance_id="a",service_name="shop"'


def points(metrics: Metrics) -> list[Point]:
    """Return the points of a request in which nothing is wrong."""
    found = interpret(metrics.request.resource_metrics, NOW_US)
    assert (found.refused, found.own) == (Counter(), 0)
    return found.points


def refused(metrics: Metrics) -> Counter[str]:
    """Return what is wrong with the points of a request."""
    found = interpret(metrics.request.resource_metrics, NOW_US)
    assert found.points == []
    return found.refused


def test_a_counter() -> None:
    """Cumulative or delta, monotonic or not; labels tell service, process and scope."""
    expected: dict[str, Any] = {
        "name": "jobs", "kind": "counter", "unit": "{job}", "description": "Jobs.",
        "labels": f'otel_scope_name="other",q="x;y",{LABELS.partition(",")[2]}', "scope": "instance", "instance": "a",
        "start": STARTED_US, "ts": NOW_US, "value": 5.0, "received_ts": NOW_US,
    }  # fmt: skip
    assert points(Metrics().counter("jobs", 5, {"q": "x;y"})) == [Point(**expected)]
    assert points(Metrics().counter("jobs", 5, {"q": "x;y"}, temporality=DELTA)) == [Point(**expected, delta=True)]
    assert points(Metrics().counter("jobs", 5, {"q": "x;y"}, monotonic=False)) == [
        Point(**(expected | {"kind": "updowncounter"}))
    ]


def test_a_gauge_of_a_host() -> None:
    """System metrics are the host's, whoever sends them, and go on over restarts of the sender."""
    (point,) = points(Metrics().gauge("system.memory.usage", 5.0, "By", system__memory__state="used"))
    assert (point.scope, point.instance, point.start, point.labels) == (
        "host",
        "h1",
        0,
        'host_name="h1",system_memory_state="used"',
    )
    container: dict[str, Json] = {"container.id": "c1", "service.name": "shop"}
    (point,) = points(Metrics(container).gauge("container.memory.usage", 5.0))
    assert (point.scope, point.instance, point.labels) == ("host", "c1", 'container_id="c1"')
    (point,) = points(Metrics({"service.instance.id": "a"}).gauge("system.memory.usage", 5.0))
    assert (point.scope, point.instance) == ("instance", "a")


def test_a_histogram() -> None:
    """With its buckets and extremes; one without buckets has a single one."""
    (point,) = points(Metrics().histogram("took", [1, 2, 0], 3.5, min=0.5, max=2.0))
    assert (point.kind, point.value, point.count) == ("histogram", 3.5, 3)
    assert (point.bounds, point.buckets, point.minimum, point.maximum) == ((1.0, 2.0), (1, 2, 0), 0.5, 2.0)
    plain = Metrics()
    metric = plain.raw()
    metric.name = "took"
    metric.histogram.data_points.add(count=7, sum=3.0)
    (point,) = points(plain)
    assert (point.count, point.bounds, point.buckets, point.minimum) == (7, (), (7,), None)


def test_an_exponential_histogram() -> None:
    """Its buckets are kept; those of the exposition are the convention's, or fit the unit."""
    (point,) = points(Metrics().exponential(DURATION, 0, -1, [1, 2], 3.5, zero_count=3))
    assert (point.count, point.exponential, point.buckets) == (6, Exponential(0, 3, -1, (1, 2)), ())
    assert point.bounds == instruments.BUCKETS_DURATION
    (point,) = points(Metrics().exponential("mine", 0, 0, [1], 1.0, unit="{token}"))
    assert point.bounds == instruments.BUCKETS_TOKENS
    (point,) = points(Metrics().exponential("mine", 0, 0, [1], 1.0, unit="{x}"))
    assert point.bounds == tuple(4.0**n for n in range(-5, 16))


def test_a_summary() -> None:
    """Sum and count are counters, each quantile a gauge under a label that means nothing else to Prometheus."""
    metrics = Metrics()
    metric = metrics.raw()
    metric.name = "rpc"
    point = metric.summary.data_points.add(count=4, sum=2.0)
    point.quantile_values.add(quantile=0.5, value=0.25)
    assert [(p.name, p.kind, p.value) for p in points(metrics)] == [
        ("rpc.sum", "counter", 2.0),
        ("rpc.count", "counter", 4.0),
        ("rpc", "gauge", 0.25),
    ]
    assert points(metrics)[2].labels == f'exported_quantile="0.5",{LABELS}'


def test_a_time_in_the_future_is_now() -> None:
    """A clock that is ahead must not make all later points out of order; one that is not said is now."""
    ahead = Metrics().gauge("a", 1.0, ts=NOW_US + 10**9).gauge("a", 1.0, ts=0)
    assert [(point.ts, point.sender_ts) for point in points(ahead)] == [(NOW_US, NOW_US + 10**9), (NOW_US, 0)]


def test_what_says_no_value_ends_its_series() -> None:
    """Whatever kind it is of: under the labels that its values had, and it tells of no calls."""
    metrics = Metrics().gauge("a", 0.0).counter("b", 0, temporality=DELTA).histogram(DURATION, [0, 0, 0], 0.0, CHAT)
    summary = metrics.raw()
    summary.name = "s"
    summary.summary.data_points.add()
    ended = Metrics()
    ended.request.CopyFrom(metrics.request)
    for metric in ended.request.resource_metrics[0].scope_metrics[0].metrics:
        getattr(metric, metric.WhichOneof("data") or "").data_points[0].flags = 1
    values, marks = points(metrics), points(ended)
    assert [(mark.name, mark.labels, mark.instance) for mark in marks] == [
        (v.name, v.labels, v.instance) for v in values
    ]
    assert {(mark.ends, mark.delta, mark.model_series) for mark in marks} == {(True, False, None)}


def test_what_a_point_and_its_resource_both_say_stays_apart() -> None:
    """The point's is `exported_`, as with a Prometheus server; what the resource does not say is the point's alone."""
    said = [
        {"service.name": "cart"},
        {"service.name": "pay"},
        {"service.name": "pay", "service.instance.id": "z"},
        {"service.name": "shop"},
        {"deployment.environment.name": "e", "otel.scope.name": "s"},
        {},
    ]
    found = [points(Metrics().counter("jobs", 1, attributes))[0].labels for attributes in said]
    exported = ["service_name", "service_instance_id", "otel_scope_name"]
    cart, pay, both, shop, of_scope, plain = found
    assert (cart, shop) == (f'exported_{exported[0]}="cart",{LABELS}', f'exported_{exported[0]}="shop",{LABELS}')
    assert both == f'exported_{exported[1]}="z",{pay}'
    assert of_scope == f'deployment_environment_name="e",exported_{exported[2]}="s",{LABELS}'
    assert (plain, len(set(found))) == (LABELS, 6)


def test_what_facts_say_already() -> None:
    """It is no point, nor wrong."""
    ours = Metrics(scope=semconv.SCOPE_AI).histogram(DURATION, [1, 0, 0], 1.0, CHAT)
    found = interpret(ours.request.resource_metrics, NOW_US)
    assert (found.points, found.own) == ([], 1)
    assert interpret(Metrics().request.resource_metrics, NOW_US).points == []


def test_our_own_other_scopes_need_no_label() -> None:
    """Their names are ours alone."""
    (point,) = points(Metrics(scope=semconv.SCOPE_SELF).counter("otel_measure.self.records", 1))
    assert point.labels == LABELS.partition(",")[2]


@pytest.mark.parametrize(
    ("metrics", "rule"),
    [
        (Metrics().gauge("a", float("inf")), "a value must be a finite number"),
        (Metrics().gauge("", 1.0), "a metric's name must have 1 to 1024 characters"),
        (Metrics().gauge("a" * 1025, 1.0), "a metric's name must have 1 to 1024 characters"),
        (
            Metrics().histogram("a", [1], 1.0),
            f"a histogram must have one bucket more than bounds, and at most {MAX_BUCKETS} of these",
        ),
        (
            Metrics().histogram("a", [1, 0, 0], 1.0, bounds=[2, 1]),
            "the bounds of a histogram must be finite and ascending",
        ),
        (Metrics().histogram("a", [1, 0, 0], float("nan")), "a value must be a finite number"),
        (
            Metrics().exponential("a", 21, 0, [1], 1.0),
            "the scale of an exponential histogram must be from -10 to 20",
        ),
        (
            Metrics().exponential("a", 0, 0, [1] * (MAX_BUCKETS + 1), 1.0),
            f"an exponential histogram must have at most {MAX_BUCKETS} buckets",
        ),
        (Metrics().counter("a", -1, temporality=DELTA), "a delta of a monotonic sum must not be negative"),
        *(
            (
                Metrics().histogram(name, [1, 0, 0], value, {**CHAT, "gen_ai.token.type": "input"}, temporality=given),
                f"what a metric says of calls of models must be from 0 to 1e+18, not {value:g}",
            )
            for name in (DURATION, TOKENS, "gen_ai.usage.cost")
            for value in (1e308, -300.0)
            for given in (CUMULATIVE, DELTA)
        ),
        (
            Metrics().gauge("a", 1.0, x="y" * 17_000),
            "the attributes of a data point must have at most 16384 characters as labels",
        ),
    ],
)
def test_what_breaks_a_rule(metrics: Metrics, rule: str) -> None:
    """The message is the rule."""
    assert refused(metrics) == Counter({rule: 1})


def test_attributes_that_are_nested_too_deeply() -> None:
    """They cost what carries them: one data point, or all of a resource, and not their request."""
    deep: Json = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    metrics = Metrics().gauge("a", 1.0).gauge("b", 1.0, x=deep)
    metrics.request.MergeFrom(Metrics({**PROCESS, "x": deep}).gauge("c", 1.0).counter("d", 1).request)
    metrics.request.MergeFrom(Metrics({"x": deep}).request)
    metrics.raw()
    found = interpret(metrics.request.resource_metrics, NOW_US)
    assert [point.name for point in found.points] == ["a"]
    assert found.refused == Counter(
        {
            "an attribute's value must be nested at most 16 deep": 1,
            "its resource: an attribute's value must be nested at most 16 deep": 2,
        }
    )


def test_a_histogram_without_a_sum_tells_of_calls_whose_mean_is_not_known() -> None:
    """Of tokens it tells nothing: they are what it would sum."""
    tokens = {**CHAT, "gen_ai.token.type": "input"}
    metrics = Metrics().histogram(DURATION, [1, 0, 0], 0.0, CHAT).histogram(TOKENS, [1, 0, 0], 0.0, tokens)
    for metric in metrics.request.resource_metrics[0].scope_metrics[0].metrics:
        metric.histogram.data_points[0].ClearField("sum")
    calls, used = points(metrics)
    assert calls.model_series is not None
    assert (calls.has_sum, calls.count, used.model_series) == (False, 1, None)


def test_a_count_that_is_not_that_of_the_buckets() -> None:
    """One of the two is wrong, and nobody knows which."""
    metrics = Metrics().histogram("a", [1, 0, 0], 1.0)
    metrics.request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].count = 2
    rule = f"the count of a histogram must be the sum of its buckets, and at most {2**62}"
    assert refused(metrics) == Counter({rule: 1})


@pytest.mark.parametrize(
    ("name", "attributes", "role"),
    [
        (DURATION, {}, "calls"),
        ("gen_ai.client.inference.duration", {}, "calls"),
        (TOKENS, {"gen_ai.token.type": "input"}, "input_tokens"),
        ("gen_ai.client.inference.token.usage", {"gen_ai.token.type": "output"}, "output_tokens"),
        (TOKENS, {"gen_ai.token.type": "completion"}, "output_tokens"),
        ("gen_ai.usage.cost", {}, "cost"),
        (TOKENS, {}, None),
        (DURATION, {"gen_ai.operation.name": "execute_tool"}, None),
        (DURATION, {"gen_ai.request.model": "", "gen_ai.response.model": ""}, None),
        ("other", {}, None),
    ],
)
def test_what_series_mean(name: str, attributes: dict[str, Json], role: Any) -> None:
    """Released and coming names tell of calls of models; tools and what names no model do not."""
    (point,) = points(Metrics().histogram(name, [1, 0, 0], 1.0, {**CHAT, "error.type": "Timeout", **attributes}))
    expected = ModelSeries(
        role,
        resource_of(PROCESS).source,
        Origin("shop"),
        "gpt-4o",
        "2024-08-06",
        "openai",
        "gpt-4o-2024-08-06",
        "Timeout",
        "gpt-4o",
        f"other/{name}",
    )
    assert point.model_series == (expected if role else None)


def test_what_may_be_negative() -> None:
    """What is not monotonic falls by its deltas; a sum that is said whole is shown as it is."""
    metrics = Metrics().counter("a", -1, temporality=DELTA, monotonic=False).counter("b", -1).gauge("c", -1.0)
    assert [point.value for point in points(metrics)] == [-1.0] * 3


def test_a_gauge_tells_of_no_calls() -> None:
    """Neither one under the name of a histogram nor a quantile of a summary: a reading is no growth."""
    metrics = Metrics().gauge(DURATION, 1.0, "s", NOW_US, **CHAT)
    metric = metrics.raw()
    metric.name = DURATION
    quantiles = metric.summary.data_points.add(count=4, sum=2.0)
    quantiles.quantile_values.add(quantile=0.5, value=0.25)
    quantiles.attributes.add(key="gen_ai.request.model").value.string_value = "m"
    assert [point.model_series for point in points(metrics)] == [None] * 4


def test_metrics_beside_facts_of_ours_mean_nothing() -> None:
    """The facts of that process come as events."""
    ours: dict[str, Json] = {**PROCESS, "otel_measure.own_facts": True}
    (point,) = points(Metrics(ours).histogram(DURATION, [1, 0, 0], 1.0, CHAT))
    assert point.model_series is None
