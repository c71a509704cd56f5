"""The Prometheus text exposition (version 0.0.4) of totals whose labels are stored already escaped.

Names are those of `opentelemetry-exporter-prometheus`, so that a rule or dashboard written for it works here:
characters other than `a-zA-Z0-9:` become `_` (beyond ASCII their code points, so that `温度` and `湿度` are two), the
unit is spelt out as a suffix (`s` → `_seconds`; annotations such as `{USD}` and the unit `1` add nothing), a counter
ends in `_total`, a histogram has `_bucket`, `_count` and `_sum`.

Whatever comes in, what goes out is valid. Families that get the same exposed name are merged when their type agrees
(of two series with equal labels the first stands); otherwise the later one is renamed by its kind: `x_gauge`,
`x_histogram`, `x_counter_total`. A histogram claims the names of its parts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final

from otel_measure.conventions.labels import spelt
from otel_measure.definitions.exposition import Family, Sample

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TYPES: Final = {"counter": "counter", "histogram": "histogram"}
_DEFAULT_TYPE: Final = "gauge"
_COUNTER_SUFFIX: Final = "_total"
_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9:]+")
_ANNOTATION: Final = re.compile(r"\{.*\}")
# UCUM → the words of the OpenTelemetry to Prometheus specification.
_UNITS: Final = {
    "1": "", "%": "percent",
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds",
    "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
    "Cel": "celsius", "Hz": "hertz",
}  # fmt: skip
_PER_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
# From here on the reference client writes numbers with an exponent, as Go does.
_EXPONENT_FROM: Final = 1e6


@dataclass(slots=True)
class _Block:
    """The series under one HELP and TYPE: those of one family, or of several with the same name and type."""

    name: str
    type: str
    description: str
    families: list[Family]


def render(families: Iterable[Family]) -> bytes:
    """Return the exposition of `families`, in their order; those without series are left out.

    Args:
        families: their samples' labels are label text as `otel_measure.conventions.labels.escaped()` returns it.
    """
    lines: list[str] = []
    for block in _blocks(families):
        lines.append(_header(block.name, block.type, block.description))
        write = _histogram_lines if block.type == "histogram" else _value_lines
        for family, samples in _distinct(block.families):
            write(lines, block.name, family.bounds, samples)
    return "".join(lines).encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def exposed_name(name: str, kind: str, unit: str) -> str:
    """Return the name a metric has in Prometheus, with `_total` on a counter, without the parts of a histogram."""
    name = spelt(name)
    if name[:1].isdigit():
        name = "_" + name[1:]
    base = _NOT_IN_A_NAME.sub("_", name)
    is_counter = kind == "counter"
    if is_counter:
        base = base.removesuffix(_COUNTER_SUFFIX)
    words = unit_words(unit)
    if words and not base.endswith(f"_{words}"):
        base = f"{base}_{words}"
    return base + _COUNTER_SUFFIX if is_counter else base or "_"


def unit_words(unit: str) -> str:
    """Return a UCUM unit in the words that end a metric's name: `By/s` → `bytes_per_second`; "" for none."""
    unit = _ANNOTATION.sub("", unit)
    if unit in _UNITS:
        return _UNITS[unit]
    top, _, bottom = unit.partition("/")
    bottom = _NOT_IN_A_NAME.sub("_", bottom)
    if bottom:
        top = _NOT_IN_A_NAME.sub("_", top)
        top, bottom = _UNITS.get(top, top), _PER_UNITS.get(bottom, bottom)
        return f"{top}_per_{bottom}" if top else f"per_{bottom}"
    return _NOT_IN_A_NAME.sub("_", unit).strip("_")


def _blocks(families: Iterable[Family]) -> list[_Block]:
    blocks: dict[str, _Block] = {}
    taken: set[str] = set()
    for family in families:
        if not family.samples:
            continue
        kind = _TYPES.get(family.kind, _DEFAULT_TYPE)
        name = exposed_name(family.name, family.kind, family.unit)
        while not (name in blocks and blocks[name].type == kind) and not taken.isdisjoint(_parts(name, kind)):
            name = _renamed(name, kind)
        block = blocks.setdefault(name, _Block(name, kind, "", []))
        block.description = block.description or family.description
        block.families.append(family)
        taken.update(_parts(name, kind))
    return list(blocks.values())


def _renamed(name: str, kind: str) -> str:
    end = _COUNTER_SUFFIX if kind == "counter" else ""
    return f"{name.removesuffix(end)}_{kind}{end}"


def _parts(name: str, kind: str) -> tuple[str, ...]:
    return (name, f"{name}_bucket", f"{name}_count", f"{name}_sum") if kind == "histogram" else (name,)


def _distinct(families: list[Family]) -> Iterator[tuple[Family, list[Sample]]]:
    """Yield each family with those of its series that did not come before."""
    seen: set[str] = set()
    for family in families:
        first = {sample.labels: sample for sample in reversed(family.samples)}
        fresh = family.samples
        if len(first) < len(fresh) or not seen.isdisjoint(first):
            fresh = [s for s in fresh if s is first[s.labels] and s.labels not in seen]
        seen.update(first)
        yield family, fresh


@lru_cache(maxsize=4096)
def _header(name: str, kind: str, description: str) -> str:
    text = description.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _value_lines(lines: list[str], name: str, bounds: tuple[float, ...], samples: list[Sample]) -> None:
    lines += [
        f"{name}{{{s.labels}}} {_number(s.value)}\n" if s.labels else f"{name} {_number(s.value)}\n" for s in samples
    ]


def _histogram_lines(lines: list[str], name: str, bounds: tuple[float, ...], samples: list[Sample]) -> None:
    rows = _bucket_labels(bounds)
    for sample in samples:
        labels, buckets = sample.labels, sample.buckets
        start = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
        braced = f"{{{labels}}}" if labels else ""
        count = 0
        for le, n in zip(rows, buckets, strict=False):
            count += n
            if le:
                lines.append(f"{start}{le}{_number(count)}\n")
        # The parts of a histogram have to agree, whatever a foreign sender says about its count.
        count = sum(buckets) if buckets else sample.count
        lines.append(f'{start}le="+Inf"}} {_number(count)}\n{name}_count{braced} {_number(count)}\n')
        lines.append(f"{name}_sum{braced} {_number(sample.value)}\n")


@lru_cache(maxsize=1024)
def _bucket_labels(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """Return the end of a bucket's labels for each bound; "" for an infinite one, which `+Inf` says already."""
    return tuple(f'le="{float(bound)}"}} ' if isfinite(bound) else "" for bound in bounds)


def _number(value: float) -> str:
    """Return a value as the reference client writes it: `1.0`, `1.5e+06`, `NaN`, `+Inf`."""
    value = float(value)
    if value < _EXPONENT_FROM:
        text = repr(value)
        return text if text != "-inf" else "-Inf"
    if not isfinite(value):
        return "NaN" if value != value else "+Inf"
    whole, point, fraction = repr(value).partition(".")
    if not point or len(whole) == 1:
        return whole + point + fraction
    digits = (whole[1:] + fraction).rstrip("0")
    return f"{whole[0]}.{digits}e+{len(whole) - 1:02d}" if digits else f"{whole[0]}e+{len(whole) - 1:02d}"
