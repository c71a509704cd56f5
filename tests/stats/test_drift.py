from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from otel_measure.stats.cells import Cells, Value, WindowCounts, reference_cells
from otel_measure.stats.drift import (
    KAPPAS,
    FeatureDrift,
    drift_score,
    drift_status,
    e_bh,
    feature_drift,
    least_shift,
    log_e_value,
    log_mean_exp,
    model_drift,
)
from tests.vectors import load

Floats = NDArray[np.float64]
ALARM = math.log(1000)


def cells_of(values: Any) -> Cells:
    """The cells of a reference that has some."""
    cells = reference_cells(list(values))
    assert cells is not None
    return cells


def window_of(cells: Cells, values: Any) -> list[int]:
    """Counts of a window of one feature."""
    window = WindowCounts({"x": cells})
    for value in values:
        window.add({"x": value})
    return window.counts["x"]


def standard_normal(m: int) -> Floats:
    """The standard normal's quantiles at (i + 1/2) / m."""
    from scipy.stats import norm

    return np.asarray(norm.ppf((np.arange(m) + 0.5) / m))


def test_O1_eprocess() -> None:  # noqa: N802
    """Log e and corrected score of each case equal the vector's."""
    vector = load("models.json", "O1_eprocess")
    for case in vector["expected"]["cases"]:
        counts, alpha = case["counts"], case["dirichlet_alpha"]
        assert log_e_value(counts, alpha) == pytest.approx(case["log_e"], abs=vector["tolerance"])
        score = drift_score(counts, alpha, case["m"])
        assert score == pytest.approx(case["js_bias_corrected"], abs=vector["tolerance"])


@pytest.mark.parametrize(("alpha", "n"), [((4.0, 3.0, 3.0), 6), ((20.5, 0.5), 9), ((1.0, 2.0, 3.0, 4.0), 4)])
def test_the_expected_e_value_is_one(alpha: tuple[float, ...], n: int) -> None:
    """Over all sequences of n values from the reference's predictive distribution the mean of e is exactly 1."""
    expectation = 0.0
    for sequence in product(range(len(alpha)), repeat=n):
        counts, probability = [0] * len(alpha), 1.0
        for k in sequence:
            probability *= (alpha[k] + counts[k]) / (sum(alpha) + sum(counts))
            counts[k] += 1
        expectation += probability * math.exp(log_e_value(counts, alpha))
    assert expectation == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("case", ["m0.1", "m0.25", "m0.5", "m1", "s1.25", "s1.5", "s2"])
def test_the_score_converges_to_the_population_distance(case: str) -> None:
    """With 100,000 values on both sides the score is the distance of the distributions over decile bins."""
    expected = load("models.json", "F1_scipy_primitives")["expected"]["js2_population_decile_bins"][case]
    grid = standard_normal(100_000)
    shifted = grid * float(case[1:]) if case[0] == "s" else grid + float(case[1:])
    cells = cells_of(np.concatenate([standard_normal(2000), grid]).tolist())
    inner = np.searchsorted(np.array(cells.marks[1:-1], dtype=float), shifted, side="left")
    counts = np.bincount(inner, minlength=len(cells.alpha)).tolist()
    assert drift_score(counts, cells.alpha, cells.samples) == pytest.approx(expected, rel=0.01, abs=0.001)


def test_the_score_does_not_depend_on_the_sample_size() -> None:
    """A shift of half a standard deviation scores 0.2 within 0.02 on average, for windows of 200 to 20,000."""
    generator = np.random.default_rng(3)
    cells = cells_of(generator.standard_normal(10_000).tolist())
    for n, windows in ((200, 200), (1000, 60), (20_000, 5)):
        draws = locate(cells, generator.standard_normal((windows, n)) + 0.5)
        counts = [np.bincount(row, minlength=10).tolist() for row in draws]
        scores = [drift_score(c, cells.alpha, cells.samples) for c in counts]
        assert sum(scores) / windows == pytest.approx(0.205, abs=0.02)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.5, 100)), min_size=2, max_size=12), st.integers(50, 5000))
