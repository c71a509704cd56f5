"""An application that records 100,000 events over some time. Arguments: the endpoint, the store, the seconds.

It prints how long a call took at the 99th percentile, in milliseconds, and what became of the last flush.
"""

from __future__ import annotations

import sys
import time

from otel_measure import configure, flush, get_user_analytics_service, shutdown

EVENTS = 100_000
AT_ONCE = 500

configure(service_name="storm", store=sys.argv[2], otlp_endpoint=sys.argv[1])
users = get_user_analytics_service()
began, seconds = time.monotonic(), float(sys.argv[3])
took: list[float] = []
for first in range(0, EVENTS, AT_ONCE):
    for n in range(first, first + AT_ONCE):
        before = time.perf_counter()
        users.track_event(n % 1000, "click", "button", event_id=f"event-{n}")
        took.append(time.perf_counter() - before)
    time.sleep(max(0.0, began + seconds * (first + AT_ONCE) / EVENTS - time.monotonic()))
took.sort()
print(took[int(0.99 * len(took))] * 1000, flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 120
while not flush(30) and time.monotonic() < deadline:
    time.sleep(0.1)
print(shutdown(), flush=True)
