"""What becomes of facts in a store, and which of them an answer is about."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.records.kinds import Record

Outcome: TypeAlias = Literal["accepted", "duplicate", "rejected"]


class Receipt(NamedTuple):
    """What became of one record."""

    outcome: Outcome
    reason: str | None = None


ACCEPTED: Final = Receipt("accepted")
DUPLICATE: Final = Receipt("duplicate")
TOO_OLD: Final = Receipt("rejected", "timestamp is older than the store's retention")
ERASED: Final = Receipt("rejected", "erased")


class OutboxBatch(NamedTuple):
    """Facts that leave together: the rows of the outbox, and what is still there of them."""

    seqs: tuple[int, ...]
    records: list[Record]


class Filter(NamedTuple):
    """Which facts an answer is about.

    Attributes:
        service: `None` is all.
        environment: always one; `None` has the store choose it (`otel_measure.definitions.environments`).
    """

    service: str | None = None
    environment: str | None = None

    def with_default(self, environment: str | None) -> Filter:
        """Return the same, about this environment where none was asked for."""
        return self if self.environment is not None else self._replace(environment=environment)

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return self.service is not None or self.environment is not None


EVERYTHING: Final = Filter()