def test_the_score_is_a_share(cells: list[tuple[int, float]], m: int) -> None:
    """The score is in 0..1, also where pooling leaves few cells, and 0 for an empty window."""
    counts, alpha = [c for c, _ in cells], [a for _, a in cells]
    assert 0.0 <= drift_score(counts, alpha, m) <= 1.0
    assert drift_score([0] * len(alpha), alpha, m) == 0.0


@pytest.mark.parametrize(
    ("reference", "window", "score"),
    [
        (["a"] * 1000, ["b"] * 1000, 0.998),
        ([1.0] * 1000, [2.0] * 1000, 0.998),
        (["a", "b"] * 500, ["a", "c"] * 500, 0.705),
        ([True, False] * 500, ["yes", "no"] * 500, 0.998),
        (["a"] * 950 + ["b"] * 50, ["a"] * 95 + ["c"] * 5, 0.21),
    ],
)
def test_a_value_that_is_new_belongs_to_no_known_category(
    reference: list[Value], window: list[Value], score: float
) -> None:
    """Another constant, the rarer of two values renamed, a rare one renamed: each is as far as it is."""
    cells = cells_of(reference)
    drift = feature_drift(cells, window_of(cells, window))
    assert drift is not None
    assert drift.score == pytest.approx(score, abs=0.01 if score < 0.5 else 0.0005)


def test_dependent_values_count_as_fewer() -> None:
    """With an autocorrelation time of 4, evidence and bias are those of a quarter of the values, of both sides."""
    counts, alpha = [80, 60, 50, 50, 40, 40, 30, 20, 20, 10], [100.0] * 10
    quarter = [c / 4 for c in counts]
    shares = [a / 4 for a in alpha]

    def log_dm(shape: list[float]) -> float:
        total = math.lgamma(sum(shape)) - math.lgamma(sum(shape) + 100)
        return total + sum(math.lgamma(a + c) - math.lgamma(a) for a, c in zip(shape, quarter, strict=True))

    alternatives = [log_dm([kappa / 4 * a / 250 for a in shares]) for kappa in KAPPAS]
    assert log_e_value(counts, alpha, 4.0) == pytest.approx(log_mean_exp(alternatives) - log_dm(shares))
    one, four = (drift_score(counts, alpha, 999, time) ** 2 for time in (1.0, 4.0))
    assert one - four == pytest.approx(9 * 3 * (1 / 400 + 1 / 999) / (8 * math.log(2)))


def test_fifty_independent_values_are_needed() -> None:
    """Of values with an autocorrelation time of 4 it takes 200; the reason says what they are worth."""
    cells = cells_of(range(100))
    window = window_of(cells, [*range(100), *range(99), None])
    assert feature_drift(cells, window, 4.0) is None
    judged = model_drift({"x": cells, "y": cells}, {"x": window, "y": window}, {"x": 4.0})
    assert judged is not None
    assert judged.not_judged == {
        "x": "199 values in the window beside 1 missing ones and 0 of another type: each depends on those before it, "
        "so that all tell as much as 49 independent ones; 50 are needed"
    }
    assert judged.features["y"].effective_samples == 199
    more = feature_drift(cells, window_of(cells, [*range(100), *range(100)]), 4.0)
    assert more is not None
    assert more.effective_samples == 50.0


def test_an_alarm_of_a_small_score_is_no_drift() -> None:
    """100,000 values that moved by 0.05 standard deviations changed beyond doubt, and by less than drift is."""
    generator = np.random.default_rng(8)
    cells = cells_of(generator.standard_normal(100_000).tolist())
    drift = model_drift({"x": cells}, {"x": window_of(cells, (generator.standard_normal(100_000) + 0.05).tolist())})
    assert drift is not None
    assert (drift.status, drift.alarm, drift.drifted) == ("no_drift", True, ("x",))
    assert drift.score < 0.1


