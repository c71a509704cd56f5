"""Answers as values that compare: an unknown number is `nan`, and no `nan` is equal to another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping


def comparable(answer: object) -> object:
    """Return an answer with dataclasses as dicts and every `nan` as `None`, at any depth."""
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {field.name: comparable(getattr(answer, field.name)) for field in dataclasses.fields(answer)}
    if isinstance(answer, Mapping):
        return {key: comparable(value) for key, value in answer.items()}
    if isinstance(answer, tuple | list):
        return [comparable(value) for value in answer]
    return None if isinstance(answer, float) and math.isnan(answer) else answer
