"""The rules that a server judges by."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_measure.alerting.in_force import rules_in_force
from otel_measure.config import Settings
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.errors import ConfigurationError
from otel_measure.runtime import Runtime
from otel_measure.testing import Capture


def test_the_digest_follows_the_rules_of_the_settings() -> None:
    """A server with a threshold of its own has other rules than one without, and does not evaluate beside it."""
    with Capture() as capture:
        store = capture.runtime.store
        assert store is not None
        in_force = rules_in_force(store, "web-1", lambda _: [])
        own = rules_in_force(store, "web-1", lambda _: [], rules_with({"model_latency": {"threshold": 2000}}))
        less = rules_in_force(store, "web-1", lambda _: [], rules_with({"model_latency": {"enabled": False}}))
    assert len({in_force.digest, own.digest, less.digest}) == 3
    assert own.by_key["model_latency"].threshold == 2000.0
    assert in_force.by_key.keys() - less.by_key.keys() == {"model_latency"}


def test_a_rule_that_cannot_be_so_is_refused_before_anything_is_open(tmp_path: Path) -> None:
    """The error names the setting, and leaves no store behind."""
    path = tmp_path / "a.db"
    with pytest.raises(
        ConfigurationError, match=r"alert_rules\['host_cpu'\]\['severity'\] is 'loud'; it must be one of"
    ):
        Runtime(Settings(store=str(path), alert_rules={"host_cpu": {"severity": "loud"}}))
    assert not path.exists()