def test_an_alarm_has_the_status_of_its_score_where_no_feature_is_listed() -> None:
    """Two e-values of 1,529 and 983 have a mean of 1,256 and neither is listed; the largest score then decides."""
    cells = Cells("categorical", ("a", "b"), (500.5, 500.5, 0.5), 1000, 0)
    drift = model_drift({"x": cells, "y": cells}, {"x": [18, 60, 0, 0, 0], "y": [38, 92, 0, 0, 0]})
    assert drift is not None
    assert (drift.alarm, drift.drifted, drift.status) == (True, (), "moderate_drift")
    assert drift.score == drift.features["x"].score == pytest.approx(0.229, abs=0.001)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("samples", "m", "features"), [(200, 1000, 1), (1000, 1000, 1), (1000, 1000, 50), (60, 300, 1)]
)
def test_the_least_shift_is_found_in_95_of_100_windows(samples: int, m: int, features: int) -> None:
    """Of 400 windows with that shift 93 to 99.5 % alarm, and with half of it less than half do."""
    shift = least_shift(samples, m, 1.0, features)
    generator = np.random.default_rng(samples + features)
    found = {}
    for part in (1.0, 0.5):
        alarms = 0
        for _ in range(400):
            cells = cells_of(generator.standard_normal(m).tolist())
            row = locate(cells, generator.standard_normal(samples) + part * shift)
            counts = np.bincount(row, minlength=len(cells.alpha)).tolist()
            alarms += log_e_value(counts, cells.alpha) >= ALARM + math.log(features)
        found[part] = alarms / 400
    assert 0.93 <= found[1.0] <= 0.995
    assert found[0.5] < 0.5


@pytest.mark.parametrize(
    ("m", "time", "judged"), [(1000, 19.0, True), (50, 1.0, True), (50, 5.0, False), (50, 19.0, False)]
)
def test_no_drift_needs_a_shift_of_two_standard_deviations_to_be_one_that_would_be_found(
    m: int, time: float, judged: bool
) -> None:
    """Otherwise a feature has no verdict, and `not_judged` says why; of 50 dependent records of reference none has."""
    generator = np.random.default_rng(8)
    blind = cells_of(generator.standard_normal(m).tolist())
    sure = cells_of(generator.standard_normal(1000).tolist())
    counts = [window_of(cells, generator.standard_normal(4000).tolist()) for cells in (blind, sure)]
    drift = model_drift({"x": blind, "y": sure}, dict(zip("xy", counts, strict=True)), {"x": time})
    assert drift is not None
    assert (list(drift.features), drift.alarm) == (["x", "y"] if judged else ["y"], False)
    assert judged == (model_drift({"x": blind}, {"x": counts[0]}, {"x": time}) is not None)
    if not judged:
        values = f"of {int(4000 / time)} independent values against {int(50 / time)} of the reference"
        assert drift.not_judged["x"].startswith(values)
        assert drift.not_judged["x"].endswith("; one of 2 σ has to be")


def test_what_nobody_can_tell_is_not_judged() -> None:
    """A feature of which too few records have come to know its dependence says so."""
    cells = cells_of(range(100))
    counts = window_of(cells, range(100))
    drift = model_drift({"x": cells, "y": cells}, {"x": counts, "y": counts}, {"x": math.inf})
    assert drift is not None
    assert drift.not_judged == {"x": "too few records have come to tell how much each depends on those before it"}


def test_no_shift_is_found_by_too_few() -> None:
    """Where not even 10 standard deviations would be seen the least shift is infinite."""
    assert least_shift(50, 50, 49.0, 1) == math.inf


