"""The ranks of rows: of rows of one id that with the largest stays, which is the one that was received first.

A rank falls with the time of receipt. The smallest ones belong to calls that others told of (`final_calls.py`), by the
batch in which they came; what takes the place of a row has a rank that is larger by one.
"""

from __future__ import annotations

import secrets
from typing import Final

_LARGEST: Final = 2**64 - 1
_RANDOM_BITS: Final = 22  # beside 42 of milliseconds: who came first is decided also among those of one
_OF_A_BATCH: Final = 2**8
_BATCHES_END: Final = 2**40
COUNTS_IN_TOTALS: Final = f"rank >= {_BATCHES_END}"
"""The condition that a call was recorded: what others told of has added to totals before it became a row."""


def rank_of_time(received_ms: int) -> int:
    """Return the rank of what was received at a time, milliseconds; of two, another one each."""
    return _LARGEST - (received_ms << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS))


def rank_of_batch(number: int) -> int:
    """Return the rank of calls that others told of, by the number of their batch."""
    return number * _OF_A_BATCH


BATCH: Final = f"if({COUNTS_IN_TOTALS}, 0, intDiv(rank, {_OF_A_BATCH}))"
"""The number of the batch in which a call came that others told of; of one that was recorded 0."""


def in_batches_until(number: int) -> str:
    """Return the condition that a call was recorded, or came in a batch until this one."""
    return f"batch <= {number:d}"
