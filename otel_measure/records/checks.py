"""The rules every argument of a recording call must meet; each error names the argument, the value and the rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from operator import index
from typing import SupportsIndex, TypeVar
from uuid import UUID

from otel_measure.records.kinds import Json
from otel_measure.records.limits import (
    CURRENCY_CHARS,
    MAX_COUNT,
    MAX_GROUP_CHARS,
    MAX_GROUPS,
    MAX_ID_CHARS,
    MAX_NAME_CHARS,
    MAX_NPS_SCORE,
)
from otel_measure.records.placeholders import ZERO, is_placeholder

_TOO_LONG = 10 ** (MAX_ID_CHARS - 1)
FUTURE_TOLERANCE_US = 300 * 1_000_000
# What came so much later than it was sent was on its way for as long: to correct it would make the time worse.
TRANSIT_US = 60 * 1_000_000
_MIN_TS_US = 0
_INT64_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


def text(argument: str, value: object, limit: int = MAX_NAME_CHARS) -> str:
    """Return a non-empty string of at most `limit` characters."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{argument} must be a non-empty string, not {value!r}")
    if len(value) > limit:
        raise ValueError(f"{argument} must have at most {limit} characters, not {len(value)}")
    if "\x00" in value or not _encodable(value):
        raise ValueError(f"{argument} must be valid Unicode without NUL characters, not {value!r}")
    return str.__str__(value)  # a plain one: numpy's, and an enum's, are kinds of str that JSON does not know


def optional_text(argument: str, value: object, limit: int = MAX_NAME_CHARS) -> str | None:
    """Return a string as `text` does, or `None` for `None` and for the empty string."""
    return None if value is None or value == "" else text(argument, value, limit)


def cut_text(argument: str, value: object, limit: int) -> str | None:
    """Return an optional text that others make as long as they like: cut to `limit`, with "…" at its end.

    Raises:
        ValueError: it is no text of Unicode characters.
    """
    if isinstance(value, str) and len(value) > limit:
        value = f"{value[: limit - 1]}…"
    return optional_text(argument, value, limit)


def id_text(argument: str, value: object) -> str:
    """Return an id of a record, a session or a survey as text."""
    return text(argument, value, MAX_ID_CHARS)


def currency(argument: str, value: object) -> str | None:
    """Return an ISO 4217 code in capitals, or `None` for `None` and for the empty string."""
    code = optional_text(argument, value)
    if code is not None and not (len(code) == CURRENCY_CHARS and code.isascii() and code.isalpha()):
        raise ValueError(f"{argument} must be an ISO 4217 code of three letters, not {value!r}")
    return code.upper() if code is not None else None


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def user_id(argument: str, value: object) -> str:
    """Return the id of somebody whose deed is recorded, as text; a placeholder but 0 is refused."""
    user = stored_user_id(argument, value)
    if names_nobody(user):
        raise ValueError(_nobody(argument, value))
    return user


def names_nobody(user: object) -> bool:
    """Tell whether nothing can be recorded of a user because the id is a placeholder; 0 is a user of some systems."""
    return (
        isinstance(user, str | int)
        and not isinstance(user, bool)
        and (written := str(user)) != ZERO
        and is_placeholder(written)
    )


def linked_id(argument: str, value: object) -> str:
    """Return an id that is to be one of a person's, as text; a placeholder is refused, 0 too."""
    linked = stored_user_id(argument, value)
    if is_placeholder(linked):
        raise ValueError(_nobody(argument, value))
    return linked


def identified_user_id(argument: str, value: object) -> str:
    """Return the id of a user whom somebody else turned out to be: as `linked_id`, but the number 0 may be a user."""
    return user_id(argument, value) if isinstance(value, SupportsIndex) else linked_id(argument, value)


def _nobody(argument: str, value: object) -> str:
    return f"{argument} must be an id of somebody, not the placeholder {value!r}: leave out who is not known"


