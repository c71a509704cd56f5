"""A server as `otel-measure serve` runs it, with one rule: a registered service is down now.

`python alerting.py STORE PORT`; receivers come from the environment.
"""

from __future__ import annotations

import sys

from exporter.cli import serving
from otel_measure import process, wiring
from otel_measure.alerting.evaluator import AlertRules
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.runtime import Runtime

DOWN = AlertRule("down_now", "Down now", "service", "down", "page", 60, 0.0, "seconds", holds_s=0, clears_s=1)


def judge(_: int) -> list[Judgement]:
    """Return how each service is."""
    return [
        Judgement(
            DOWN.key,
            AlertSubject("service", service.service_name, ""),
            "beyond" if service.state == "down" else "within",
            value=float(service.state == "down"),
            threshold=DOWN.threshold,
            sentence=f"{service.service_name} is {service.state}",
        )
        for service in process.current().infrastructure.list_services().services
    ]


def say(*words: object) -> None:
    """Print to the log of the test."""
    print(*words, flush=True)


if __name__ == "__main__":
    vars(wiring)["ALERT_LEASE_US"] = 15_000_000  # tests kill who may send, and another goes on when the right ends
    # Else `serve` sets the address, and the settings would differ from those that the runtime has.
    address = f"http://127.0.0.1:{sys.argv[2]}/"
    settings = Settings.load(store=sys.argv[1], port=int(sys.argv[2]), public_url=address)
    process.install(Runtime(settings, alert_rules=AlertRules({DOWN.key: DOWN}, "of the test", judge)))
    serving.serve(settings, announce=say, warn=say)
