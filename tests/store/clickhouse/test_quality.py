"""What models are judged by, from facts in ClickHouse, equals what SQLite says of the same facts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from itertools import compress
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.records.kinds import EvaluationResult, GroundTruth, Inference, Origin, Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.quality import ClickHouseQualityQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.model_questions import QualityQuestions
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import JudgedRecord, RecordPosition
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, on_a_server, writer

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())
_TIMES = st.sampled_from((NOON, NOON + 1, NOON + MINUTE, NOON + HOUR - 1, NOON + HOUR, NOON + DAY, NOON - 1))
_ANY_LATER = st.sampled_from((NOON, NOON - 1, NOON + 1, NOON + 40 * DAY))
_VALUES = st.sampled_from(
    ("cat", "dog", "1", True, False, 0, 1, 1.0, 0.5, -2.5, 0.1, 10**30, 1e200, 1e150, "", "\x00'\\\n", "\u00e9")
)
_WHO = st.sampled_from("abcdefgh")
_GROUPS = st.none() | st.dictionaries(st.sampled_from(("sex", "age")), st.sampled_from(("f", "m", "60+")), max_size=2)
_FEATURES = st.none() | st.dictionaries(
    st.sampled_from(("x", "y\x00")),
    st.none() | st.sampled_from((1, 0.1, "red", 10**30, [1, {"deep": None}])),
    max_size=2,
)
_CALLS = st.builds(
    inference,
    id=_WHO,
    ts=_TIMES,
    model=st.sampled_from(("m", "n")),
    version=st.sampled_from(("1", "2")),
    origin=st.builds(Origin, st.sampled_from(("api", "shop"))),
    prediction=st.none() | _VALUES,
    features=_FEATURES,
    groups=_GROUPS,
)
_TRUTHS = st.builds(
    GroundTruth, id=_WHO, ts=_ANY_LATER, origin=st.builds(Origin, st.sampled_from(("api", "shop"))), inference_id=_WHO,
    value=_VALUES,
)  # fmt: skip
_EVALUATIONS = st.builds(
    EvaluationResult,
    id=_WHO,
    ts=_TIMES,
    origin=st.builds(Origin, st.sampled_from(("api", "shop"))),
    name=st.sampled_from(("tone", "truth")),
    score=st.none() | st.sampled_from((0.0, 0.1, 0.3, 1e12, -1e12, 1e-9)),
    label=st.sampled_from((None, "good", "bad")),
    model=st.sampled_from(("m", "")),
    version=st.sampled_from(("1", "")),
)
_RECORDS = st.lists(_CALLS | _CALLS | _TRUTHS | _TRUTHS | _EVALUATIONS, min_size=1, max_size=30)


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all examples, each of which has ids and an environment of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


def renamed(record: Record, name: str) -> Record:
    """Return a record of an example under ids that no other example has; every other one is a UUID, in any order."""
    fields: dict[str, object] = {"id": renamed_id(name, record.id), "origin": Origin(record.origin.service, name)}
    if isinstance(record, GroundTruth):
        fields["inference_id"] = renamed_id(name, record.inference_id)
    return msgspec.structs.replace(record, **fields)


def renamed_id(name: str, id: str) -> str:
    """Return the id that stands for one of an example."""
    return f"{name}-{id}" if ord(id) % 2 else f"{ord(id) * 7 % 10:08x}-0000-4000-8000-{abs(hash(name)) % 2**48:012x}"


def batches(records: Sequence[Record], cuts: Sequence[int]) -> Iterator[Sequence[Record]]:
    """Yield the records cut in some places, and the first half of them again."""
    for start, end in itertools.pairwise([0, *sorted(cuts), len(records)]):
        yield records[start:end]
    yield records[: len(records) // 2]


def every_answer(ask: QualityQuestions, model: ModelKey, after: RecordPosition | None) -> list[object]:
    """Return what is answered to every question, of some windows."""
    hours = (NOON, NOON + HOUR), (NOON - HOUR, NOON + 2 * DAY)
    return [
        *(ask.labels(*window, only) for window in ((NOON + 1, NOON + MINUTE), *hours) for only in (None, model)),
        *(
            ask.grouped_labels(*window, only)
            for window in ((NOON + 1, NOON + MINUTE), *hours)
            for only in (None, model)
        ),
        *(ask.evaluations(*window) for window in ((NOON, NOON + 1), *hours)),
        *(ask.judged_counts(*window, only, after) for window in hours for only in (None, model)),
        ask.judged_counts(NOON - HOUR, HOUR * 10**9),
        *(ask.judged_hours(model, *window) for window in hours),
        *(ask.newest(model, *window, limit, after) for window in hours for limit in (1, 3, 100)),
        *(ask.last_judged(model, end) for end in (NOON, NOON + HOUR, NOON + 2 * DAY)),
        *(ask.oldest(model, limit) for limit in (1, 100)),
    ]


def positions(ask: QualityQuestions, model: ModelKey) -> list[RecordPosition | None]:
    """Return the positions of the records of a model."""
    return [None, *(one.position for one in ask.oldest(model, 100))]


@on_a_server(HISTORIES)
@given(given=_RECORDS, cuts=st.lists(st.integers(0, 30), max_size=3), data=st.data())
def test_every_answer_is_that_of_sqlite(
    database: ClickHouseDatabase, given: list[Record], cuts: list[int], data: st.DataObject
) -> None:
    """Predictions, truths in any order, at one time and changed, groups, evaluations, and the order of records."""
    name = next(NAMES)
    records = [renamed(record, name) for record in given]
    sqlite, told = (closed_later(SqliteStore(":memory:", definitions=DEFINITIONS)) for _ in range(2))
    mine, by_others = writer(database), {renamed_id(name, each) for each in data.draw(st.sets(_WHO))}
    for batch in batches(records, [min(cut, len(records)) for cut in cuts]):
        sqlite.accept(batch)
        is_told = [isinstance(one, Inference) and one.id in by_others for one in batch]
        told.accept(list(compress(batch, is_told)))
        mine.accept([one for one, elsewhere in zip(batch, is_told, strict=True) if not elsewhere])
    where = Filter(data.draw(st.sampled_from((None, "api"))), name)
    model: ModelKey = data.draw(st.sampled_from((("m", "1"), ("n", "2"))))
    with sqlite.asking(where) as moment, told.asking(where) as replica:
        ask = ClickHouseQualityQuestions(database, DEFINITIONS, where, replica.quality, 0)
        assert positions(ask, model) == positions(moment.quality, model)
        after = data.draw(st.sampled_from(positions(ask, model)))
        assert every_answer(ask, model, after) == every_answer(moment.quality, model, after)
        calls = [record.id for record in records if isinstance(record, Inference)]
        assert [ask.model_of(id) for id in calls] == [moment.quality.model_of(id) for id in calls]


def test_a_window_of_predictions(database: ClickHouseDatabase) -> None:
    """The earliest truth counts, text before UUIDs at one time; a pair beyond 1e150 is in no sum."""
    name = next(NAMES)
    sure: dict[str, Any] = {"groups": {"sex": "f"}}
    given: list[Record] = [
        inference("a", prediction="cat", **sure),
        inference("b", prediction=1.0),
        inference("c", NOON + MINUTE, prediction=1e200),
        inference("d", features={"x": 1}, version="2"),
        inference("e", prediction="cat", groups={}, version="3"),
        GroundTruth(id="b", ts=NOON + DAY, origin=Origin("api"), inference_id="a", value="dog"),
        GroundTruth(id="a", ts=NOON + DAY, origin=Origin("api"), inference_id="a", value="cow"),
        GroundTruth(id="c", ts=NOON + DAY, origin=Origin("api"), inference_id="b", value=3),
        GroundTruth(id="d", ts=NOON - DAY, origin=Origin("api"), inference_id="c", value=0.5),
    ]
    records = [renamed(record, name) for record in given]
    writer(database).accept(records)
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    sqlite.accept(records)
    where, nothing = Filter(None, name), closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    with sqlite.asking(where) as moment, nothing.asking(where) as replica:
        ask = ClickHouseQualityQuestions(database, DEFINITIONS, where, replica.quality, 0)
        labels = ask.labels(NOON, NOON + HOUR)
        assert labels == moment.quality.labels(NOON, NOON + HOUR)
        grouped = ask.grouped_labels(NOON, NOON + HOUR)
        assert grouped == moment.quality.grouped_labels(NOON, NOON + HOUR)
        assert list(grouped) == [("m", "1")]
        one = labels["m", "1"]
        assert (one.predictions, one.confusion) == (3, {("cat", "cow"): 1, ("1", "3"): 1})
        assert (one.regression.n, labels["m", "2"].predictions) == (1, 0)
        assert ask.references() == {}
        assert ask.model_of("nobody") is None
        assert [record.values for record in ask.oldest(("m", "2"), 9)] == [{"x": 1, "prediction": None}]
        assert isinstance(ask.oldest(("m", "2"), 1)[0], JudgedRecord)
        assert ask.counted_by(0, NOON) == "current"
