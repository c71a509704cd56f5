"""How healthy a model is: one number, and the list of what takes points from it.

Each measured component has a score s in 0 to 1: 1 at its target or better, ½ at its alert threshold, 0 as far again,
linear between. With weights w over the measured components M::

    H = 100·(0.65·Σ w·s / Σ w + 0.35·min s)        coverage = Σ w / 100

The minimum is there so that one broken component cannot hide behind many good ones. What is not measured takes no part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import SHARES, format_value, with_target

MEAN_POINTS: Final = 65.0
LOWEST_POINTS: Final = 35.0
# Deductions are whole multiples of this (some 1e-9 of a point). Sums of such floats are exact in any order, which is
# what makes the deductions add up to 100 - H to the last bit.
GRID: Final = 2.0**-30


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the score: a KPI, its weight (all add to 100), and what to do when it takes points."""

    key: str
    weight: float
    advice: str

    def bounds(self, own_target: float | None = None) -> tuple[float, float]:
        """Target and alert threshold of its KPI, moved to a model's own target.

        Raises:
            ValueError: the KPI lacks one of them.
        """
        kpi = with_target(BY_KEY[self.key], own_target)
        if kpi.target is None or kpi.alert is None:
            raise ValueError(f"the KPI {self.key!r} cannot be a component; it needs a target and an alert threshold")
        return kpi.target, kpi.alert


COMPONENTS: Final[tuple[Component, ...]] = (
    Component("error_rate", 25.0, "look at the errors by type, and add retries or a fallback where they are transient"),
    Component("accuracy", 25.0, "retrain with recent labelled data, starting with the classes of the lowest recall"),
    Component("latency_p95_ms", 15.0, "shorten the input or output, cache answers, or use a smaller or nearer model"),
    Component("drift_score", 15.0, "retrain with recent data, or find out what changed in the drifted features"),
    Component("data_quality", 10.0, "repair missing, mistyped or out-of-range features where they are produced"),
    Component(
        "fairness_gap", 5.0, "compare the groups' rates and labels, and rebalance the training data or thresholds"
    ),
    Component(
        "cost_per_request_usd", 5.0, "shorten prompts, cache what repeats, or send easy requests to a cheaper model"
    ),
)


