"""Fills a store as a large product would: 200 models of which half fail, 30 services, 12 experiments, 240 people.

Arguments: the store.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

from otel_measure import (
    configure,
    get_ai_model_service,
    get_infrastructure_service,
    get_user_analytics_service,
    shutdown,
)

MODELS = 200
CALLS = 24  # of each model, one every four minutes
SERVICES = 30
EXPERIMENTS = 12
PEOPLE = 240


def main() -> None:
    """Record everything, then leave in order."""
    configure(service_name="crowd", store=sys.argv[1])
    rng, now = random.Random(1), datetime.now(UTC)
    ai, users, machine = get_ai_model_service(), get_user_analytics_service(), get_infrastructure_service()
    for n in range(MODELS):
        name = f"a-model-of-a-team-whose-names-are-long-{n:03}"
        for call in range(CALLS):
            failed = n % 2 == 0 and call % 3 == 0
            ai.record_inference(
                name, "2026-01-01", rng.lognormvariate(5, 0.5), 900, None if failed else 250, 0.001 * n,
                user_id=n % 40, error_type="timeout" if failed else None,
                timestamp=now - timedelta(minutes=4 * (CALLS - call)),
            )  # fmt: skip
    for n in range(SERVICES):
        machine.register_service(f"service-{n:02}")
        (machine.record_service_up if n % 10 else machine.record_service_down)(f"service-{n:02}")
    tests = [users.create_ab_test(f"Experiment {n:02}", ["control", "new"]) for n in range(EXPERIMENTS)]
    for n in range(PEOPLE):
        at = now - timedelta(days=rng.randrange(28), minutes=1)
        users.track_event(n, "page_view", "home", page_url="/", timestamp=at)
        for test in tests:
            variant = users.assign_variant(test, n)
            if variant is not None and rng.random() < (0.1 if variant == "control" else 0.2):
                users.record_ab_conversion(test, n)
    shutdown()


if __name__ == "__main__":
    main()
