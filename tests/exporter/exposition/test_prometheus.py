"""The exposition: valid whatever comes in, and named as the official exporter names it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.exporter.prometheus._mapping import map_unit, sanitize_full_name
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition.prometheus import CONTENT_TYPE, exposed_name, render, unit_words
from otel_measure.conventions import instruments
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.exposition import Family, Sample

_BOUNDS = (0.1, 1.0, 2.5)


class Native:
    """A prometheus_client collector of the same families: the reference for bytes."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            yield _native(family)


def _native(family: Family) -> Metric:
    name, unit, about = sanitize_full_name(family.name), map_unit(family.unit), family.description
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, about, labels=(), unit=unit)
        for sample in family.samples:
            counts = [sum(sample.buckets[: i + 1]) for i in range(len(sample.buckets))]
            pairs = list(zip([*map(str, family.bounds), "+Inf"], counts, strict=True))
            histogram.add_metric((), pairs, sample.value)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    [sample] = family.samples
    metric = kind(name, about, labels=(), unit=unit)
    metric.add_metric((), sample.value)
    return metric


def gauge(name: str, *samples: Sample, kind: str = "gauge", unit: str = "", about: str = "") -> Family:
    """Return a family without buckets."""
    return Family(name, kind, unit, about, (), list(samples))


def series(exposition: bytes) -> list[tuple[str, str, tuple[tuple[str, str], ...], float]]:
    """Return (type, name, labels, value) of everything a Prometheus client reads."""
    return sorted(
        (metric.type, sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for metric in text_string_to_metric_families(exposition.decode())
        for sample in metric.samples
    )


GOLDEN = b"""\
# HELP gen_ai_client_operation_duration_seconds How long calls \\\\ take.\\nIn full.
# TYPE gen_ai_client_operation_duration_seconds histogram
gen_ai_client_operation_duration_seconds_bucket{model="gpt\\"4",le="0.1"} 1.0
gen_ai_client_operation_duration_seconds_bucket{model="gpt\\"4",le="1.0"} 1.0
gen_ai_client_operation_duration_seconds_bucket{model="gpt\\"4",le="2.5"} 3.0
gen_ai_client_operation_duration_seconds_bucket{model="gpt\\"4",le="+Inf"} 4.0
gen_ai_client_operation_duration_seconds_count{model="gpt\\"4"} 4.0
gen_ai_client_operation_duration_seconds_sum{model="gpt\\"4"} 7.25
# HELP otel_measure_ai_cost_usd_total What the priced inferences cost.
# TYPE otel_measure_ai_cost_usd_total counter
otel_measure_ai_cost_usd_total{model="a"} 1.5e+06
otel_measure_ai_cost_usd_total{model="b"} 1e-05
# HELP system_cpu_utilization_ratio\x20
# TYPE system_cpu_utilization_ratio gauge
system_cpu_utilization_ratio NaN
# HELP system_memory_usage_bytes How much memory is in each state.
# TYPE system_memory_usage_bytes gauge
system_memory_usage_bytes{state="free"} 1.6777216e+07
system_memory_usage_bytes{state="used"} -Inf
system_memory_usage_bytes{state="wired"} +Inf
"""


def test_the_whole_exposition() -> None:
    """Families come out in their order, with help, type, cumulative buckets and escaped text; empty ones do not."""
    exposition = render(
        [
            Family(
                "gen_ai.client.operation.duration", "histogram", "s", "How long calls \\ take.\nIn full.",
                _BOUNDS, [Sample(r'model="gpt\"4"', 7.25, 4, (1, 0, 2, 1))],
            ),
            gauge(
                "otel_measure.ai.cost.usd", Sample('model="a"', 1.5e6), Sample('model="b"', 0.00001),
                kind="counter", unit="{USD}", about="What the priced inferences cost.",
            ),
            gauge("otel_measure.nothing.yet", kind="counter", about="Nobody sees this."),
            gauge("system.cpu.utilization.ratio", Sample("", math.nan), unit="1"),
            gauge(
                "system.memory.usage", Sample('state="free"', 2**24), Sample('state="used"', -math.inf),
                Sample('state="wired"', math.inf),
                kind="updowncounter", unit="By", about="How much memory is in each state.",
            ),
        ]
    )  # fmt: skip
    assert exposition == GOLDEN
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_nothing_is_an_empty_exposition() -> None:
    """No families give no bytes, which is a valid scrape."""
    assert render([]) == b""


@pytest.mark.parametrize(
    ("name", "kind", "unit", "exposed"),
    [
        ("gen_ai.client.token.usage", "histogram", "{token}", "gen_ai_client_token_usage"),
        ("gen_ai.client.operation.duration", "histogram", "s", "gen_ai_client_operation_duration_seconds"),
        ("otel_measure.ai.cost.usd", "counter", "{USD}", "otel_measure_ai_cost_usd_total"),
        ("system.disk.io", "counter", "By", "system_disk_io_bytes_total"),
        ("system.cpu.utilization", "gauge", "1", "system_cpu_utilization"),
        ("otel_measure.users.bounce.ratio", "gauge", "1", "otel_measure_users_bounce_ratio"),
        ("requests_total", "counter", "", "requests_total"),
        ("wait_seconds_total", "counter", "s", "wait_seconds_total"),
        ("requests_total", "gauge", "", "requests_total"),
        ("throughput", "gauge", "By/s", "throughput_bytes_per_second"),
        ("2fast..2\u00e9", "gauge", "", "_fast_2_e9"),
        ("job:rate", "gauge", "", "job:rate"),
        ("", "gauge", "", "_"),
    ],
)
def test_exposed_name(name: str, kind: str, unit: str, exposed: str) -> None:
    """Units are spelt out, annotations dropped, counters end in `_total`, other characters become one `_`."""
    assert exposed_name(name, kind, unit) == exposed


_names = st.builds(
    str.__add__,
    st.text(alphabet="aZ0_.:-/ é²\n", min_size=1, max_size=6),
    st.sampled_from(["", "_total", "_seconds", "_bytes_per_second"]),
)
_units = st.one_of(
    st.sampled_from(
        ["", "1", "s", "By", "%", "{USD}", "By/s", "m/s", "/s", "1/h", "{x}/mo", "s/", "KiBy/{p}", "a/b/c"]
    ),
    st.text(alphabet="sm1By{}/%_. ", max_size=6),
)


@given(_names, st.sampled_from(["counter", "gauge", "histogram"]), _units)
def test_names_are_those_of_the_official_exporter(name: str, kind: str, unit: str) -> None:
    """Any name of ASCII, kind and unit get the name that the official exporter and prometheus_client give them."""
    assume(name.isascii())
    assert unit_words(unit) == map_unit(unit)
    family = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}[kind]
    try:
        native = family(sanitize_full_name(name), "", unit=map_unit(unit)).name
    except ValueError:
        return  # the reference has no name for a counter called "_total"
    assert exposed_name(name, kind, unit) == native + ("_total" if kind == "counter" else "")


