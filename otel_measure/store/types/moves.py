"""A store that was moved from one engine to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved.

    Attributes:
        facts: by their kind, how many there are in both places, counted after it.
        waiting: how many of them have not left by OTLP; they do from the new place.
    """

    facts: Mapping[str, int]
    waiting: int
