"""Calls with a prediction or features that others told of in the last hours, looked at one by one.

They are in the small state until nothing more can be told of them; what becomes known of them later is among the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from otel_measure.definitions.quality import PREDICTION, Pair
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference, Prediction
from otel_measure.store.clickhouse.columns import BY_ID, KeyOrder, id_number, key_order
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.types.quality import JudgedRecord, RecordPosition

WINNING_TRUTHS: Final = f"SELECT inference, argMin(truth, (ts, {BY_ID})) AS said FROM {{db}}.ground_truth FINAL"
"""As `definitions.quality.winning_truth` has it: the earliest, of one time text before numbers, then the smallest."""
_decode_value: Callable[[str], Prediction] = msgspec.json.Decoder().decode


def pairs_of(database: ClickHouseDatabase, calls: Iterable[Inference]) -> Iterator[tuple[Inference, Pair]]:
    """Yield those of some calls of whose predictions the truth is known, and what both tell."""
    predicted = [call for call in calls if call.prediction is not None]
    by_number = {id_number(id_key(call.id)): call for call in predicted}
    for some in id_chunks(list(by_number)):
        sql = f"{WINNING_TRUTHS} WHERE inference IN {in_ids(some)} GROUP BY inference ORDER BY inference"
        for number, truth in database.rows(sql):
            call = by_number[number]
            if call.prediction is not None:
                yield call, Pair.of(call.prediction, _decode_value(truth))


def as_judged(call: Inference) -> JudgedRecord:
    """Return a call as drift looks at it."""
    return JudgedRecord(position_of(call), {**(call.features or {}), PREDICTION: call.prediction})


def position_of(call: Inference) -> RecordPosition:
    """Return where a call stands."""
    return RecordPosition(call.ts, id_key(call.id))


def in_order(position: RecordPosition) -> tuple[int, KeyOrder]:
    """Return what positions are sorted by."""
    return position.ts, key_order(position.id)
