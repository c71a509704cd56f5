"""What an operation on the small state is.

To apply one is to call the store that every process has in its memory (`state.py`), whose code is the one definition of
what it means. It depends on nothing but that state and what the operation carries: no clock, no chance, no setting.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from otel_measure.store.sqlite.replica import Replica

T_co = TypeVar("T_co", covariant=True)


class Operation(Protocol[T_co]):
    """One thing that is done to the small state."""

    def apply(self, replica: Replica) -> T_co:
        """Do it, and return what becomes of it; it raises what the method of the store raises."""


class OperationStruct(msgspec.Struct, frozen=True, tag=True):
    """What all have in common: the name of the class tells them apart in the log.

    A name stands in logs for ever; what an operation carries may only gain fields that have a default.
    """
