"""A forked process waits for no lock that a thread of its parent held: that thread does not exist in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A thread holds a lock of the SDK at the fork; the child records values that make the histogram rescale, and collects.
PROGRAM = """
import os, signal, sys, threading
import otel_measure
from opentelemetry import metrics
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.exponent_mapping import ExponentMapping
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping
from otel_measure.process import current

otel_measure.configure(store=None, service_name="shop")
took = metrics.get_meter("application").create_histogram("took")
took.record(1.0)
telemetry = current().telemetry
consumer = telemetry._attached.provider._measurement_consumer
storage = consumer._reader_storages[telemetry._attached.streams]
match = next(m for i, ms in storage._instrument_view_instrument_matches.items() if i.name == "took" for m in ms)
aggregation = next(iter(match._attributes_aggregation.values()))
lock = {
    "aggregation": aggregation._lock,
    "consumer": consumer._lock,
    "exponents": ExponentMapping._mappings_lock,
    "logarithms": LogarithmMapping._mappings_lock,
    "series": match._lock,
    "storage": storage._lock,
}[sys.argv[1]]
held, done = threading.Event(), threading.Event()

def hold():
    with lock:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
pid = os.fork()
if pid == 0:
    for value in (1.0, 1e-300, 1e300):
        took.record(value)
        took.record(value, {"of": str(value)})
    os._exit(0 if telemetry.collect() else 1)
stuck = threading.Timer(10, os.kill, (pid, signal.SIGKILL))
stuck.start()
ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
stuck.cancel()
done.set()
thread.join()
print(ended)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("lock", ["aggregation", "consumer", "exponents", "logarithms", "series", "storage"])
def test_a_lock_held_at_a_fork_is_free_in_the_child(lock: str) -> None:
    """Whichever lock of the metrics SDK a thread of the application held: the child records and collects."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", PROGRAM, lock],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "0\n")
