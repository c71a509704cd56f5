"""How large a store is, and what making it smaller needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compacted:
    """What making a store smaller has come to, in bytes.

    Attributes:
        before, after: of its file.
        needed: of free disk, while it was being done.
    """

    before: int
    after: int
    needed: int
