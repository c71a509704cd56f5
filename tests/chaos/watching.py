"""A program: `python -m tests.chaos.watching PORT PID TRUSTED` watches a server until it is given a line."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path

from tests.chaos.asking import ask, question, status_of
from tests.chaos.scheduling import waiting_for


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process, 0 when it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def watch(port: int, pid: int, trusted: str, stop: threading.Event) -> dict[str, object]:
    """Ask `/healthz` ten times a second and read the memory fifty times, until told to stop."""
    largest_mib, slowest_s, slowest_own_s, answered, faults = [memory_mib(pid)], 0.0, 0.0, 0, []

    def measure() -> None:
        while not stop.wait(0.02):
            largest_mib.append(max(largest_mib.pop(), memory_mib(pid)))

    def healthz() -> str:
        try:
            status = status_of(ask(port, question("/healthz"), trusted=trusted))
            return "" if status == 200 else f"status {status}"
        except OSError as error:
            return repr(error)

    measuring = threading.Thread(target=measure)
    measuring.start()
    while not stop.wait(0.1):
        with waiting_for(pid) as wait:
            fault = healthz()
        slowest_s, slowest_own_s = max(slowest_s, wait.took_s), max(slowest_own_s, wait.own_s)
        answered += not fault
        faults += [fault] if fault else []
    measuring.join()
    return {
        "slowest_s": slowest_s,
        "slowest_own_s": slowest_own_s,
        "answered": answered,
        "memory_mib": largest_mib[0],
        "faults": faults,
    }


def _await_line(told: threading.Event) -> None:
    sys.stdin.readline()
    told.set()


if __name__ == "__main__":
    told = threading.Event()
    print("watching", flush=True)
    threading.Thread(target=_await_line, args=(told,), daemon=True).start()
    print(json.dumps(watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], told)))
