"""How numbers are written for people; what is unknown is a dash."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.experiments.explanation import signed_points

UNKNOWN: Final = "–"
Write: TypeAlias = Callable[[float | None], str]
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def is_known(value: float | None) -> bool:
    """Tell whether a number is there."""
    return value is not None and math.isfinite(value)


def _or_dash(write: Callable[[float], str]) -> Write:
    def written(value: float | None) -> str:
        return UNKNOWN if value is None or not math.isfinite(value) else write(value)

    return written


def _trimmed(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(value: float) -> str:
    """A percentage with as many decimals as tell it from 0 and 100: 99.96 never reads as 100."""
    for digits in range(1, 9):
        text = _trimmed(value, digits)
        if text.lstrip("−") not in ("0", "100") or value in (0, 100):
            break
    return f"{text} %"


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{_trimmed(value / 1000, 2)} s"
    return f"{_trimmed(value, 1 if value < 100 else 0)} ms"


def _usd(value: float) -> str:
    if value and abs(value) < 0.995:
        text = f"{float(f'{value:.3g}'):.12f}".rstrip("0")
        return f"${text}{'0' * (2 - len(text.partition('.')[2]))}"
    return f"${value:,.2f}"


def _size(value: float) -> str:
    step = 0
    while abs(value) >= 1024 and step < len(_BYTES) - 1:
        value, step = value / 1024, step + 1
    return f"{_trimmed(value, 1 if step else 0)} {_BYTES[step]}"


def _duration(seconds: float) -> str:
    """The two largest parts of a length of time."""
    left, parts = round(abs(seconds)), list[str]()
    for name, length in _SPANS:
        n, left = divmod(left, length)
        if n or (name == "s" and not parts):
            parts.append(f"{n} {name}")
    return ("−" if seconds < 0 else "") + " ".join(parts[:2])


whole: Final = _or_dash(lambda value: f"{value:,.0f}")
one: Final = _or_dash(lambda value: _trimmed(value, 1))
two: Final = _or_dash(lambda value: _trimmed(value, 2))
percent: Final = _or_dash(_percent)
share: Final = _or_dash(lambda value: _percent(value * 100))
milliseconds: Final = _or_dash(_milliseconds)
usd: Final = _or_dash(_usd)
size: Final = _or_dash(_size)
rate: Final = _or_dash(lambda value: f"{_size(value)}/s")
duration: Final = _or_dash(_duration)
p_value: Final = _or_dash(lambda value: "< 0.001" if value < 0.001 else _trimmed(value, 3))
points: Final = _or_dash(signed_points)


def counted(n: int, what: str) -> str:
    """Return how many of something there are."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def interval(ends: tuple[float, float] | None, write: Write) -> str:
    """Return an interval, empty where it is not known."""
    if ends is None or not all(map(is_known, ends)):
        return ""
    return f"{write(ends[0])} to {write(ends[1])}"


def words(identifier: str) -> str:
    """Return the words of an identifier: "no_winner_yet" is "no winner yet"."""
    return identifier.replace("_", " ")


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Return a time in a zone, to the minute."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
