"""What the value of a setting may be: what tells whether it is that, and how a refusal names it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final, TypeAlias, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

Kind: TypeAlias = tuple[Callable[[Any], bool], str]
FLAG: Final[Kind] = (lambda v: isinstance(v, bool), "true or false")
WEB_ADDRESS: Final = "an http:// or https:// URL"


def whole(low: int, high: int) -> Kind:
    """Return what a whole number from `low` to `high` is."""
    return (
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
        f"a whole number from {low} to {high}",
    )


def is_zone(value: Any) -> bool:
    """Tell whether something is the name of a time zone."""
    try:
        ZoneInfo(value)
    except Exception:
        return False
    return True


def one_of(kind: Any) -> Kind:
    """Return what a value of a `Literal` is."""
    names = get_args(kind)
    return lambda v: v in names, f"one of {', '.join(map(json.dumps, names))}"


def seconds(low: float, high: float) -> Kind:
    """Return what a number of seconds from `low` to `high` is."""
    return (
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high,
        f"a number of seconds from {low:g} to {high:g}",
    )


def is_database_name(value: Any) -> bool:
    """Tell whether something is absent, or the name of a database that a server reads without quotes."""
    return value is None or (isinstance(value, str) and value.isascii() and value.isidentifier())


def is_web_address(value: Any) -> bool:
    """Tell whether something is absent, or a URL of HTTP with a host."""
    if value is None:
        return True
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        return False


def is_base_address(value: Any) -> bool:
    """Tell whether something is absent, or a URL that a path can be put behind."""
    return is_web_address(value) and not {*"?#"} & {*(value or "")}


def is_trace_url(value: Any) -> bool:
    """Tell whether something is absent, or a URL with the place of one trace id behind its host."""
    if value is None:
        return True
    if not isinstance(value, str) or value.count("{trace_id}") != 1:
        return False
    before, after = value.split("{trace_id}")
    return is_web_address(before) and urlsplit(before).path != "" and not {*"{}"} & {*before, *after}


def is_signing_key(value: Any) -> bool:
    """Tell whether something is absent, or a secret as the Standard Webhooks specification has it."""
    if value is None:
        return True
    try:
        return value.startswith("whsec_") and 24 <= len(b64decode(value[6:], validate=True)) <= 64
    except (AttributeError, ValueError):
        return False


def is_text_or_none(value: Any) -> bool:
    """Tell whether something is absent, or text that is not empty."""
    return value is None or (isinstance(value, str) and value != "")
