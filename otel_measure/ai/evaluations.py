"""What answers of models were given by whoever evaluated them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

from otel_measure.definitions.evaluations import Evaluated
from otel_measure.definitions.windows import TimeSpan, Window


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What answers of one model were given under one name of an evaluation; `model_name` is "" where nobody says."""

    model_name: str
    model_version: str
    evaluation: str
    count: int
    mean_score: float
    min_score: float
    max_score: float
    labels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Evaluations:
    """All evaluations of a window, sorted by model, version and name."""

    evaluations: tuple[Evaluation, ...]
    total_evaluations: int
    window: Window


def evaluations(evaluated: Iterable[Evaluated], span: TimeSpan) -> Evaluations:
    """Means over the answers that have a score; labels are counted."""
    reports = tuple(
        Evaluation(
            answers.model,
            answers.version,
            answers.name,
            answers.answers,
            answers.score_sum / answers.scored if answers.scored else nan,
            answers.score_min if answers.scored else nan,
            answers.score_max if answers.scored else nan,
            dict(sorted(answers.labels.items())),
        )
        for answers in evaluated
    )
    return Evaluations(reports, sum(report.count for report in reports), span.window)
