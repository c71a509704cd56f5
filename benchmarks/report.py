"""What a benchmark says: our figure, that of the reference in the same run, and the budget for their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        ours, reference: in `unit`; a reference of `None` makes the budget an absolute one.
        budget: the most (or, with `better="high"`, the least) the ratio may be.
    """

    key: str
    what: str
    ours: float
    reference: float | None
    budget: float
    unit: str
    better: Literal["low", "high"] = "low"

    @property
    def ratio(self) -> float:
        """Ours over the reference, or ours itself."""
        return self.ours / self.reference if self.reference else self.ours

    @property
    def met(self) -> bool:
        """Whether the budget is kept."""
        return self.ratio <= self.budget if self.better == "low" else self.ratio >= self.budget


def best(run: Callable[[], float], times: int = 3) -> float:
    """Return the median of a few runs: machines are shared, and the mean remembers every hiccup."""
    return statistics.median(run() for _ in range(times))


def seconds(run: Callable[[], object], *, cpu: bool = False) -> float:
    """Return how long a call took, on the wall or in CPU time of this process."""
    clock = time.process_time if cpu else time.perf_counter
    began = clock()
    run()
    return clock() - began
