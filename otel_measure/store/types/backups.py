"""Copies of a store: what was taken, what was put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

# Told what is being done, how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a store, as of one moment, that was read again and is whole.

    Attributes:
        sha256: of the copy, in hexadecimal; it lies beside it in a file that `sha256sum --check` reads.
    """

    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was put back from a backup.

    Attributes:
        store: its path or URL, without a password.
        erased: persons who were erased since the backup was taken, and were erased from it again.
    """

    store: str
    size_bytes: int
    erased: int