def test_names_of_other_scripts_stay_apart() -> None:
    """Two metrics whose names have no ASCII are two families."""
    families = [Family(name, "gauge", "Cel", "", (), [Sample("", 1.0)]) for name in ("温度", "湿度", "größe")]
    lines = [line for line in render(families).decode().splitlines() if not line.startswith("#")]
    assert lines == ["_6e29_5ea6_celsius 1.0", "_6e7f_5ea6_celsius 1.0", "gr_f6_df_e_celsius 1.0"]


def test_every_instrument_of_ours_is_named_as_the_official_exporter_names_it() -> None:
    """The same values through the SDK, the official exporter and prometheus_client read the same."""
    known = list(instruments.BY_NAME.values())
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry)
    views = [
        View(instrument_name=i.name, aggregation=ExplicitBucketHistogramAggregation(i.buckets))
        for i in known
        if i.buckets
    ]
    provider = MeterProvider([reader], views=views)
    meter = provider.get_meter("test")
    attributes = [{"gen_ai.request.model": 'gpt"4', "a": "\\"}, {"gen_ai.request.model": "é\n", "a": "x"}]
    families = []
    for instrument in known:
        samples = []
        for value, attribute_set in zip((0.02, 3.0), attributes, strict=True):
            if instrument.kind == "histogram":
                meter.create_histogram(instrument.name, instrument.unit, instrument.description).record(
                    value, attribute_set
                )
                index = sum(bound < value for bound in instrument.buckets)
                buckets = tuple(int(i == index) for i in range(len(instrument.buckets) + 1))
            elif instrument.kind == "gauge":
                meter.create_gauge(instrument.name, instrument.unit, instrument.description).set(value, attribute_set)
                buckets = ()
            else:
                create = meter.create_counter if instrument.kind == "counter" else meter.create_up_down_counter
                create(instrument.name, instrument.unit, instrument.description).add(value, attribute_set)
                buckets = ()
            samples.append(Sample(escaped(attribute_set.items()), value, len(buckets) and 1, buckets))
        families.append(
            Family(
                instrument.name, instrument.kind, instrument.unit, instrument.description, instrument.buckets, samples
            )
        )
    assert series(render(families)) == series(generate_latest(registry))
    provider.shutdown()


_numbers = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63).map(float), st.sampled_from([1e6, 999999.5, 1234567.0, 1e15, 1e16, -1e9])
)
_counts = st.tuples(*[st.integers(0, 2**40)] * (len(_BOUNDS) + 1))