def stored_user_id(argument: str, value: object) -> str:
    """Return a user id as text, a placeholder too: `1`, `"1"` and numpy's 1 are the same user; a bool is nobody."""
    if isinstance(value, str):
        return text(argument, value, MAX_ID_CHARS)
    if type(value) is int:  # what most others give; to ask for a protocol takes longer than all the rest of a check
        return _whole_number(argument, value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        with suppress(TypeError):  # of numpy's bool, which has the method
            return _whole_number(argument, index(value))
    raise ValueError(f"{argument} must be an int, a UUID or a non-empty string, not {value!r}")


def _whole_number(argument: str, value: int) -> str:
    if abs(value) >= _TOO_LONG:
        raise ValueError(f"{argument} must have at most {MAX_ID_CHARS} characters")
    return str(value)


def number(argument: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number in [low, high]; a bool is not a number."""
    # A numpy scalar has __float__ too, and is what a model often returns.
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError(f"{argument} must be a number, not {value!r}")
    try:
        as_float = float(value)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"{argument} must be a finite number, not {value!r}") from None
    if not math.isfinite(as_float):
        raise ValueError(f"{argument} must be a finite number, not {value!r}")
    if not low <= as_float <= high:
        raise ValueError(f"{argument} must be {_range(low, high)}, not {value!r}")
    return as_float


def optional_number(argument: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> float | None:
    """Return a number as `number` does, or `None` for `None`."""
    return None if value is None else number(argument, value, low=low, high=high)


def optional_count(argument: str, value: object) -> int | None:
    """Return a whole number >= 0, or `None` for `None`: an unknown count is not 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(f"{argument} must be a whole number or None (unknown), not {value!r}")
    whole = int(value)
    if not 0 <= whole <= MAX_COUNT:
        raise ValueError(f"{argument} must be between 0 and 1e15, not {value!r}")
    return whole


def nps_score(argument: str, value: object) -> int:
    """Return a whole number from 0 to 10."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) <= MAX_NPS_SCORE:
        raise ValueError(f"{argument} must be a whole number from 0 to {MAX_NPS_SCORE}, not {value!r}")
    return int(value)


def _range(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {low:g}"
    if low == -math.inf:
        return f"at most {high:g}"
    return f"between {low:g} and {high:g}"


def timestamp_us(argument: str, value: object, now_us: int) -> int:
    """Return microseconds since 1970 UTC of an aware datetime; `None` is now.

    Raises:
        ValueError: the value is no datetime, is naive, or lies before 1970.
    """
    if value is None:
        return now_us
    if not isinstance(value, datetime):
        raise ValueError(f"{argument} must be an aware datetime, not {value!r}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{argument} must carry a time zone (datetime.now(timezone.utc)), not the naive {value!r}")
    delta = value - _EPOCH
    ts = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if ts < _MIN_TS_US:
        raise ValueError(f"{argument} must not lie before 1970, not {value!r}")
    return ts


def moment_us(argument: str, value: object) -> int:
    """Return microseconds since 1970 UTC of an aware datetime that has to be given, as `timestamp_us` does."""
    if value is None:
        raise ValueError(f"{argument} must be an aware datetime, not None")
    return timestamp_us(argument, value, 0)


def settled_time(ts_us: int, received_us: int) -> tuple[int, bool]:
    """Return the time a record counts at, and whether it was clamped: over 300 s in the future becomes now."""
    if ts_us > received_us + FUTURE_TOLERANCE_US:
        return received_us, True
    return ts_us, False


def settled_timestamp(argument: str, value: object, now_us: int, sent_at: object = None) -> tuple[int, bool]:
    """Return the time that a given timestamp counts at, and whether it was clamped; `None` is now.

    Args:
        argument: names the timestamp in an error.
        value: an aware datetime or `None`.
        now_us: microseconds.
        sent_at: when its sender sent it by the clock that the timestamp was read from: what this clock is off corrects
            it; `None` corrects nothing.

    Raises:
        ValueError: as for `timestamp_us`.
    """
    offset_us = now_us - timestamp_us("sent_at", sent_at, now_us)
    if value is None:
        return now_us, False
    if abs(offset_us) < TRANSIT_US:
        offset_us = 0
    return settled_time(max(timestamp_us(argument, value, now_us) + offset_us, 0), now_us)


def json_object(argument: str, value: object) -> dict[str, Json] | None:
    """Return a mapping of JSON values (numbers of numpy and the like become plain ones), or `None` when empty."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"{argument} must be a mapping, not {value!r}")
    return {
        text(f"a key of {argument}", key): _json(f"{argument}[{key!r}]", item) for key, item in value.items()
    } or None


def groups(argument: str, value: object) -> dict[str, str] | None:
    """Return a mapping of attributes to labels, both short text, or `None` when empty."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"{argument} must be a mapping, not {value!r}")
    if len(value) > MAX_GROUPS:
        raise ValueError(f"{argument} must have at most {MAX_GROUPS} attributes, not {len(value)}")
    return {
        text(f"a key of {argument}", key, MAX_GROUP_CHARS): text(f"{argument}[{key!r}]", label, MAX_GROUP_CHARS)
        for key, label in value.items()
    } or None


def _json(argument: str, value: object, depth: int = 0) -> Json:
    if depth > 8:
        raise ValueError(f"{argument} must be nested at most 8 deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not _encodable(value):
            raise ValueError(f"{argument} must be valid Unicode, not {value!r}")
        return str.__str__(value)
    if isinstance(value, int):
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise ValueError(f"{argument} must fit 64 bits, not {value!r}")
        return int(value)
    if isinstance(value, Mapping):
        return {text(f"a key of {argument}", k): _json(f"{argument}[{k!r}]", v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(f"{argument}[{i}]", item, depth + 1) for i, item in enumerate(value)]
    return _json_number(argument, value)


def _json_number(argument: str, value: object) -> Json:
    if hasattr(value, "__index__"):
        return int(value)
    if hasattr(value, "__float__"):
        as_float = float(value)
        # Not a number is how data frames spell "missing".
        return as_float if math.isfinite(as_float) else None
    raise ValueError(f"{argument} must be a JSON value (text, number, bool, list, mapping), not {value!r}")


def one_of(argument: str, value: object, allowed: frozenset[str]) -> str:
    """Return a value of a closed list; an enum member stands for its value."""
    plain = getattr(value, "value", value)
    if isinstance(plain, str) and plain in allowed:
        return plain
    raise ValueError(f"{argument} must be one of {', '.join(sorted(allowed))}, not {value!r}")