@dataclass(frozen=True, slots=True)
class Deduction:
    """Points that one component takes from the score.

    Attributes:
        component: the key of its KPI.
        points: of 100.
        score: of the component, 0 to 1.
        value: as measured, in the KPI's unit.
        target: where the component would take nothing.
        alert: where its score is ½.
        evidence: what the value rests on.
        recommendation: value, target, alert, evidence and advice as a sentence.
    """

    component: str
    points: float
    score: float
    value: float
    target: float
    alert: float
    evidence: str
    recommendation: str


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a model.

    Attributes:
        score: 0 to 100; ``nan`` when nothing is measured.
        coverage: share of the weights that is measured, 0 to 1.
        deductions: largest first; their points add to exactly 100 - score.
        recommendations: the sentences of the deductions, in their order.
    """

    score: float
    coverage: float
    deductions: tuple[Deduction, ...]
    recommendations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    component: Component
    target: float
    alert: float
    value: float
    score: float


def health(
    values: Mapping[str, float],
    *,
    targets: Mapping[str, float] | None = None,
    evidence: Mapping[str, str] | None = None,
) -> Health:
    """Score a model.

    Args:
        values: measured values by KPI key of ``COMPONENTS``; a missing one or ``nan`` is not measured.
        targets: targets of this model in place of the table's, see ``check_targets``. The alert threshold moves with
            the target, in the table's proportion: latency p95 has 200 and 500 ms, so a target of 5,000 ms means an
            alert at 12,500 ms; that of a share is at most halfway between the target and 1.
        evidence: what each value rests on, as words (``"1,234 inferences in 24h"``).

    Raises:
        ValueError: a key of ``values`` or ``targets`` is no component, or a target is out of range.
    """
    measured = _measured(values, targets or {})
    if not measured:
        return Health(math.nan, 0.0, (), ())
    points = _points(measured)
    said = evidence or {}
    taken = [
        _deduction(part, lost, said.get(part.component.key, ""))
        for part, lost in zip(measured, points, strict=True)
        if lost
    ]
    taken.sort(key=lambda deduction: -deduction.points)
    return Health(
        score=100.0 - sum(points),
        coverage=sum(part.component.weight for part in measured) / 100.0,
        deductions=tuple(taken),
        recommendations=tuple(deduction.recommendation for deduction in taken),
    )


def health_score(values: Mapping[str, float], targets: Mapping[str, float] | None = None) -> float:
    """Return the score that `health` has, without a word about it; it raises what that raises."""
    measured = _measured(values, targets or {})
    return 100.0 - sum(_points(measured)) if measured else math.nan


def _measured(values: Mapping[str, float], targets: Mapping[str, float]) -> list[_Measured]:
    _refuse_unknown("values", values)
    check_targets(targets)
    return [
        _measure(component, values[component.key], targets.get(component.key))
        for component in COMPONENTS
        if not math.isnan(values.get(component.key, math.nan))
    ]


def check_targets(targets: Mapping[str, float]) -> None:
    """Refuse targets that cannot be.

    Raises:
        ValueError: a key is no component; a target is not a finite number above 0; a share is above 1.
    """
    _refuse_unknown("targets", targets)
    for key, target in targets.items():
        limit = 1.0 if BY_KEY[key].unit in SHARES else math.inf
        if isinstance(target, bool) or not 0 < target <= limit or math.isinf(target):
            rule = "a finite number above 0" if limit == math.inf else "above 0 and at most 1"
            raise ValueError(f"targets[{key!r}] is {target!r}; it must be {rule}")


def _refuse_unknown(argument: str, given: Mapping[str, float]) -> None:
    known = [component.key for component in COMPONENTS]
    for key in given:
        if key not in known:
            raise ValueError(f"{argument} has the unknown key {key!r}; the components are {', '.join(known)}")


def _measure(component: Component, value: float, own_target: float | None) -> _Measured:
    target, alert = component.bounds(own_target)
    # A share whose target is 1 has no room beyond it, and takes no points.
    beyond = (value - target) / (alert - target) if alert != target else 0.0
    score = min(1.0, max(0.0, 1.0 - 0.5 * beyond))
    return _Measured(component, target, alert, value, score)


def _points(measured: Sequence[_Measured]) -> list[float]:
    """Points lost to each component, on the grid.

    The total is rounded once and handed out, the rest going to the lowest component: parts rounded one by one would
    not add to it. Each step of the total is monotone in every score, so H cannot rise when a component gets worse.
    """
    weights = math.fsum(part.component.weight for part in measured)
    lowest = min(range(len(measured)), key=lambda index: measured[index].score)
    mean_loss = math.fsum(part.component.weight * (1.0 - part.score) for part in measured) / weights
    rest = _on_grid(MEAN_POINTS * mean_loss + LOWEST_POINTS * (1.0 - measured[lowest].score))
    points = [0.0] * len(measured)
    for index, part in enumerate(measured):
        if index != lowest:
            points[index] = min(rest, _on_grid(MEAN_POINTS * part.component.weight * (1.0 - part.score) / weights))
            rest -= points[index]
    points[lowest] = rest
    return points


def _on_grid(points: float) -> float:
    return round(points / GRID) * GRID


def _deduction(part: _Measured, points: float, evidence: str) -> Deduction:
    return Deduction(
        component=part.component.key,
        points=points,
        score=part.score,
        value=part.value,
        target=part.target,
        alert=part.alert,
        evidence=evidence,
        recommendation=_sentence(part, evidence),
    )


def _sentence(part: _Measured, evidence: str) -> str:
    kpi = BY_KEY[part.component.key]
    better, worse = ("<", ">") if kpi.direction == "below" else (">", "<")
    basis = f"; {evidence}" if evidence else ""
    return (
        f"{kpi.title} is {format_value(kpi, part.value)} (target {better} {format_value(kpi, part.target)}, "
        f"alert {worse} {format_value(kpi, part.alert)}{basis}): {part.component.advice}."
    )
