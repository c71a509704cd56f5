"""The health score: its table, its formula, its exact deductions, and what it says to do."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.ai.health import COMPONENTS, Component, Deduction, Health, check_targets, health
from otel_measure.definitions.kpis import BY_KEY

TABLE = [
    ("error_rate", 25, 0.01, 0.05),
    ("accuracy", 25, 0.95, 0.90),
    ("latency_p95_ms", 15, 200, 500),
    ("drift_score", 15, 0.1, 0.3),
    ("data_quality", 10, 0.99, 0.90),
    ("fairness_gap", 5, 0.1, 0.2),
    ("cost_per_request_usd", 5, 0.01, 0.05),
]
AT_TARGET = {key: float(target) for key, _, target, _ in TABLE}
AT_ALERT = {key: float(alert) for key, _, _, alert in TABLE}
AT_ZERO = {key: 2.0 * alert - target for key, _, target, alert in TABLE}


def _reference(values: dict[str, float]) -> tuple[float, float]:
    """H and coverage in exact fractions, straight from the definition."""
    scores = []
    for key, weight, target, alert in TABLE:
        if key in values:
            slope = (Fraction(values[key]) - Fraction(target)) / (Fraction(alert) - Fraction(target))
            scores.append((Fraction(weight), min(Fraction(1), max(Fraction(0), 1 - slope / 2))))
    weights = sum((weight for weight, _ in scores), Fraction(0))
    mean = sum((weight * score for weight, score in scores), Fraction(0)) / weights
    lowest = min(score for _, score in scores)
    return float(65 * mean + 35 * lowest), float(weights / 100)


@st.composite
def _values(draw: st.DrawFn) -> dict[str, float]:
    """Values of some components: at and around their bounds, or anywhere."""
    keys = draw(st.lists(st.sampled_from([row[0] for row in TABLE]), min_size=1, unique=True))
    steps = st.floats(-0.2, 1.4) | st.floats(0, 1e-7) | st.sampled_from([0.0, 0.5, 1.0])
    return {key: AT_TARGET[key] + draw(steps) * (AT_ZERO[key] - AT_TARGET[key]) for key in keys}


def test_components_weigh_and_bound_as_defined() -> None:
    """The table has the defined components in order, with weights adding to 100 and the KPI table's bounds."""
    assert [(part.key, part.weight, *part.bounds()) for part in COMPONENTS] == TABLE
    assert sum(part.weight for part in COMPONENTS) == 100


def test_a_kpi_without_bounds_is_no_component() -> None:
    """A component needs a target and an alert threshold, and the error names the KPI."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        _ = Component("stickiness", 1.0, "").bounds()
    assert str(caught.value) == "the KPI 'stickiness' cannot be a component; it needs a target and an alert threshold"


@pytest.mark.parametrize(
    ("values", "score"), [(AT_TARGET, 100.0), (AT_ALERT, 50.0), (AT_ZERO, 0.0)], ids=["target", "alert", "zero"]
)
def test_the_anchors_of_the_scale(values: dict[str, float], score: float) -> None:
    """All at their targets is 100, all at their alerts 50, all as far again 0."""
    result = health(values)
    assert result.score == pytest.approx(score, abs=1e-8)
    assert result.coverage == 1.0


def test_a_perfect_model_loses_nothing() -> None:
    """Better than every target is exactly 100, without deductions or recommendations."""
    better = {"error_rate": 0.0, "accuracy": 1.0, "latency_p95_ms": 1.0, "data_quality": 1.0}
    assert health(better) == Health(100.0, 0.75, (), ())


@pytest.mark.parametrize("values", [{}, {"accuracy": math.nan}])
def test_nothing_measured_is_unknown(values: dict[str, float]) -> None:
    """Without a measured component the score is nan and the coverage 0."""
    assert repr(health(values)) == repr(Health(math.nan, 0.0, (), ()))


def test_a_model_with_troubles_is_explained_whole() -> None:
    """Each deduction carries its numbers and one sentence; the lowest component takes the minimum's part."""
    result = health(
        {"error_rate": 0.005, "accuracy": 0.925, "latency_p95_ms": 650.0, "drift_score": math.nan},
        evidence={"latency_p95_ms": "1,234 inferences in 24h"},
    )
    slow = (
        "Inference latency p95 is 650 ms (target < 200 ms, alert > 500 ms; 1,234 inferences in 24h): "
        "shorten the input or output, cache answers, or use a smaller or nearer model."
    )
    wrong = (
        "Model accuracy is 92.5 % (target > 95 %, alert < 90 %): "
        "retrain with recent labelled data, starting with the classes of the lowest recall."
    )
    assert result == Health(
        score=pytest.approx(100 - 37.5 - 6.25, abs=1e-8),  # type: ignore[arg-type]
        coverage=0.65,
        deductions=(
            Deduction(
                component="latency_p95_ms",
                points=pytest.approx(65 * 15 / 65 * 0.75 + 35 * 0.75, abs=1e-8),  # type: ignore[arg-type]
                score=0.25,
                value=650.0,
                target=200.0,
                alert=500.0,
                evidence="1,234 inferences in 24h",
                recommendation=slow,
            ),
            Deduction(
                component="accuracy",
                points=pytest.approx(65 * 25 / 65 * 0.25, abs=1e-8),  # type: ignore[arg-type]
                score=pytest.approx(0.75),  # type: ignore[arg-type]
                value=0.925,
                target=0.95,
                alert=0.90,
                evidence="",
                recommendation=wrong,
            ),
        ),
        recommendations=(slow, wrong),
    )


