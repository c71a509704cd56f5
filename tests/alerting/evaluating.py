"""Servers of one store whose judge is a list of outcomes, and whose clock is put by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from otel_measure.alerting.delivery.courier import LEASE_US, Courier
from otel_measure.alerting.delivery.receivers import receivers_of
from otel_measure.alerting.evaluator import AlertRules, Evaluator
from otel_measure.alerting.maintenance import in_maintenance
from otel_measure.alerting.messages import Messages
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.leases import StoreLease
from otel_measure.store.engines import open_store
from otel_measure.store.protocol import Store
from tests.alerting.receiving import RequestLog
from tests.closing import closed_later
from tests.definitions.alerting.judging import MINUTE, NOW, rule

KEY: Final = "whsec_" + "c2VjcmV0" * 4
RULES: Final = {one.key: one for one in (rule("errors"), rule("latency", "ticket"))}


class AlertServer:
    """What of a server has to do with alerts.

    Args:
        store: an empty one when not given.
        name: of the process.
        digest: of its rules.
        log: takes what it sends.
        rules: by what it judges a store; the outcomes of a list when not given.
        settings: of its receivers.

    Attributes:
        judgements: what is said at the next turn.
        log: what it sends.
        now_us: its clock.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        name: str = "one",
        digest: str = "x",
        log: RequestLog | None = None,
        rules: Callable[[Store], AlertRules] | None = None,
        **settings: Any,
    ) -> None:
        self.name, self.now_us = name, NOW
        self.judgements: Sequence[Judgement] = ()
        opened = store or open_store(Settings(store=":memory:"), outbox=False)
        assert opened is not None
        self.store: Final = opened if store is not None else closed_later(opened)
        self.log = log or RequestLog()
        judges = rules(self.store) if rules else AlertRules(RULES, digest, lambda _: self.judgements)
        self.messages = Messages(judges.by_key, "http://page/")
        given = settings or {"alert_webhook": "http://hook/s3cret"}
        self.receivers = receivers_of(Settings(**given), self.messages, self.log)
        self.evaluator = Evaluator(
            self.store,
            judges,
            receivers=[receiver.name for receiver in self.receivers.each_once],
            in_maintenance=lambda environments, now: in_maintenance(self.store, environments, now),
            tell=self.receivers.present,
            holder=lambda: self.name,
            clock=lambda: self.now_us,
        )
        lease = StoreLease(self.store, "alerts", lambda: self.name, lambda: self.now_us, LEASE_US)
        self.courier = Courier(
            self.store, self.receivers.each_once, self.messages, lease, lambda: self.now_us, lambda _, high: high
        )

    def minute(self, *judgements: Judgement, sends: bool = True) -> bool:
        """Evaluate a minute after the last time, and send what is to be sent; return whether it evaluated."""
        self.now_us += MINUTE
        self.judgements = judgements
        evaluated = self.evaluator.evaluate()
        while sends and self.courier.deliver():
            pass
        return evaluated
