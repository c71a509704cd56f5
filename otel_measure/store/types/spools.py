"""Where records wait on their host until a server takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from otel_measure.records.kinds import Record


class SpooledBatch(NamedTuple):
    """Records that were kept together."""

    seq: int
    records: Sequence[Record]


class Spool(Protocol):
    """Keeps records in their order; every method may raise `StoreUnavailable`."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep records: they survive the end of the process. All of them are kept, or none."""

    def claim(self, holder: str, now: int, until: int) -> SpooledBatch | None:
        """Return the oldest batch that nobody else is forwarding, `None` where there is none.

        Args:
            holder: who forwards it.
            now: microseconds.
            until: when others may forward it.
        """

    def remove(self, batch: SpooledBatch) -> None:
        """Forget a batch that was taken."""

    def release(self, holder: str) -> None:
        """Let others forward at once what a process has claimed and does not forward any more."""

    def length(self) -> int:
        """Return how many records wait."""

    def close(self) -> None:
        """Close it."""

    def before_fork(self) -> None:
        """Let nothing be half-way while the process is copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""
