"""Environments: what is counted in one never adds to another, and an answer is about one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PRODUCTION: Final = "production"
UNNAMED: Final = ""
"""The environment of records that name none."""


def environment_asked(asked: str | None, seen: Sequence[str]) -> str:
    """Return the environment that an answer is about.

    That is the one asked for, else `production`, else the unnamed, else the first one seen: never the one with the
    most facts, for a load test in staging has the most.

    Args:
        asked: by a question, or by the settings; `None` where neither names one.
        seen: the environments of all facts, in the order in which they were first seen.
    """
    if asked is not None:
        return asked
    return next((name for name in (PRODUCTION, UNNAMED, *seen) if name in seen), UNNAMED)
