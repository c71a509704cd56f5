"""Pieces of PromQL that several rules and panels are made of; names of series and labels are those of `/metrics`.

Of a count `k` in `n` two things are said without a table of the binomial distribution:

- *surprise*: n · KL(k/n ‖ p), the Chernoff bound. The probability of `k` or more in `n` at a true share of `p` is at
  most exp(−surprise) (Hoeffding 1963, theorem 1), so a rule that asks for more than −ln(1e-5) never fires where the
  exact test of `p < 1e-5` does not.
- *lower bound*: of the Wilson score interval at 95 % (Wilson 1927), as our own rules have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final

from otel_measure.definitions.alerting.calls import CHANCE

JOB: Final = "otel-measure"
"""The `job_name` under which `deploy/prometheus.yml` scrapes the exporter."""

MODEL: Final = "gen_ai_request_model, deployment_environment_name"
SERVICE: Final = "otel_measure_service_name, deployment_environment_name"
ENVIRONMENT: Final = "deployment_environment_name"
HOST: Final = "host_name"
MOUNT: Final = "host_name, system_filesystem_mountpoint"
SENDER: Final = "service_name"

SURPRISE: Final = -log(CHANCE)
_Z_95: Final = 1.96
_HARDLY: Final = 1e-9  # keeps ln() away from 0, where the share is 1
_UNITS_S: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration(seconds: int) -> str:
    """Return whole seconds as PromQL writes them, in the largest unit that fits: 5400 → `90m`."""
    return next(f"{seconds // size}{unit}" for unit, size in _UNITS_S if seconds % size == 0)


def number(value: float) -> str:
    """Return a number as short as it can be said: 20.0 → `20`."""
    return f"{value:.10g}"


def increase(selector: str, by: str, window: str, offset: str = "") -> str:
    """Return how much counters grew in a window, which may lie back."""
    back = f" offset {offset}" if offset else ""
    return f"sum by ({by}) (increase({selector}[{window}]{back}))"


def surprise(count: str, total: str, expected: float) -> str:
    """Return PromQL of n · KL(k/n ‖ expected): how far beyond chance a share is that lies above what is expected."""
    share = f"({count} / {total})"
    rest = f"clamp_min(1 - {share}, {_HARDLY})"
    return (
        f"{total} * ({share} * ln(clamp_min({share}, {_HARDLY}) / {number(expected)})"
        f" + {rest} * ln({rest} / {number(1 - expected)}))"
    )


def lower_bound(count: str, total: str) -> str:
    """Return PromQL of the lower end of the Wilson interval of a share at 95 %."""
    z2 = number(_Z_95**2)
    share = f"({count} / {total})"
    spread = f"sqrt(clamp_min({share} * (1 - {share}), 0) / {total} + {z2} / (4 * {total} ^ 2))"
    return f"({share} + {z2} / (2 * {total}) - {_Z_95} * {spread}) / (1 + {z2} / {total})"


def above(histogram: str, by: str, window: str, value: float, bounds: Sequence[float]) -> str:
    """Return PromQL of how many observations were above a value, by a line between the bounds around it.

    It is what `histogram_quantile()` takes for granted, so a share above `value` of 5 % is a p95 of `value`.

    Raises:
        ValueError: the value is not below the highest bound.
    """
    if not 0 < value < bounds[-1]:
        raise ValueError(f"{value!r} must lie above 0 and below the highest bound of the buckets, {bounds[-1]!r}")
    upper = next(bound for bound in bounds if bound >= value)
    lower = max((bound for bound in bounds if bound < value), default=0.0)
    part = (value - lower) / (upper - lower)
    total = increase(f"{histogram}_count", by, window)
    below_upper = _below(histogram, by, window, upper)
    if part == 1:
        return f"{total} - {below_upper}"
    below_lower = _below(histogram, by, window, lower) if lower else f"0 * {total}"
    return f"{total} - {number(part)} * {below_upper} - {number(1 - part)} * {below_lower}"


def _below(histogram: str, by: str, window: str, bound: float) -> str:
    return increase(f'{histogram}_bucket{{le="{bound!r}"}}', by, window)
