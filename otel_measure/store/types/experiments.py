"""Definitions of experiments, and how many users and conversions each hour adds to an arm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Experiment:
    """The definition of a test; it never changes, so it may be kept.

    Attributes:
        key: names the test everywhere and is the seed of its hash.
        variants: the first is the control.
        weights: the share of each variant.
        coverage: the share of the users that take part.
        created: microseconds; no part of what makes two definitions differ.
    """

    key: str
    name: str
    variants: tuple[str, ...]
    weights: tuple[float, ...]
    coverage: float
    created: int = field(default=0, compare=False)


class ArmHour(NamedTuple):
    """What one hour of the facts' own time adds to an arm; negative for users who left it for being in two.

    Attributes:
        hour: hours since 1970 UTC.
        conversions: users whose first conversion at or after their first exposure is in this hour.
    """

    hour: int
    variant: str
    users: int
    conversions: int
