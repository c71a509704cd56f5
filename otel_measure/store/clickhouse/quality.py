"""Questions about the quality of models, answered from facts: labels, evaluations, and the records drift looks at.

The server finds which truth counts and counts pairs that are the same text; what a pair tells, `definitions.quality`
says of each of them once. References are small state and come from the replica, as do calls that others told of lately.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_measure.definitions.drift_windows import HourCount
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.evaluations import Evaluated, SameAnswers, evaluated
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.quality import PREDICTION, Pair, label
from otel_measure.definitions.windows import HOUR_US, MINUTE_US, CountedBy
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference, Json, Prediction
from otel_measure.store.clickhouse.columns import BY_ID, id_key_of, id_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.ranks import COUNTS_IN_TOTALS, rank_of_batch
from otel_measure.store.clickhouse.times import TIMES_ASKED, times_asked
from otel_measure.store.clickhouse.told_quality import WINNING_TRUTHS, as_judged, in_order, pairs_of, position_of
from otel_measure.store.sqlite.judged import SqliteQualityQuestions
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import (
    Group,
    GroupedLabels,
    JudgedRecord,
    Labels,
    RecordPosition,
    Reference,
)

_OF_SERVICE: Final = "environment = {environment:String} AND (service = {service:String} OR {every_service:Bool})"
_OF_MODEL: Final = "(model = {model:String} AND version = {version:String} OR {every_model:Bool})"
_IN_TABLE: Final = f"(rank < {{told_from:UInt64}} OR {COUNTS_IN_TOTALS})"
_CALLS: Final = f"{{db}}.inference FINAL WHERE {_OF_SERVICE} AND {_OF_MODEL} AND {TIMES_ASKED} AND {_IN_TABLE}"
_JUDGED: Final = (
    "{db}.inference FINAL WHERE environment = {environment:String} AND judged = 1"
    f" AND {_OF_MODEL} AND {TIMES_ASKED} AND {_IN_TABLE}"
)
_COUNTED: Final = f"SELECT model, version, count(predicted) FROM {_CALLS} AND judged = 1 GROUP BY model, version"
_GUESSED: Final = (
    f"SELECT model, version, grouped, predicted, count() FROM {_CALLS} AND predicted IS NOT NULL"
    " AND grouped IS NOT NULL GROUP BY model, version, grouped, predicted"
)
_PAIRED: Final = (
    "SELECT model, version, {grouped}, predicted, said, count() FROM"
    f" (SELECT id, model, version, grouped, predicted FROM {_CALLS} AND predicted IS NOT NULL) AS guesses"
    f" INNER JOIN ({WINNING_TRUTHS}"
    f" WHERE inference IN (SELECT id FROM {_CALLS} AND predicted IS NOT NULL) GROUP BY inference) AS truths"
    " ON truths.inference = guesses.id GROUP BY ALL"
)
_EVALUATIONS: Final = (
    f"SELECT model, version, name, label, score, count() FROM {{db}}.evaluation FINAL WHERE {_OF_SERVICE}"
    f" AND {TIMES_ASKED} GROUP BY model, version, name, label, score"
)
_TS: Final = "toUnixTimestamp64Micro(ts)"
_HOUR: Final = f"intDiv({_TS}, {HOUR_US}) * {HOUR_US}"
_POSITION: Final = f"({_TS}, {BY_ID})"
_AFTER: Final = (
    f"{_POSITION} > ({{after_ts:Int64}}, {{after_text:String}} = '', {{after_text:String}}, {{after:UInt128}})"
)
_DAY_OF: Final = "SELECT day FROM {db}.inference WHERE id = {id:UInt128}"
_MODEL_OF: Final = (
    f"SELECT model, version FROM {{db}}.inference WHERE id = {{id:UInt128}} AND day IN ({_DAY_OF}) LIMIT 1"
)
_EVER: Final = 2**62
_decode: Callable[[str], Json] = msgspec.json.Decoder().decode
_decode_value: Callable[[str], Prediction] = msgspec.json.Decoder().decode
_decode_groups = msgspec.json.Decoder(dict[str, str]).decode


class _JudgedFields(msgspec.Struct):
    """What a call keeps in its column `payload`, as far as it is asked for here."""

    prediction: Any = None
    features: dict[str, Any] | None = None


_decode_payload = msgspec.json.Decoder(_JudgedFields).decode


class ClickHouseQualityQuestions:
    """Satisfies `otel_measure.store.model_questions.QualityQuestions`.

    Args:
        database: of the store.
        definitions: of the store.
        where: whose calls are counted; with an environment.
        replica: the same questions to the replica, which has the references, and the calls that only spans tell of.
        final_calls: the last batch of these calls that is among the facts.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        where: Filter,
        replica: SqliteQualityQuestions,
        final_calls: int,
    ) -> None:
        self.environment: Final = where.environment or UNNAMED
        self._database = database
        self._definitions = definitions
        self._replica = replica
        self._of = {
            "environment": self.environment, "service": where.service or "", "every_service": where.service is None,
            "told_from": rank_of_batch(final_calls + 1),
        }  # fmt: skip

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions labels are counted: every answer is made anew, by those of now."""
        return "current"

    def labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""
        asked = self._asked(*_minutes(start, end), only)
        labels = {
            (model, version): Labels(predictions)
            for model, version, predictions in self._database.rows(_COUNTED, **asked)
        }
        for model, version, _, predicted, truth, n in self._database.rows(_paired("''"), **asked):
            pair = Pair.of(_decode_value(predicted), _decode_value(truth))
            _add_pair(labels.setdefault((model, version), Labels()), pair, n)
        told = self._told_to_service(start, end, only)
        for call in told:
            labels.setdefault((call.model, call.version), Labels()).predictions += call.prediction is not None
        for call, pair in pairs_of(self._database, told):
            _add_pair(labels[call.model, call.version], pair, 1)
        return labels

    def grouped_labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, GroupedLabels]:
        """Return the predictions of [start, end) that are about groups, and their truths, per model."""
        asked = self._asked(*_minutes(start, end), only)
        grouped: dict[ModelKey, GroupedLabels] = {}
        for model, version, groups, predicted, n in self._database.rows(_GUESSED, **asked):
            if (guess := label(_decode_value(predicted))) is not None:
                _add_predictions(grouped.setdefault((model, version), GroupedLabels()), _groups(groups), guess, n)
        for model, version, groups, predicted, truth, n in self._database.rows(_paired("grouped"), **asked):
            classes = Pair.of(_decode_value(predicted), _decode_value(truth)).classes
            if groups is not None and classes is not None:
                _add_confusion(grouped.setdefault((model, version), GroupedLabels()), _groups(groups), classes, n)
        told = [call for call in self._told_to_service(start, end, only) if call.groups]
        for call in told:
            if call.prediction is not None and (guess := label(call.prediction)) is not None:
                of_model = grouped.setdefault((call.model, call.version), GroupedLabels())
                _add_predictions(of_model, _groups_of(call), guess, 1)
        for call, pair in pairs_of(self._database, told):
            if pair.classes is not None:
                of_model = grouped.setdefault((call.model, call.version), GroupedLabels())
                _add_confusion(of_model, _groups_of(call), pair.classes, 1)
        return grouped

    def evaluations(self, start: int, end: int) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""
        return evaluated(map(SameAnswers._make, self._database.rows(_EVALUATIONS, **self._asked(start, end, None))))

    def model_of(self, inference_id: str) -> ModelKey | None:
        """Return the model of a call, `None` for a call that is not known; a span is known by the call it tells of."""
        rows = self._database.rows(_MODEL_OF, id=id_number(id_key(inference_id)))
        return (rows[0][0], rows[0][1]) if rows else self._replica.model_of(inference_id)

    def references(self, only: ModelKey | None = None) -> Mapping[ModelKey, Reference]:
        """Return the references kept for models."""
        return self._replica.references(only)

    def judged_counts(
        self, start: int, end: int, only: ModelKey | None = None, after: RecordPosition | None = None
    ) -> Mapping[ModelKey, int]:
        """Return how many records of [start, end), whole hours, each model has; those after a position only."""
        beyond, hours = f"countIf({_AFTER})" if after else "count()", _hours(start - start % HOUR_US, end)
        rows = self._database.rows(
            f"SELECT model, version, {beyond} FROM {_JUDGED} GROUP BY model, version",
            **self._asked(*hours, only),
            **_position(after),
        )
        counts = {(model, version): n for model, version, n in rows}
        for call in self._told(*hours, only):
            key = (call.model, call.version)
            counts[key] = counts.get(key, 0) + _is_after(call, after)
        return counts

    def judged_hours(self, model: ModelKey, start: int, end: int) -> list[HourCount]:
        """Return how many records of [start, end), whole hours, a model has in each hour that has any, in order."""
        rows = self._database.rows(
            f"SELECT {_HOUR} AS hour, count() FROM {_JUDGED} GROUP BY hour ORDER BY hour",
            **self._asked(*_hours(start, end), model),
        )
        hours = Counter({int(row[0]): int(row[1]) for row in rows})
        hours.update(call.ts - call.ts % HOUR_US for call in self._told(*_hours(start, end), model))
        return [HourCount(hour, hours[hour]) for hour in sorted(hours)]

    def newest(
        self, model: ModelKey, start: int, end: int, limit: int, after: RecordPosition | None = None
    ) -> list[JudgedRecord]:
        """Return the last records of [start, end) that come after a position, at most `limit`, in order."""
        beyond = f"AND {_AFTER}" if after else ""
        records = self._records(f"{beyond} ORDER BY {_POSITION} DESC", model, start, end, limit, after)
        records += [as_judged(call) for call in self._told(start, end, model) if _is_after(call, after)]
        return sorted(records, key=_place)[-limit:]

    def last_judged(self, model: ModelKey, end: int) -> int | None:
        """Return the time of the last record before `end`, a whole hour; `None` without one."""
        ((n, last),) = self._database.rows(
            f"SELECT count(), toUnixTimestamp64Micro(max(ts)) FROM {_JUDGED}", **self._asked(*_hours(0, end), model)
        )
        told = [call.ts for call in self._told(*_hours(0, end), model)]
        return max([*([int(last)] if n else []), *told], default=None)

    def oldest(self, model: ModelKey, limit: int) -> list[JudgedRecord]:
        """Return the first records of a model, at most `limit`, in order."""
        told = [as_judged(call) for call in self._told(0, _EVER, model)]
        return sorted([*self._records(f"ORDER BY {_POSITION}", model, 0, _EVER, limit), *told], key=_place)[:limit]

    def _records(
        self, order: str, model: ModelKey, start: int, end: int, limit: int, after: RecordPosition | None = None
    ) -> list[JudgedRecord]:
        rows = self._database.rows(
            f"SELECT {_TS}, id, id_text, payload FROM {_JUDGED} {order} LIMIT {limit:d}",
            **self._asked(start, end, model),
            **_position(after),
        )
        return [_judged(*row) for row in rows]

    def _told_to_service(self, start: int, end: int, only: ModelKey | None) -> list[Inference]:
        """Return the calls of whole minutes that others told of, of the services that are asked about."""
        told, of = self._told(*_minutes(start, end), only), self._of
        return [call for call in told if of["every_service"] or call.origin.service == of["service"]]

    def _told(self, start: int, end: int, only: ModelKey | None) -> list[Inference]:
        return [call for call in self._replica.judged_calls(start, end) if only in (None, (call.model, call.version))]

    def _asked(self, start: int, end: int, only: ModelKey | None) -> dict[str, Any]:
        model, version = only or ("", "")
        times = times_asked(self._definitions, start, end)
        return {**self._of, **times, "model": model, "version": version, "every_model": only is None}


def _paired(grouped: str) -> str:
    """Return the query for pairs of predictions and truths that are the same, apart by groups or not."""
    return _PAIRED.replace("{grouped}", f"{grouped} AS of_groups")


def _minutes(start: int, end: int) -> tuple[int, int]:
    return start - start % MINUTE_US, end + -end % MINUTE_US


def _hours(start: int, end: int) -> tuple[int, int]:
    """Return the time of the hours that begin in [start, end)."""
    return start + -start % HOUR_US, end + -end % HOUR_US


def _position(after: RecordPosition | None) -> dict[str, Any]:
    if after is None:
        return {}
    ts, key = after
    text = key if isinstance(key, str) else ""
    return {"after_ts": ts, "after_text": text, "after": id_number(key)}


def _add_pair(labels: Labels, pair: Pair, n: int) -> None:
    if pair.classes is not None:
        labels.confusion[pair.classes] = labels.confusion.get(pair.classes, 0) + n
    if pair.sums is not None:
        labels.regression += pair.sums.times(n)


def _is_after(call: Inference, position: RecordPosition | None) -> bool:
    return position is None or in_order(position_of(call)) > in_order(position)


def _place(record: JudgedRecord) -> tuple[object, ...]:
    return in_order(record.position)


def _add_predictions(labels: GroupedLabels, groups: Sequence[Group], guess: str, n: int) -> None:
    for group in groups:
        counts = labels.predictions.setdefault(group, {})
        counts[guess] = counts.get(guess, 0) + n


def _add_confusion(labels: GroupedLabels, groups: Sequence[Group], classes: tuple[str, str], n: int) -> None:
    for group in groups:
        pairs = labels.confusion.setdefault(group, {})
        pairs[classes] = pairs.get(classes, 0) + n


def _groups_of(call: Inference) -> Sequence[Group]:
    return [Group(*group) for group in (call.groups or {}).items()]


def _groups(text: str) -> Sequence[Group]:
    return [Group(*group) for group in _decode_groups(text).items()]


def _judged(ts: int, number: int, text: str, payload: str) -> JudgedRecord:
    kept = _decode_payload(payload)
    return JudgedRecord(
        RecordPosition(ts, id_key_of(number, text)), {**(kept.features or {}), PREDICTION: kept.prediction}
    )
