"""The rules over histories that are simulated; `python -m tests.definitions.simulated_alerts` is the long form."""

from __future__ import annotations

import pytest

from tests.definitions.simulated_alerts import (
    DAY,
    JudgedModel,
    SimulatedModel,
    healthy,
    minutes_to_detection,
    simulated_models,
    told,
)


def named(models: list[SimulatedModel], name: str) -> SimulatedModel:
    """Return the one of a name."""
    return next(model for model in models if model.name == name)


@pytest.mark.no_cover
def test_two_healthy_days_wake_nobody() -> None:
    """Models of five shapes, from a call an hour to 100 a minute, and services that are restarted, page never."""
    assert [one for _, one in healthy(15, 5, 2, every=9) if one.severity == "page"] == []


@pytest.mark.no_cover
@pytest.mark.parametrize("what", ["errors", "slow", "silence"])
def test_an_outage_of_a_busy_model_is_told_of(what: str) -> None:
    """At 100 calls a minute within 15 minutes."""
    model = named(list(simulated_models(10, 1)), "steady 1e+02/min")
    detected = minutes_to_detection(model, what, 700, 60)
    assert detected is not None
    assert detected <= 15


@pytest.mark.no_cover
def test_a_sender_and_a_batch_are_told_of() -> None:
    """The rule of a service tells that nothing comes, and that of a batch that it did not run in a night."""
    models = list(simulated_models(10, 3))
    silent = named(models, "steady 1e+02/min").with_outage("silence", DAY, DAY)
    sender = told(JudgedModel(silent, "service").judge, range(DAY, DAY + 60))
    assert [(one.rule, one.severity, one.minute - DAY) for one in sender] == [("sender_silence", "page", 11)]
    missed = named(models, "nightly 1e+02/min").with_outage("silence", DAY, DAY)
    batch = told(JudgedModel(missed).judge, range(DAY, 2 * DAY, 15))
    assert [(one.rule, one.severity) for one in batch] == [("model_batch_missed", "ticket")]
