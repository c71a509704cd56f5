"""An application that records and sends by OTLP; it does what the lines of its standard input say.

    record FIRST LAST    inferences and events number FIRST to LAST
    flush                what is recorded leaves, if it can
    kill                 die without a word

Arguments: the OTLP endpoint, the store. After each line it prints one of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from opentelemetry import metrics

from otel_measure import configure, flush, get_ai_model_service, get_user_analytics_service, shutdown


def latency_ms(n: int) -> float:
    """Return a latency that is spread over three decades."""
    return 10.0 * 1.0046 ** (n * 7919 % 1000)


def record(first: int, last: int) -> dict[str, object]:
    """Record calls and events, and count them with an instrument of the application's own."""
    ai, users = get_ai_model_service(), get_user_analytics_service()
    jobs = metrics.get_meter("shop").create_counter("shop.jobs", "{job}", "Jobs of the shop.")
    for n in range(first, last):
        ai.record_inference("gpt-4o", "2024-08-06", latency_ms(n), 10 + n % 7, n % 5, user_id=n % 50)
        users.track_event(n % 50, "click", "buy", event_id=f"event-{n}")
        jobs.add(1)
    latency = ai.get_latency_metrics("gpt-4o", "2024-08-06")
    cost = ai.get_cost_metrics("gpt-4o", "2024-08-06")
    return {
        "p50_ms": latency.p50_ms,
        "p95_ms": latency.p95_ms,
        "p99_ms": latency.p99_ms,
        "sample_count": latency.sample_count,
        "total_usd": cost.total_usd,
        "input_tokens": cost.input_tokens,
    }


def main() -> None:
    """Do what standard input says, then leave in order."""
    configure(service_name="shop", otlp_endpoint=sys.argv[1], store=sys.argv[2])
    for line in sys.stdin:
        match line.split():
            case ["record", first, last]:
                answer: object = record(int(first), int(last))
            case ["flush"]:
                answer = flush(10)
            case _:
                os.kill(os.getpid(), signal.SIGKILL)
        print(json.dumps(answer), flush=True)
    shutdown()


if __name__ == "__main__":
    main()