def test_on_a_tie_the_first_of_the_table_takes_the_minimum() -> None:
    """Of two equally low components the earlier one carries the 35 points of the minimum."""
    points = {d.component: d.points for d in health({"cost_per_request_usd": 1.0, "error_rate": 1.0}).deductions}
    assert points == {
        "error_rate": pytest.approx(65 * 25 / 30 + 35, abs=1e-8),
        "cost_per_request_usd": pytest.approx(65 * 5 / 30, abs=1e-8),
    }


@given(_values())
@settings(max_examples=200)
def test_the_score_is_that_of_the_definition(values: dict[str, float]) -> None:
    """Score and coverage equal the definition in exact fractions, to a billionth of a point."""
    result = health(values)
    score, coverage = _reference(values)
    assert result.score == pytest.approx(score, abs=1e-8)
    assert result.coverage == coverage


@given(_values())
@settings(max_examples=200)
def test_deductions_add_to_what_is_missing_exactly(values: dict[str, float]) -> None:
    """No rounding is left over: in any order the points add to 100 - H, none is negative, the score is 0 to 100."""
    result = health(values)
    points = [deduction.points for deduction in result.deductions]
    assert sum(map(Fraction, points)) == 100 - Fraction(result.score)
    assert sum(points) == sum(reversed(points)) == math.fsum(points) == 100 - result.score
    assert all(point > 0 for point in points)
    assert points == sorted(points, reverse=True)
    assert 0 <= result.score <= 100


@given(_values(), st.data())
@settings(max_examples=200)
def test_a_worse_component_never_raises_the_score(values: dict[str, float], data: st.DataObject) -> None:
    """H falls or stays when one measured component gets worse, however little."""
    key = data.draw(st.sampled_from(sorted(values)))
    amount = data.draw(st.floats(0, 10) | st.floats(0, 1e-9) | st.just(math.inf))
    sign = 1 if BY_KEY[key].direction == "below" else -1
    assert health({**values, key: values[key] + sign * amount}).score <= health(values).score


@given(_values())
def test_every_deduction_has_one_recommendation(values: dict[str, float]) -> None:
    """Recommendations are the sentences of the deductions, one each, in their order."""
    result = health(values)
    assert result.recommendations == tuple(deduction.recommendation for deduction in result.deductions)
    assert len({deduction.component for deduction in result.deductions}) == len(result.deductions)


def test_an_own_target_moves_its_alert_in_proportion() -> None:
    """A chat model with a target of 5 s has its alert at 12.5 s, and one for 0.8 accuracy at 0.8 · 0.90 / 0.95."""
    result = health({"latency_p95_ms": 12_500.0, "accuracy": 0.5}, targets={"latency_p95_ms": 5000, "accuracy": 0.8})
    assert {d.component: (d.target, d.alert, d.score) for d in result.deductions} == {
        "latency_p95_ms": (5000, 12_500.0, 0.5),
        "accuracy": (0.8, pytest.approx(0.8 * 0.90 / 0.95), 0.0),
    }


KEYS = ", ".join(row[0] for row in TABLE)


@pytest.mark.parametrize(
    ("key", "target", "alert"),
    [
        ("error_rate", 0.05, 0.25),
        ("error_rate", 0.25, 0.625),
        ("fairness_gap", 0.6, 0.8),
        ("drift_score", 0.4, 0.7),
        ("error_rate", 1.0, 1.0),
        ("cost_per_request_usd", 0.5, 2.5),
        ("accuracy", 1.0, 0.90 / 0.95),
    ],
)
def test_the_alert_of_a_share_stays_in_reach(key: str, target: float, alert: float) -> None:
    """The alert that moves with an own target is at most halfway to 1 for a share, where it can be passed."""
    (component,) = (part for part in COMPONENTS if part.key == key)
    assert component.bounds(target) == pytest.approx((target, alert))
    assert health({key: target}, targets={key: target}).score == 100.0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"latency": 5.0}, f"targets has the unknown key 'latency'; the components are {KEYS}"),
        ({"latency_p95_ms": 0.0}, "targets['latency_p95_ms'] is 0.0; it must be a finite number above 0"),
        ({"latency_p95_ms": math.inf}, "targets['latency_p95_ms'] is inf; it must be a finite number above 0"),
        ({"latency_p95_ms": math.nan}, "targets['latency_p95_ms'] is nan; it must be a finite number above 0"),
        ({"latency_p95_ms": True}, "targets['latency_p95_ms'] is True; it must be a finite number above 0"),
        ({"accuracy": 95.0}, "targets['accuracy'] is 95.0; it must be above 0 and at most 1"),
        ({"drift_score": -0.1}, "targets['drift_score'] is -0.1; it must be above 0 and at most 1"),
    ],
)
def test_a_target_that_cannot_be_is_refused(targets: dict[str, float], message: str) -> None:
    """The error names the key, the value and the rule, before any value is known."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        check_targets(targets)
    assert str(caught.value) == message


def test_an_unknown_value_is_refused() -> None:
    """A value that is no component would be left out in silence, so it is an error."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        health({"p95": 3.0})
    assert str(caught.value) == f"values has the unknown key 'p95'; the components are {KEYS}"
