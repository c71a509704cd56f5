"""Processes that come from one another, each recording calls of a model. Arguments: the endpoint, the store, the way.

Every process records `EACH` calls and as many values of a histogram of the application's own; the first one does so
before there are others, and again afterwards. It prints how many processes there were.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry import metrics

from otel_measure import configure, flush, get_ai_model_service
from otel_measure.process import current

EACH = 25
PROCESSES = 4
took = metrics.get_meter("app").create_histogram("app.took", "s")


def record() -> None:
    """Do what every process does."""
    ai = get_ai_model_service()
    for n in range(EACH):
        ai.record_inference("m", "1", float(n + 1), 1, 1)
        took.record(0.5)


def work() -> None:
    """Be a process that ends in order, whatever its threads are at when it leaves."""
    set_up()
    record()
    assert flush(20)
    stop_sending()


def stop_sending() -> None:
    """Leave nothing half sent: another process would send it again, and none does for 20 s after one that is gone."""
    push = current()._push
    assert push is not None
    push.stop(20)
    assert push._thread is not None
    push._thread.join(20)


def set_up() -> None:
    """Configure this process, where that was not inherited."""
    configure(service_name="forks", store=sys.argv[2], otlp_endpoint=sys.argv[1])


def forked(child: Callable[[], None]) -> None:
    """Run a child that leaves by `os._exit`, as those of Celery do."""
    pids = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * PROCESSES, codes


def grandchild() -> None:
    """Record, and fork once more."""
    work()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def under_load(child: Callable[[], None]) -> None:
    """Fork while other threads record, and are inside the SDK and the store most of the time."""
    stop = threading.Event()
    histogram = metrics.get_meter("app").create_histogram("app.load", "s")

    def load() -> None:
        ai = get_ai_model_service()
        while not stop.wait(0.002):
            ai.record_inference("load", "1", 1.0)
            for _ in range(200):
                histogram.record(1.0)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        forked(child)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def started(method: str) -> None:
    """Run processes of `multiprocessing`."""
    context: Any = multiprocessing.get_context(method)
    processes = [context.Process(target=work) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES


def pool() -> None:
    """Run a pool whose processes are renewed after each task."""
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as workers:
        for _ in range(PROCESSES):
            workers.apply(work)


WAYS: dict[str, tuple[Callable[[], None], int]] = {
    "fork": (lambda: forked(work), PROCESSES),
    "grandchildren": (lambda: forked(grandchild), 2 * PROCESSES),
    "load": (lambda: under_load(work), PROCESSES),
    "multiprocessing-fork": (lambda: started("fork"), PROCESSES),
    "multiprocessing-forkserver": (lambda: started("forkserver"), PROCESSES),
    "multiprocessing-spawn": (lambda: started("spawn"), PROCESSES),
    "pool": (pool, PROCESSES),
}

if __name__ == "__main__":
    way, children = WAYS[sys.argv[3]]
    set_up()
    record()
    way()
    record()
    assert flush(60)  # a busy machine may need longer than the end of a process gives
    print(children + 2)
