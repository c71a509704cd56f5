"""The rules that a server judges by, and who reads for each of them what it says: wiring is data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.alerting.absences import ABSENCES, CallAbsences
from otel_measure.alerting.costs import models_dear
from otel_measure.alerting.disks import disks_filling
from otel_measure.alerting.evaluator import AlertRules
from otel_measure.alerting.histories import models_failing
from otel_measure.alerting.latencies import models_slow
from otel_measure.alerting.losses import records_lost, store_full
from otel_measure.alerting.own_series import Availabilities, SeriesJudge
from otel_measure.alerting.services import services_burning, services_down
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.losses import judge_failure
from otel_measure.definitions.alerting.rule import AlertRule, Judge
from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.errors import StoreError
from otel_measure.store.protocol import Store

_log: Final = logging.getLogger("otel_measure")
OneJudge: TypeAlias = Callable[[int], Iterable[Judgement]]
Reader: TypeAlias = Callable[[Store, Sequence[AlertRule], int], Iterable[Judgement]]
# What reads the rules of a judge, all of them at once. Beside these, those of "disk_fit" and "series" know the name of
# the machine, that of silence remembers the weeks before, KPIs decide those of "kpi", the evaluator those about itself.
READERS: Final[Mapping[Judge, Reader]] = MappingProxyType(
    {
        "error_share": models_failing,
        "slow_share": models_slow,
        "cost": models_dear,
        "down": services_down,
        "burn_rate": services_burning,
        "loss": records_lost,
        "room": store_full,
    }
)
BY_KEY: Final[Mapping[str, AlertRule]] = MappingProxyType({rule.key: rule for rule in ALERT_RULES})


def of_judge(rules: Iterable[AlertRule], judge: Judge) -> list[AlertRule]:
    """Return the rules that are judged so."""
    return [rule for rule in rules if rule.judge == judge]


def rules_in_force(
    store: Store,
    host: str,
    by_kpis: Callable[[int], Iterable[Judgement]],
    rules: Sequence[AlertRule] = ALERT_RULES,
    timezone: str = "UTC",
    availabilities: Availabilities = lambda *_: (),
) -> AlertRules:
    """Return by what alerts of a store are judged.

    Args:
        store: that the readers read.
        host: the name of its machine.
        by_kpis: returns what the rules say of which a KPI decides.
        rules: those of the product, or what users have instead.
        timezone: whose clock those go by who call models.
        availabilities: returns those of the services of an environment over a window, for rules that users add.
    """
    by_key = MappingProxyType({rule.key: rule for rule in rules})
    readers: dict[Judge, Reader] = {**READERS, "disk_fit": partial(disks_filling, host=host)}
    of_absences = [rule for judge in ABSENCES for rule in of_judge(rules, judge)]
    absent = CallAbsences(store, of_absences, ZoneInfo(timezone))
    judges: dict[str, OneJudge] = {
        judge: partial(readers[judge], store, judged) for judge in readers if (judged := of_judge(rules, judge))
    }
    judges |= {"silence": absent.judge, "kpi": by_kpis}
    if own := of_judge(rules, "series"):
        judges["series"] = SeriesJudge(store, own, host, timezone, availabilities).judge
    return AlertRules(by_key, rules_digest(rules), lambda now_us: list(_judged(judges, by_key, now_us)))


def _judged(judges: Mapping[str, OneJudge], by_key: Mapping[str, AlertRule], now_us: int) -> Iterator[Judgement]:
    """Yield what each judge says; one that fails costs its own rules, which keep what they have, and is told of."""
    about_us = by_key.get("measure_no_evaluation")
    for name, judge in judges.items():
        failure = ""
        try:
            yield from list(judge(now_us))
        except StoreError:
            raise
        except Exception as error:
            _log.exception("the alert rules of %s could not be judged; the others are", name)
            failure = f"{type(error).__name__}: {error}"
        if about_us is not None:
            yield judge_failure(about_us, name, failure)
