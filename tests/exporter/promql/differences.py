"""What our own alerts say otherwise than Prometheus: a history for rows of the table in `docs/prometheus.md`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.days import micros
from tests.exporter.promql.scraped import ScrapedWorld
from tests.exporter.promql.seed_histories import DAY, END, EVERYBODY, LAST, MINUTE, History, some_persons

_PERSONS_OF_WEEKS: Final = (90, 250, 70, 250, 70)  # the last one first


class RowOfDocs(NamedTuple):
    """A row of the docs.

    Attributes:
        row: how its first cell begins.
        history: at whose end the two differ.
        fires_here: whether it is our own evaluator that has the alert firing.
    """

    row: str
    history: History
    fires_here: bool


def _call(world: ScrapedWorld, name: str, calls: int, failed: int = 0, latency_ms: float = 100.0) -> None:
    for k in range(calls):
        error_type = "Timeout" if k < failed else None
        world.runtime.ai.record_inference(name, "1", latency_ms, error_type=error_type)


def _unlucky(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        _call(world, "unlucky", 20, failed=3 + LAST.index(left) % 2)


def _rare(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST[:5]:
        _call(world, "rare", 1, failed=1)


def _first_failures(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        _call(world, "new failure", 40, failed=30 if left == 2 * MINUTE else 0)


def _late_failures(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        _call(world, "told late", 10, failed=1 if left == LAST[0] else 0)
    if left == 2 * MINUTE:
        for _ in range(60):
            earlier = world.now - timedelta(hours=8)
            world.runtime.ai.record_inference("told late", "1", 100.0, error_type="Timeout", timestamp=earlier)


def _under_half_a_second(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        _call(world, "in time", 10, latency_ms=400.0)


def _slow_by_nature(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left == DAY:
        world.runtime.ai.register_model("slow by nature", "1", "nlp_generation", targets={"latency_p95_ms": 2000})
    if left in LAST:
        _call(world, "slow by nature", 10, latency_ms=900.0)


def _few_truths(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        for k in range(5):
            is_right = k > 0 or left < 5 * MINUTE
            world.runtime.ai.record_inference("few truths", "1", 100.0, prediction=is_right, ground_truth=True)


def _hardly_unwell(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        _call(world, "hardly unwell", 2, failed=1 if left in LAST[:2] else 0)


def _outage_told_late(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    infrastructure = world.runtime.infrastructure
    if left == 2 * DAY:
        infrastructure.register_service("told late")
    if left == 3 * MINUTE:
        infrastructure.record_service_down("told late", at=END - timedelta(hours=30))
        infrastructure.record_service_up("told late", at=END - timedelta(hours=29))


def _straying_days(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left >= DAY:
        for who in some_persons(left, _PERSONS_OF_WEEKS[(left.days - 1) // 7]):
            world.runtime.users.track_event(who, "click", "button")


def _converting_twice(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left >= DAY:
        for who in some_persons(left, 30):
            for _ in range(1 if left <= 7 * DAY else 5):
                world.runtime.users.track_event(who, "conversion", "bought")


def _nearly_recommended(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left == DAY:
        for k, score in enumerate([0] * 14 + [10] * 13 + [8] * 6):
            world.runtime.users.record_nps_response(f"p{k}", score)


def _silenced(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left == DAY:
        silence = Silence("s", None, "silenced", None, world.clock.now_us, micros(END + DAY), "a new version")
        assert world.runtime.store is not None
        world.runtime.store.alerts.add_silence(silence)
    if left in LAST:
        _call(world, "silenced", 10, failed=9)


def _unfair(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left in LAST:
        for k in range(20):
            is_young = k % 2 == 0
            age_band = {"age_band": "18-59" if is_young else "60+"}
            world.runtime.ai.record_inference("unfair", "1", 100.0, prediction=is_young or k % 4 == 1, groups=age_band)


_FEW: Final = "where a window holds fewer than five calls"
_LATE: Final = "facts that come late count where they lie"
_SURE: Final = "drift needs the detector to agree"
_PAST: Final = "an erasure or a back-filled outage"
DIFFERENCES: Final = (
    RowOfDocs("errors and slow calls are beyond chance", History("model_errors", "unlucky", _unlucky), True),
    RowOfDocs(_FEW, History("model_errors", "rare", _rare), True),
    RowOfDocs("a failure counts from the first", History("model_errors", "new failure", _first_failures), True),
    RowOfDocs(_LATE, History("model_errors", "told late", _late_failures), False),
    RowOfDocs("slow is what took over 500 ms", History("model_latency", "in time", _under_half_a_second), False),
    RowOfDocs("targets that a model was", History("model_latency", "slow by nature", _slow_by_nature), False),
    RowOfDocs(_SURE, History("model_accuracy", "few truths", _few_truths), False),
    RowOfDocs(_SURE, History("model_health", "hardly unwell", _hardly_unwell), False),
    RowOfDocs(_SURE, History("users_nps", EVERYBODY, _nearly_recommended), False),
    RowOfDocs("a drop of active persons", History("users_dau_drop", EVERYBODY, _straying_days), False),
    RowOfDocs("conversion is of persons", History("users_conversion_drop", EVERYBODY, _converting_twice), False),
    RowOfDocs("services in planned maintenance, and", History("model_errors", "silenced", _silenced), False),
    RowOfDocs("`model_fairness`", History("model_fairness", "unfair", _unfair), True),
    RowOfDocs(_PAST, History("service_burn_fast", "told late", _outage_told_late), False),
)