@given(st.lists(_numbers, min_size=1, max_size=3), st.lists(_counts, min_size=1, max_size=2), st.text(max_size=10))
def test_bytes_are_those_of_prometheus_client(values: list[float], counts: list[tuple[int, ...]], about: str) -> None:
    """Where labels have no order to differ in, the exposition equals `generate_latest` byte for byte."""
    families = [
        *(gauge(f"g.{n}", Sample("", value), unit="By", about=about) for n, value in enumerate(values)),
        *(gauge(f"c.{n}", Sample("", value), kind="counter", about=about) for n, value in enumerate(values)),
        *(
            Family(f"h.{n}", "histogram", "s", about, _BOUNDS, [Sample("", 1.25, sum(buckets), buckets)])
            for n, buckets in enumerate(counts)
        ),
    ]
    reference = CollectorRegistry()
    reference.register(Native(families))
    assert render(families) == generate_latest(reference)


_text = st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace").decode())
_samples = st.builds(
    Sample,
    st.lists(st.tuples(st.sampled_from(["a.b", "le", "x"]), _text), max_size=2).map(escaped),
    _numbers,
    st.integers(0, 9),
    st.one_of(st.just(()), _counts),
)
_families = st.builds(
    Family,
    st.sampled_from(["x", "x.sum", "x_sum", "x.count", "x_bucket", "x_total", "x.histogram", "x.gauge", "y", "1", "é"]),
    st.sampled_from(["counter", "gauge", "updowncounter", "histogram", "unheard of"]),
    st.sampled_from(["", "s", "1", "{y}"]),
    _text,
    st.just(_BOUNDS),
    st.lists(_samples, max_size=3),
)


@given(st.lists(_families, max_size=6))
def test_every_exposition_is_valid(families: list[Family]) -> None:
    """Whatever comes in, a client reads it, a name has one type, no series comes twice, buckets agree with counts."""
    lines = render(families).decode().split("\n")
    assert lines.pop() == ""
    typed = [line.split(" ")[2:] for line in lines if line.startswith("# TYPE ")]
    claimed = [
        name + part
        for name, kind in typed
        for part in (["", "_bucket", "_count", "_sum"] if kind == "histogram" else [""])
    ]
    assert len(claimed) == len(set(claimed))
    keys = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
    assert len(keys) == len(set(keys))
    parsed = series("\n".join([*lines, ""]).encode())
    for kind, name, labels, value in parsed:
        assert kind in {"counter", "gauge", "histogram"}
        if ("le", "+Inf") in labels:
            rest = tuple(label for label in labels if label[0] != "le")
            of_parts = {n: v for _, n, of_part, v in parsed if of_part == rest}
            assert of_parts[name.removesuffix("_bucket") + "_count"] == value


def test_families_of_one_name_and_type_are_merged() -> None:
    """Two scopes with the same metric share one HELP and TYPE; of equal series the first stands."""
    families = [
        gauge("a.b", Sample('x="1"', 1), Sample('x="1"', 9)),
        gauge("c", Sample("", 0)),
        gauge("a_b", Sample('x="1"', 2), Sample('x="2"', 3), kind="updowncounter", about="Later, but it has words."),
    ]
    assert render(families) == (
        b"# HELP a_b Later, but it has words.\n# TYPE a_b gauge\n"
        b'a_b{x="1"} 1.0\na_b{x="2"} 3.0\n'
        b"# HELP c \n# TYPE c gauge\nc 0.0\n"
    )


def test_families_of_one_name_and_another_type_are_renamed_by_kind() -> None:
    """The later family gets its kind as a suffix, as often as it takes; a counter still ends in `_total`."""
    one = Sample("", 1)
    names = [
        ("x_total", "gauge"), ("x", "counter"), ("x", "histogram"), ("x_count", "gauge"), ("x", "gauge"),
        ("x.gauge", "histogram"), ("x", "counter"),
    ]  # fmt: skip
    exposition = render([gauge(name, one, kind=kind) for name, kind in names]).decode()
    assert [line.removeprefix("# TYPE ") for line in exposition.splitlines() if line.startswith("# TYPE")] == [
        "x_total gauge",
        "x_counter_total counter",
        "x histogram",
        "x_count_gauge gauge",
        "x_gauge gauge",
        "x_gauge_histogram histogram",
    ]
    assert exposition.count("x_counter_total 1.0\n") == 1


def test_a_histogram_from_outside_may_lack_buckets_or_have_infinite_bounds() -> None:
    """Without bucket counts only the total is told; an infinite bound is the last bucket and not told twice."""
    families = [
        Family("bare", "histogram", "", "", (), [Sample("", 2.5, 3)]),
        Family("far", "histogram", "", "", (-1.0, math.inf), [Sample('a="1"', 2.5, 3, (1, 1, 1))]),
    ]
    assert render(families) == (
        b"# HELP bare \n# TYPE bare histogram\n"
        b'bare_bucket{le="+Inf"} 3.0\nbare_count 3.0\nbare_sum 2.5\n'
        b"# HELP far \n# TYPE far histogram\n"
        b'far_bucket{a="1",le="-1.0"} 1.0\nfar_bucket{a="1",le="+Inf"} 3.0\nfar_count{a="1"} 3.0\nfar_sum{a="1"} 2.5\n'
    )
