"""How long services were down, against the time before.

Seconds of an outage depend on each other, so the units are blocks of time, each wholly up or wholly down at the worst:
a single outage is within what a service with outages does, and an alert tells of it. What is told of here is a service
that is down in another share of the blocks than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from otel_measure.definitions.changes import ChangeSubject, Compared, p_value_of, share_variance
from otel_measure.definitions.series import Series
from otel_measure.stats.blocks import BlockRatio, block_ratio


def compared_services(told: Mapping[str, Series]) -> Iterator[tuple[ChangeSubject, Compared]]:
    """Yield the share of the observed time that services were down, of each that was observed in both windows.

    Args:
        told: availability by the name of a service, in blocks of time, beside the time before.
    """
    for name, series in told.items():
        if series.previous is None:
            continue
        now, before = (_down(columns) for columns in (series.columns, series.previous.columns))
        if now.total and before.total:
            # All seconds of a block are alike.
            least_variance = share_variance(now, before) * series.step_seconds
            one = Compared(now.value, before.value, p_value_of(now, before, least_variance))
            yield ChangeSubject("downtime_ratio", "ratio", "service", name), one


def _down(columns: Mapping[str, Sequence[float]]) -> BlockRatio:
    blocks = zip(columns["downtime_seconds"], columns["uptime_seconds"], strict=True)
    return block_ratio((down, down + up) for down, up in blocks if down == down and up == up)
