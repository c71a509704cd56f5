"""Where records, and what is set, wait on their host until a server takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from otel_measure.records.kinds import Record


class SpooledBatch(NamedTuple):
    """Records that were kept together, or one command.

    Attributes:
        seq: where it stands among all that was kept.
        records: those that this version can read.
        command: as it was kept; `None` where these are records.
        unreadable: the kind of each record that this version cannot read, "unknown" where not even that can be read.
    """

    seq: int
    records: Sequence[Record]
    command: bytes | None = None
    unreadable: Sequence[str] = ()


class Spool(Protocol):
    """Keeps records and commands in their order; every method may raise `StoreUnavailable`."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep records: they survive the end of the process. All of them are kept, or none."""

    def keep(self, command: bytes) -> None:
        """Keep what is to be set, whatever it says: it survives power loss."""

    def has_commands(self) -> bool:
        """Tell whether anything waits that is to be set."""

    def claim(self, holder: str, now: int, until: int) -> SpooledBatch | None:
        """Return the oldest batch that nobody else is forwarding, `None` where there is none.

        A command waits for all that is before it, and all that is behind it waits for the command, whoever forwards.

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
        """Return how many records and commands wait."""

    def close(self) -> None:
        """Close it."""

    def before_fork(self) -> None:
        """Let nothing be half-way while the process is copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""
