"""What records add to running totals."""

from __future__ import annotations

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.totals import Sum, TotalKey, summed, summed_alike
from otel_measure.records.kinds import Origin
from tests.facts import HERE, event, inference, one_of_each


def _shown(sums: dict[TotalKey, Sum]) -> dict[str, tuple[int, int]]:
    return {key.instrument: (total.value, total.count) for key, total in sums.items()}


def _whole(sums: dict[TotalKey, Sum]) -> dict[TotalKey, tuple[int, int, list[int] | None]]:
    return {key: (total.value, total.count, total.buckets) for key, total in sums.items()}


def test_values_are_whole_numbers_on_the_grid_of_their_instrument() -> None:
    """Seconds are added as microseconds, USD as nano-dollars, tokens as they are."""
    sums = summed([inference("a", latency_ms=12.3456, input_tokens=3, cost_usd=4.5e-3, cost_source="table")])
    assert _shown(sums) == {
        "gen_ai.client.operation.duration": (12_346, 1),
        "otel_measure.ai.inferences": (1, 1),
        "gen_ai.client.token.usage": (3, 1),
        "otel_measure.ai.tokens": (3, 1),
        "otel_measure.ai.inference.cost.usd": (4_500_000, 1),
        "otel_measure.ai.cost.usd": (4_500_000, 1),
    }


def test_a_histogram_counts_its_buckets() -> None:
    """An upper bound belongs to its bucket; beyond the last one there is one more."""
    calls = [inference(f"i{ms}", latency_ms=ms) for ms in (10.0, 10.1, 100_000.0)]
    duration = next(s for key, s in summed(calls).items() if key.instrument == "gen_ai.client.operation.duration")
    assert duration.buckets == [1, 1, *[0] * (len(instruments.BUCKETS_DURATION) - 2), 1]


def test_events_that_measure_alike_are_counted_at_once() -> None:
    """A thousand clicks are one series with the sum of a thousand, as one by one."""
    clicks = [event(f"e{i}") for i in range(1000)]
    key = TotalKey("otel_measure.users.events", ((semconv.ATTR_EVENT_TYPE, "click"),), HERE)
    (at_once,) = summed(clicks).values()
    one_by_one = Sum(0)
    for click in clicks:
        one_by_one.add(summed([click])[key])
    assert (at_once.value, at_once.count, at_once.buckets) == (1000, 1000, None)
    assert (one_by_one.value, one_by_one.count) == (1000, 1000)


def test_the_sum_of_parts_is_the_sum_of_all() -> None:
    """Records of every kind, in two batches or one, add the same."""
    records = one_of_each()
    added: dict[TotalKey, Sum] = {}
    for part in (records[::2], records[1::2]):
        for key, total in summed(part).items():
            added.setdefault(key, Sum(len(instruments.BY_NAME[key.instrument].buckets))).add(total)
    whole = summed(records)
    assert {key: (s.value, s.count, s.buckets) for key, s in added.items()} == {
        key: (s.value, s.count, s.buckets) for key, s in whole.items()
    }


def test_many_calls_add_what_each_adds() -> None:
    """Of two models and two origins, some with an error or without tokens: summed at once or one by one."""
    calls = [
        inference(
            f"i{n}",
            model=f"m{n % 2}",
            origin=Origin("shop", "production" if n % 3 else "staging"),
            latency_ms=n * 7.3,
            input_tokens=n if n % 5 else None,
            cost_usd=n / 700,
            cost_source="table",
            error_type="timeout" if n % 7 == 0 else None,
        )
        for n in range(60)
    ]
    added: dict[TotalKey, Sum] = {}
    for call in calls:
        for key, total in summed([call]).items():
            added.setdefault(key, Sum(len(instruments.BY_NAME[key.instrument].buckets))).add(total)
    assert {key: (s.value, s.count, s.buckets) for key, s in added.items()} == {
        key: (s.value, s.count, s.buckets) for key, s in summed(calls).items()
    }


def test_records_that_measure_alike_are_counted_by_their_number() -> None:
    """Whatever a record is, to give it with a number is to give it so often."""
    counted = [(record, n) for n, record in enumerate(one_of_each(), 1)]
    assert _whole(summed_alike(counted)) == _whole(summed(record for record, n in counted for _ in range(n)))
    assert _whole(summed_alike((record, 1) for record in one_of_each())) == _whole(summed(one_of_each()))


def test_what_was_added_is_removed() -> None:
    """Of value, count and buckets is left what was there before."""
    for total in summed(one_of_each()).values():
        twice = Sum(len(total.buckets or (0,)) - 1)
        for one in (total, total):
            twice.add(one)
        twice.remove(total)
        assert (twice.value, twice.count, twice.buckets) == (total.value, total.count, total.buckets)
