"""What the store promises as a whole; its parts have tests of their own."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.conventions import instruments
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Origin, Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.names import Cache
from otel_measure.store.types.facts import DUPLICATE
from otel_measure.testing import Capture
from tests.facts import DAY, HOUR, NOON, SECOND, event, inference
from tests.store.asking import asked
from tests.store.sqlite.exposed import count, totals, use, value

Open = Callable[..., SqliteStore]
_encode = msgspec.json.encode


# ---------------------------------------------------------------- once, in any order


@dataclass(frozen=True)
class Delivery:
    """Records and a way in which they may arrive."""

    records: list[Record]
    batches: list[list[Record]]


_latencies = st.one_of(st.floats(0.05, 5000), st.sampled_from([0.0, 1e-3, 0.1, 100.0, 3.6e6, 1e9]))
_times = st.builds(
    lambda days, us: NOON - days * DAY - us, st.sampled_from([0, 0, 0, 1, 2, 40]), st.integers(0, 30 * HOUR)
)
_inferences: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    ts=_times,
    model=st.sampled_from(["a", "b/c"]),
    origin=st.sampled_from([Origin("shop"), Origin("shop", "prod")]),
    latency_ms=_latencies,
    input_tokens=st.none() | st.integers(0, 10**6),
    output_tokens=st.none() | st.integers(0, 10**6),
    cost_usd=st.none() | st.floats(0, 3),
    cost_source=st.sampled_from([None, "caller", "table"]),
    error_type=st.sampled_from([None, "Timeout"]),
    time_to_first_chunk_ms=st.none() | st.floats(0, 100),
    output_chunks=st.none() | st.integers(0, 5),
)
_events: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    ts=_times,
    user_id=st.sampled_from("abcd"),
    type=st.sampled_from(["page_view", "click", "conversion", "session.start"]),
    session_id=st.sampled_from([None, "s"]),
    background=st.sampled_from([False, False, True]),
)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Draw records, and batches in which each arrives at least once."""
    given = draw(st.lists(st.one_of(_inferences, _events), min_size=1, max_size=25))
    made: list[Record] = [
        inference(f"{i:032x}", **fields) if "model" in fields else event(f"e{i}", **fields)
        for i, fields in enumerate(given)
    ]
    again = draw(st.lists(st.sampled_from(made), max_size=8))
    order = draw(st.permutations([*made, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)) | {len(order)})
    return Delivery(made, [order[a:b] for a, b in zip([0, *cuts], cuts, strict=False)])


def answers(capture: Capture) -> bytes:
    """Return what all reports say, as JSON, and what `/metrics` shows of facts."""
    store = capture.runtime.store
    assert store is not None
    users, ai = capture.users, capture.ai
    answers: list[object] = [asked(store, lambda m: m.streams.families(NOON))]
    for environment in ("", "test", "prod"):  # which one is the first seen, the order says
        answers += [
            users.get_engagement_metrics(environment=environment),
            users.get_engagement_metrics(as_of=date(2026, 1, 14), environment=environment),
            ai.list_models(window="90d", environment=environment),
            ai.list_models(window="24h", environment=environment),
            ai.list_models(as_of=date(2026, 1, 14), environment=environment),
        ]
    return b"\n".join(map(_encode, answers))


@settings(max_examples=30)
@given(deliveries())
def test_answers_depend_on_the_records_alone(delivery: Delivery) -> None:
    """Any order, any batches, duplicates, a day late or a month: not a byte differs, and `rebuild` changes none."""
    with Capture() as once, Capture() as anyhow:
        once.runtime.recorder.commit(delivery.records)
        for batch in delivery.batches:
            anyhow.runtime.recorder.commit(batch)
        expected = answers(once)
        assert answers(anyhow) == expected
        assert anyhow.runtime.store is not None
        anyhow.runtime.store.rebuild()
        assert answers(anyhow) == expected


@pytest.mark.parametrize(
    "name",
    [
        "meta/llama 3",
        'say "hi"',
        "line\nbreak",
        "模型-é-🙂",
        "back\\slash",
        "a,b=c{d}",
        "%2F",
        "'; DROP TABLE event; --",
    ],
)
def test_a_model_may_have_any_name(opened: Open, tmp_path: Path, name: str) -> None:
    """It comes back as it was given, in reports and, escaped, in the exposition, also after reopening."""
    opened(tmp_path / "x.db").accept([inference("i", model=name, version=name)])
    store = opened(tmp_path / "x.db")
    assert [(model.name, model.version) for model in asked(store, lambda m: m.models.models())] == [(name, name)]
    assert use(store, name, name).cost.requests == 1
    (sample,) = totals(store)["otel_measure.ai.inferences"].samples
    shown = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert f'gen_ai_request_model="{shown}"' in sample.labels


# ---------------------------------------------------------------- latencies


