"""The rules that a server judges by, and who reads for each of them what it says: wiring is data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from otel_measure.alerting.evaluator import AlertRules, Judge
from otel_measure.alerting.services import services_down
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.store.protocol import Store

Reader: TypeAlias = Callable[[Store, AlertRule, int], Iterable[Judgement]]
# What reads the rules that are judged; KPIs decide others; the rest of the table is not evaluated yet.
READERS: Final[Mapping[str, Reader]] = MappingProxyType({"service_down": services_down})
BY_KEY: Final[Mapping[str, AlertRule]] = MappingProxyType(
    {rule.key: rule for rule in ALERT_RULES if rule.key in READERS or rule.judge == "kpi"}
)
OF_KPIS: Final = tuple(rule for rule in BY_KEY.values() if rule.judge == "kpi")


def rules_in_force(store: Store, by_kpis: Judge) -> AlertRules:
    """Return by what alerts of a store are judged.

    Args:
        store: that the readers read.
        by_kpis: returns what the rules say of which a KPI decides.
    """

    def judge(now_us: int) -> list[Judgement]:
        read = [one for key, reader in READERS.items() for one in reader(store, BY_KEY[key], now_us)]
        return [*read, *by_kpis(now_us)]

    return AlertRules(BY_KEY, rules_digest(BY_KEY.values()), judge)
