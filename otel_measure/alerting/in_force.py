"""The rules that a server judges by, and who reads for each of them what it says: wiring is data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Final, TypeAlias

from otel_measure.alerting.evaluator import AlertRules
from otel_measure.alerting.services import services_down
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.store.protocol import Store

Reader: TypeAlias = Callable[[Store, AlertRule, int], Iterable[Judgement]]
SERVICE_DOWN: Final = AlertRule(
    key="service_down",
    title="A service is down",
    about="service",
    severity="page",
    window_s=60,
    threshold=60,
    docs="alerts.md#service_down",
)
# Each rule that is judged, and what reads it.
READERS: Final[tuple[tuple[AlertRule, Reader], ...]] = ((SERVICE_DOWN, services_down),)
BY_KEY: Final[Mapping[str, AlertRule]] = MappingProxyType({rule.key: rule for rule, _ in READERS})


def rules_in_force(store: Store) -> AlertRules:
    """Return by what alerts of a store are judged."""

    def judge(now_us: int) -> list[Judgement]:
        return [judgement for rule, read in READERS for judgement in read(store, rule, now_us)]

    return AlertRules(BY_KEY, digest_of(BY_KEY.values()), judge)


def digest_of(rules: Iterable[AlertRule]) -> str:
    """Return what tells one set of rules from another, whatever their order."""
    decisive = {rule.key: asdict(rule) for rule in rules}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
