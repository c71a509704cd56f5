"""The tables of single models, experiments and of users: what the page shows of each in rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, TypeVar

import msgspec

from exporter.http.tables import AnswerTable
from otel_measure.ai.drift import Drift
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.health import Deduction
from otel_measure.ai.quality import Accuracy
from otel_measure.ai.reports import Snapshot
from otel_measure.stats.ab_test import AbTest, Effect
from otel_measure.stats.intervals import Interval
from otel_measure.users.reports import Nps, Segments, ratio

A = TypeVar("A")
Tables: TypeAlias = tuple[AnswerTable[A], ...]


class FeatureRow(msgspec.Struct, frozen=True):
    """One feature of a model, or its prediction: how far it moved; `not_judged` says why there is no verdict."""

    feature: str
    score: float | None
    drifted: bool
    not_judged: str


class ClassRow(msgspec.Struct, frozen=True):
    """How well one class is found."""

    class_name: str
    labelled: int
    precision: float
    recall: float
    f1: float


class GroupRow(msgspec.Struct, frozen=True):
    """How one group of an attribute is treated."""

    attribute: str
    group: str
    records: int
    selection_rate: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    is_compared: bool


class VariantRow(msgspec.Struct, frozen=True):
    """One variant of a test; the control has no effect."""

    variant: str
    is_control: bool
    weight: float
    users: int
    conversions: int
    conversion_rate: float
    conversion_rate_ci: Interval
    compared_users: int
    compared_conversions: int
    effect: Effect | None


class SegmentRow(msgspec.Struct, frozen=True):
    """How many persons are in one segment."""

    segment: str
    users: int
    share: float


class AnswersRow(msgspec.Struct, frozen=True):
    """How many would, or would not, recommend."""

    group: str
    answers: int
    share: float


def _features(drift: Drift | None) -> Iterator[FeatureRow]:
    if drift is None:
        return
    drifted = drift.evidence.drifted
    if drift.prediction_drift == drift.prediction_drift:
        yield FeatureRow("(prediction)", drift.prediction_drift, "prediction" in drifted, "")
    for feature, score in drift.feature_drift.items():
        yield FeatureRow(feature, score, feature in drifted, "")
    for feature, why in drift.not_judged.items():
        yield FeatureRow(feature, None, False, why)


def _classes(accuracy: Accuracy | None) -> Iterator[ClassRow]:
    for name, of in () if accuracy is None else accuracy.per_class.items():
        yield ClassRow(name, of.support, of.precision, of.recall, of.f1)


def _groups(report: FairnessReport | None) -> Iterator[GroupRow]:
    for attribute, of in () if report is None else report.attributes.items():
        for group, records in of.n.items():
            yield GroupRow(
                attribute,
                group,
                records,
                of.selection_rate.get(group),
                of.true_positive_rate.get(group),
                of.false_positive_rate.get(group),
                group not in of.left_out,
            )


def _variants(test: AbTest) -> Iterator[VariantRow]:
    for variant, users in test.variant_users.items():
        yield VariantRow(
            variant,
            variant == test.control_variant,
            test.variant_weights[variant],
            users,
            test.variant_conversions[variant],
            test.variant_conversion_rates[variant],
            test.variant_conversion_rates_ci[variant],
            test.compared_users[variant],
            test.compared_conversions[variant],
            test.effects.get(variant),
        )


def _segments(segments: Segments) -> Iterator[SegmentRow]:
    for name in ("new", "active", "power", "at_risk", "churned", "resurrected"):
        users: int = getattr(segments, name)
        yield SegmentRow(name, users, ratio(users, segments.total_users))


def _answers(nps: Nps) -> Iterator[AnswersRow]:
    for name in ("promoters", "passives", "detractors"):
        answers: int = getattr(nps, name)
        yield AnswersRow(name, answers, ratio(answers, nps.responses))


DRIFT: Final[Tables[Drift | None]] = (AnswerTable("features", FeatureRow, _features),)
ACCURACY: Final[Tables[Accuracy | None]] = (AnswerTable("classes", ClassRow, _classes),)
FAIRNESS: Final[Tables[FairnessReport | None]] = (AnswerTable("groups", GroupRow, _groups),)
MODEL: Final[Tables[Snapshot]] = (
    AnswerTable("deductions", Deduction, lambda model: model.deductions),
    AnswerTable("features", FeatureRow, lambda model: _features(model.drift)),
    AnswerTable("classes", ClassRow, lambda model: _classes(model.accuracy)),
    AnswerTable("groups", GroupRow, lambda model: _groups(model.fairness)),
)
EXPERIMENT: Final[Tables[AbTest]] = (AnswerTable("variants", VariantRow, _variants),)
SEGMENTS: Final[Tables[Segments]] = (AnswerTable("segments", SegmentRow, _segments),)
NPS: Final[Tables[Nps]] = (AnswerTable("answers", AnswersRow, _answers),)