def locate(cells: Cells, values: Any) -> NDArray[np.int64]:
    """The cell of each value."""
    if cells.kind == "numeric":
        return np.asarray(np.searchsorted(np.array(cells.marks[1:-1], dtype=float), values, side="left"))
    own = {value: k for k, value in enumerate(cells.marks)}
    drawn = np.array([own.get(value, len(own)) for value in values.ravel().tolist()], dtype=np.int64)
    return drawn.reshape(values.shape)


def evidence_paths(drawn: NDArray[np.int64], alpha: tuple[float, ...]) -> Floats:
    """Log e after each record of each window (a row): a record in cell k multiplies DM by (a_k + c_k) / (A + n)."""
    shape, before = np.array(alpha), np.zeros(drawn.shape)
    for k in range(len(alpha)):
        hit = drawn == k
        before += np.where(hit, np.cumsum(hit, axis=1) - 1, 0)
    n = np.arange(drawn.shape[1])

    def log_dm(a: Floats) -> Floats:
        return np.cumsum(np.log(a[drawn] + before) - np.log(a.sum() + n), axis=1)

    alternatives = np.stack([log_dm(kappa * shape / shape.sum()) for kappa in KAPPAS])
    return np.asarray(np.logaddexp.reduce(alternatives) - math.log(len(KAPPAS)) - log_dm(shape))


def draw(kind: str, generator: np.random.Generator, shape: Any) -> Any:
    """Values of a feature that does not drift."""
    if kind == "zipf":
        weights = 1 / np.arange(1, 501)
        return np.char.add("c", generator.choice(500, p=weights / weights.sum(), size=shape).astype(str))
    values = generator.standard_normal(shape)
    return values if kind == "normal" else values.round(1)


@pytest.mark.parametrize("m", [200, 1000, 10_000])
@pytest.mark.parametrize("kind", ["normal", "rounded", "zipf"])
def test_clean_windows_raise_no_alarm(kind: str, m: int) -> None:
    """Of 300 clean windows of 1,000, looked at after each record, at most 1 alarms."""
    generator = np.random.default_rng(2)
    cells = cells_of(draw(kind, generator, m).tolist())
    drawn = locate(cells, draw(kind, generator, (300, 1000)))
    paths = evidence_paths(drawn, cells.alpha)
    for row, n in ((0, 50), (7, 333), (299, 1000)):
        counts = np.bincount(drawn[row, :n], minlength=len(cells.alpha)).tolist()
        assert log_e_value(counts, cells.alpha) == pytest.approx(paths[row, n - 1], abs=1e-6)
    assert (paths[:, 49:].max(axis=1) >= ALARM).sum() <= 1


def test_a_shift_after_a_long_clean_time_is_found() -> None:
    """0.5 standard deviations after 100,000 clean records alarm within two windows, and in no window before."""
    generator = np.random.default_rng(11)
    cells = cells_of(generator.standard_normal(1000).tolist())
    values = np.concatenate([generator.standard_normal(100_000), generator.standard_normal(2000) + 0.5])
    verdicts = []
    for start in range(0, len(values), 1000):
        drift = model_drift({"x": cells}, {"x": window_of(cells, values[start : start + 1000].tolist())})
        assert drift is not None
        verdicts.append(drift.status)
    assert verdicts[:100] == ["no_drift"] * 100
    assert set(verdicts[100:]) <= {"minor_drift", "moderate_drift"}


def test_one_outlier_changes_nothing() -> None:
    """A value of 1e6 in the window or in the reference leaves the verdict and moves the score by less than 0.01."""
    generator = np.random.default_rng(4)
    reference, current = generator.standard_normal(1000).tolist(), generator.standard_normal(1000).tolist()
    for shift in (0.0, 0.5):
        moved = [value + shift for value in current]
        found = [
            model_drift({"x": cells}, {"x": window_of(cells, window)})
            for cells, window in (
                (cells_of(reference), moved),
                (cells_of(reference), [*moved[:-1], 1e6]),
                (cells_of([*reference[:-1], 1e6]), moved),
            )
        ]
        scores = [drift.score for drift in found if drift is not None]
        assert len({drift.status for drift in found if drift is not None}) == 1
        assert scores == pytest.approx([scores[0]] * 3, abs=0.01)


