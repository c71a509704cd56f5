"""The gauges that are computed when `/metrics` is asked, over a real runtime."""

from __future__ import annotations

from math import nan

import pytest

from otel_measure.config import Settings
from otel_measure.conventions import instruments
from otel_measure.definitions.exposition import Family, Sample, overflow_family
from otel_measure.judging import exposition, gauges
from otel_measure.records.kinds import Origin
from otel_measure.runtime import Runtime
from tests.facts import NOON, inference


def test_unknown_values_are_left_out_and_labels_sorted() -> None:
    """An absent series is not a zero."""
    health = instruments.OTEL_MEASURE_AI_HEALTH_SCORE
    values = [(health, 90.0, (("b", "2"),)), (health, nan, (("c", "3"),)), (health, 80.0, (("a", "1"),))]
    assert gauges.families(iter(values)) == [
        Family(
            health.name, "gauge", health.unit, health.description, (), [Sample('a="1"', 80.0), Sample('b="2"', 90.0)]
        )
    ]


def test_an_instrument_shows_no_more_than_the_exposed_attribute_sets() -> None:
    """A gauge of 2,001 models has 2,000 series, and how many there are beyond is a number."""
    health = instruments.OTEL_MEASURE_AI_HEALTH_SCORE
    family, beyond = gauges.families(((health, 1.0, (("model", str(i)),)) for i in range(2001)), {health: 5})
    assert len(family.samples) == 2000
    assert beyond == overflow_family([("otel_measure.ai.health.score", 6)])


def test_no_more_models_are_judged_than_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of models without number the first are shown, by name; one that nothing is known of lately is none of them."""
    monkeypatch.setattr(exposition, "EXPOSED_ATTRIBUTE_SETS", 2)
    runtime = Runtime(Settings(store=":memory:"))
    try:
        for name in ("d", "c", "b"):
            runtime.ai.record_inference(name, "1", 100.0)
        runtime.ai.register_model("a", "1", "classification")
        models, beyond = runtime.ai.first_judged(2)
        assert ([model.model_name for model in models.models], beyond) == (["b", "c"], 1)
        shown = {family.name: family.samples for family in runtime.exposition.families()}
        assert len(shown["otel_measure.ai.health.score"]) == 2
        beyond_of = {sample.labels: sample.value for sample in shown["otel_measure.self.overflow.attribute_sets"]}
        assert beyond_of['otel_measure_instrument="otel_measure.ai.health.score"'] == 1
    finally:
        runtime.shutdown()


def test_gauges_are_of_one_environment_and_say_which() -> None:
    """Staging adds nothing to them; those of the machine carry no environment."""
    runtime = Runtime(Settings(store=":memory:", environment="production"))
    try:
        assert runtime.store is not None
        runtime.store.accept([inference("s", origin=Origin("shop", "staging"), error_type="Timeout")])
        runtime.ai.record_inference("m", "1", 100.0)
        runtime.users.record_nps_response(1, 10)
        runtime.users.create_ab_test("Home", ["control", "b"])
        runtime.store.register_service("staging", "db", 99.9, NOON)
        runtime.infrastructure.register_service("api")
        found = {family.name: family.samples for family in runtime.exposition.families()}
        where = 'deployment_environment_name="production"'
        assert found["otel_measure.ai.health.score"] == [
            Sample(f'{where},gen_ai_request_model="m",otel_measure_model_version="1"', 100.0)
        ]
        assert found["otel_measure.service.up"] == [Sample(f'{where},otel_measure_service_name="api"', 1.0)]
        assert found["otel_measure.users.nps.score"] == [Sample(where, 100.0)]
        assert all(sample.labels.startswith(where) for sample in found["otel_measure.experiment.users"])
    finally:
        runtime.shutdown()


def test_the_exposition_has_what_the_reports_say() -> None:
    """Models, users and experiments appear as gauges with the values of their reports."""
    runtime = Runtime(Settings(store=":memory:"))
    try:
        runtime.ai.record_inference("m", "1", 100.0, cost_usd=0.001)
        runtime.users.record_nps_response(1, 10)
        test_id = runtime.users.create_ab_test("Home", ["control", "b"])
        variant = runtime.users.assign_variant(test_id, 1)
        found = {family.name: family.samples for family in runtime.exposition.families()}
        assert found["otel_measure.ai.health.score"] == [
            Sample('gen_ai_request_model="m",otel_measure_model_version="1"', 100.0)
        ]
        assert found["otel_measure.users.nps.score"] == [Sample("", 100.0)]
        assert found["otel_measure.users.active"] == [
            Sample(f'otel_measure_window="{window}"', 0.0) for window in ("1d", "28d", "7d")
        ]
        users = {sample.labels: sample.value for sample in found["otel_measure.experiment.users"]}
        label = 'feature_flag_key="{}",feature_flag_result_variant="{}"'
        assert users == {label.format(test_id, v): float(v == variant) for v in ("control", "b")}
        assert "otel_measure.ai.health.score" not in {f.name for f in runtime.exposition.families("infrastructure")}
    finally:
        runtime.shutdown()