def test_percentiles_are_within_one_percent(opened: Open, tmp_path: Path) -> None:
    """10,000 lognormal latencies in batches, the store reopened in the middle, and again after all of it twice."""
    drawn = np.random.default_rng(7).lognormal(mean=5, sigma=0.8, size=10_000)
    sent = [inference(f"{i:032x}", NOON - i * SECOND, latency_ms=float(ms)) for i, ms in enumerate(drawn)]
    batches = [sent[i : i + 1000] for i in range(0, len(sent), 1000)]
    file = tmp_path / "x.db"
    exact = [float(np.quantile(drawn, q)) for q in (0.5, 0.95, 0.99)]

    def check(store: SqliteStore) -> None:
        found = use(store, window="24h").latency
        assert [found.p50_ms, found.p95_ms, found.p99_ms] == pytest.approx(exact, rel=0.01)
        assert found.relative_error == pytest.approx(2 ** (1 / 32) - 1)
        assert (found.sample_count, found.min_ms, found.max_ms) == (10_000, drawn.min(), drawn.max())
        assert found.mean_ms == pytest.approx(drawn.mean(), rel=1e-6)
        assert count(store, "gen_ai.client.operation.duration") == 10_000

    for batch in batches[:5]:
        opened(file).accept(batch)
    store = opened(file)
    for batch in batches[5:]:
        store.accept(batch)
    check(store)
    for batch in batches:
        assert store.accept(batch) == [DUPLICATE] * 1000
    check(store)
    check(opened(file))


# ---------------------------------------------------------------- bounded series


def test_users_add_no_series(opened: Open) -> None:
    """5,000 user ids are as many series as one."""
    store = opened()
    store.accept([event("e0", "first"), inference("i0", user_id="first")])
    before = {name: len(family.samples) for name, family in totals(store).items()}
    for first in range(0, 5000, 1000):
        some = range(first, first + 1000)
        store.accept(
            [record for n in some for record in (event(f"e-{n}", f"u{n}"), inference(f"i-{n}", user_id=f"u{n}"))]
        )
    assert {name: len(family.samples) for name, family in totals(store).items()} == before
    assert value(store, "otel_measure.users.events") == 5001


def test_the_exposition_is_capped_and_says_so(opened: Open) -> None:
    """10,000 models: reports have them all, an instrument shows 2,000 series, one with the rest, and their number."""
    store = opened()
    for first in range(0, 10_000, 1000):
        store.accept([inference(f"{n:032x}", model=f"m{n}", latency_ms=1000.0) for n in range(first, first + 1000)])
    cap = instruments.EXPOSED_ATTRIBUTE_SETS
    assert (cap, len(asked(store, lambda m: m.models.models()))) == (2000, 10_000)
    found = totals(store)
    for name in ("gen_ai.client.operation.duration", "otel_measure.ai.inferences"):
        samples = {sample.labels: sample for sample in found[name].samples}
        assert len(samples) == cap + 1
        rest = samples['otel_metric_overflow="true"']
        assert (rest.count or rest.value) == 10_000 - cap
    assert {
        sample.labels: sample.value
        for sample in found[instruments.OTEL_MEASURE_SELF_OVERFLOW_ATTRIBUTE_SETS.name].samples
    } == {
        'otel_measure_instrument="gen_ai.client.operation.duration"': 8000.0,
        'otel_measure_instrument="otel_measure.ai.inferences"': 8000.0,
    }
    assert value(store, "otel_measure.ai.inferences") == 10_000


def test_the_overflow_is_a_function_of_the_facts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model beyond the cap goes on into the overflow; neither `rebuild` nor a sweep changes what is shown."""
    monkeypatch.setattr(instruments, "EXPOSED_ATTRIBUTE_SETS", 3)
    store = opened(retention_days=1)
    store.accept([inference(str(n), NOON - 3 * DAY, model=f"m{n}") for n in range(5)])
    store.accept([inference(f"again {n}", model=f"m{n}") for n in range(5)])
    rest = totals(store)["otel_measure.ai.inferences"].samples[-1]
    assert (rest.labels, rest.value) == ('otel_metric_overflow="true"', 4.0)
    before = _encode(asked(store, lambda m: m.streams.families(NOON)))
    for step in (store.rebuild, lambda: store.sweep(NOON), store.rebuild):
        step()
        assert _encode(asked(store, lambda m: m.streams.families(NOON))) == before


# ---------------------------------------------------------------- zones, leases, models


def test_the_zone_is_that_of_the_store(opened: Open, tmp_path: Path) -> None:
    """`None` takes it, `rebuild` changes it."""
    opened(tmp_path / "x.db", definitions=Definitions(timezone="Europe/Paris"))
    store = opened(tmp_path / "x.db")
    assert store.definitions.timezone == "Europe/Paris"
    store.rebuild(Definitions(timezone="Asia/Tokyo"))
    assert (store.definitions.timezone, opened(tmp_path / "x.db").definitions.timezone) == ("Asia/Tokyo", "Asia/Tokyo")


def test_a_failed_rebuild_keeps_the_zone(opened: Open, tmp_path: Path) -> None:
    """Days and zone always belong together."""
    store = opened(tmp_path / "x.db")
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    with store._database.write() as connection:
        connection.execute("PRAGMA busy_timeout=10")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        store.rebuild(Definitions(timezone="Asia/Tokyo"))
    other.close()
    assert store.definitions.timezone == "UTC"


def test_the_names_a_process_remembers_are_bounded(opened: Open) -> None:
    """Forgetting some costs a look-up and changes no answer."""
    small, plain = opened(), opened()
    for cache in vars(small._names).values():
        if isinstance(cache, Cache):
            cache._limit = 2
    rng = random.Random(3)
    for batch in range(5):
        made: list[Record] = []
        for n in range(20):
            origin, id = Origin(f"s{rng.randrange(4)}"), f"{batch}-{n}"
            made.append(inference(id, origin=origin, model=f"m{rng.randrange(4)}"))
            made.append(event(id, f"u{rng.randrange(5)}", origin=origin))
        for store in (small, plain):
            store.accept(made)
    assert _encode(asked(small, lambda m: m.streams.families(NOON))) == _encode(
        asked(plain, lambda m: m.streams.families(NOON))
    )