@pytest.mark.parametrize(("window", "verdict"), [(49, False), (50, True)])
def test_no_verdict_under_fifty_values(window: int, verdict: bool) -> None:
    """Missing values do not count: 49 values in a window are no verdict, 50 are one."""
    cells = cells_of(range(100))
    counts = window_of(cells, [*range(window), *[None] * 100])
    assert (feature_drift(cells, counts) is not None) is verdict
    assert (model_drift({"x": cells}, {"x": counts}) is not None) is verdict
    assert model_drift({"x": cells}, {}) is None
    thin = Cells(cells.kind, cells.marks, cells.alpha, 49, 0)
    assert feature_drift(thin, window_of(cells, range(100))) is None


def test_a_feature_alarms_at_a_thousand() -> None:
    """The alarm of one feature is e >= 1,000."""
    assert FeatureDrift(0.5, ALARM + 1e-9, 100, 100).alarm
    assert not FeatureDrift(0.5, ALARM - 1e-9, 100, 100).alarm


def test_a_model_is_judged_over_all_its_features() -> None:
    """Status and score come from the listed features, and only when the mean e-value alarms."""
    generator = np.random.default_rng(9)
    names = [f"f{k}" for k in range(20)]
    reference = {name: cells_of(generator.standard_normal(1000).tolist()) for name in names}
    window = WindowCounts(reference)
    for _ in range(1000):
        record: dict[str, Value] = dict(zip(names, generator.standard_normal(20).tolist(), strict=True))
        record["f3"] = record["f3"] + 1.0  # type: ignore[operator]
        window.add(record)
    drift = model_drift(reference, window.counts)
    assert drift is not None
    assert (drift.status, drift.alarm, drift.drifted) == ("severe_drift", True, ("f3",))
    assert drift.score == drift.features["f3"].score == pytest.approx(0.39, abs=0.05)
    assert drift.log_e == pytest.approx(drift.features["f3"].log_e - math.log(20))
    assert list(drift.features) == names
    calm = model_drift(reference, {name: window.counts[name] for name in names if name != "f3"})
    assert calm is not None
    assert (calm.status, calm.alarm, calm.drifted) == ("no_drift", False, ())
    assert calm.score == max(feature.score for feature in calm.features.values()) < 0.1


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (0.0, "no_drift"),
        (0.0999, "no_drift"),
        (0.1, "minor_drift"),
        (0.2, "moderate_drift"),
        (0.3, "severe_drift"),
        (1.0, "severe_drift"),
    ],
)
def test_status_follows_the_score(score: float, status: str) -> None:
    """0.1, 0.2 and 0.3 begin minor, moderate and severe drift."""
    assert drift_status(score) == status


@given(st.dictionaries(st.text(max_size=3), st.floats(-20, 40), max_size=8))
def test_e_bh_equals_benjamini_hochberg_of_inverse_e(log_es: dict[str, float]) -> None:
    """The listed names are those that BH lists for the p-values 1 / e."""
    k = len(log_es)
    p_values = sorted(math.exp(-e) for e in log_es.values())
    cuts = [p for rank, p in enumerate(p_values, 1) if p <= 0.001 * rank / k * (1 + 1e-12)]
    expected = {name for name, e in log_es.items() if cuts and math.exp(-e) <= cuts[-1]}
    assert set(e_bh(log_es)) == expected


def test_log_mean_exp_neither_overflows_nor_vanishes() -> None:
    """The mean of e**1000 and e**998, and of their inverses, has a logarithm."""
    assert log_mean_exp([1000.0, 998.0]) == pytest.approx(1000 + math.log((1 + math.exp(-2)) / 2))
    assert log_mean_exp([-1000.0, -998.0]) == pytest.approx(-998 + math.log((1 + math.exp(-2)) / 2))
