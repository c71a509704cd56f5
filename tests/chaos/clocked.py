"""`python -m tests.chaos.clocked FILE …`: the command line by a wall clock that is as far ahead as the file says.

FILE has a number of seconds, which may change meanwhile. What recurs does so twice a second, and the day that a doubted
clock has to run for takes as long as `CLOCKED_DAY_S` says.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Any

from otel_measure import background, wiring
from otel_measure.definitions import clock

_TURN_S = 0.5
_true_ns = time.time_ns


def main() -> None:
    """Set the clock, and run a command by it."""
    offset = Path(sys.argv[1])

    def time_ns() -> int:
        return _true_ns() + int(float(offset.read_text()) * 1e9)

    def jobs(**given: Any) -> list[background.Job]:
        return [
            dataclasses.replace(job, interval_s=_TURN_S, first_s=0.0) for job in background.jobs_of_a_store(**given)
        ]

    day_us = int(float(os.environ.get("CLOCKED_DAY_S", 86_400)) * 1e6)
    for module, name, value in (
        (time, "time_ns", time_ns),
        (time, "time", lambda: time_ns() / 1e9),
        (wiring, "jobs_of_a_store", jobs),
        (clock, "TRUSTED_AFTER_US", day_us),
    ):
        setattr(module, name, value)

    from exporter.cli.__main__ import main as command_line

    command_line(sys.argv[2:], prog_name="otel-measure")


if __name__ == "__main__":
    main()
