"""How often "what changed" invents a change among 1,000 subjects of which none has changed, and which it finds.

python -m tests.definitions.simulated_changes [rounds] prints the table of figures.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_measure.definitions.changes import Compared, changed, cost_variance, p_value_of, share_variance
from otel_measure.stats.blocks import BlockRatio, block_ratio

HOURS: Final = 24
SUBJECTS: Final = 1000
_DAY: Final = 1.0 + 0.8 * np.sin(np.linspace(0, 2 * np.pi, HOURS, endpoint=False))


class CallSpread(NamedTuple):
    """How calls come: the spread of an hour's traffic and of its error rate, and that of what a call costs."""

    name: str
    traffic: float
    bursts: float
    cost: float


SPREADS: Final = (
    CallSpread("independent", 0.0, 0.0, 0.5),
    CallSpread("rough", 0.5, 0.5, 1.0),
    CallSpread("stormy", 1.0, 1.0, 1.5),
)


def _hours(generator: np.random.Generator, spread: CallSpread, per_hour: float, rate: float, cost: float) -> list[Any]:
    """Return calls, failed ones and costs of each hour of a day."""
    traffic = generator.lognormal(-(spread.traffic**2) / 2, spread.traffic, HOURS)
    calls = generator.poisson(_DAY * per_hour * traffic)
    rates = rate * generator.lognormal(-(spread.bursts**2) / 2, spread.bursts, HOURS)
    failed = generator.binomial(calls, np.minimum(rates, 1.0))
    costs = [
        cost * float(generator.lognormal(-(spread.cost**2) / 2, spread.cost, n).sum()) if n else 0.0 for n in calls
    ]
    return [calls, failed, costs]


def _ratio(parts: npt.NDArray[Any] | list[float], calls: npt.NDArray[Any]) -> BlockRatio:
    return block_ratio(zip(map(float, parts), map(float, calls), strict=True))


def compared(generator: np.random.Generator, spread: CallSpread, factor: float = 1.0) -> list[Compared]:
    """Return the error rate and the cost of one subject on two days, of which the second has `factor` times as much."""
    per_hour = float(10 ** generator.uniform(0, 2.5))
    rate = float(10 ** generator.uniform(-3, -1))
    before = _hours(generator, spread, per_hour, rate, 0.01)
    now = _hours(generator, spread, per_hour, rate * factor, 0.01 * factor)
    told = []
    for at, least in ((1, share_variance), (2, cost_variance)):
        of_now, of_before = _ratio(now[at], now[0]), _ratio(before[at], before[0])
        if of_now.total and of_before.total:
            p_value = p_value_of(of_now, of_before, least(of_now, of_before))
            told.append(Compared(of_now.value, of_before.value, p_value))
    return told


def invented(spread: CallSpread, rounds: int, seed: int, subjects: int = SUBJECTS) -> int:
    """Return in how many rounds anything is said to have changed, of subjects of which none has."""
    generator = np.random.default_rng(seed)
    return sum(
        bool(changed([one for _ in range(subjects) for one in compared(generator, spread)])) for _ in range(rounds)
    )


def detected(spread: CallSpread, factor: float, rounds: int, seed: int, subjects: int = SUBJECTS) -> float:
    """Return the share of the numbers of ten subjects that changed, among the others, of which somebody is told."""
    generator = np.random.default_rng(seed)
    hits = total = 0
    for _ in range(rounds):
        of_changed = [one for _ in range(10) for one in compared(generator, spread, factor)]
        others = [one for _ in range(subjects - 10) for one in compared(generator, spread)]
        hits += sum(i < len(of_changed) for i, _ in changed([*of_changed, *others]))
        total += len(of_changed)
    return hits / total


def main(rounds: int) -> None:
    """Print in how many rounds something is invented, and the share of what doubled and trebled that is told of."""
    for i, spread in enumerate(SPREADS):
        print(f"{spread.name:>12}: invented in {invented(spread, rounds, seed=i)} of {rounds} rounds", flush=True)
        for factor in (2.0, 3.0):
            share = detected(spread, factor, max(rounds // 10, 1), seed=i)
            print(f"{'':>12}  times {factor:g}: told of {share:.0%}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
