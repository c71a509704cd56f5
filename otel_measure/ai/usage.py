"""What an answer of a model says about itself: tokens and what else is charged, the model that answered, cost, id.

Answers come as objects of many client libraries or as decoded JSON, whole or in chunks. One table
(``ai.usage_shapes``) names, for each known shape, where its numbers stand; a shape that is not in the table gives
unknowns. Reading never raises and never guesses: what is not a plain number or text (a mock, a method, a bool) is
unknown, and unknown is ``None``, not 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from otel_measure.ai import usage_shapes
from otel_measure.ai.usage_shapes import Path, Shape, Unit

_UNKNOWN: Final = Shape()
_ABSENT: Final = object()
# Objects that hold the body of an answer as it came; others of their kind may have to read it first.
_RAW_RESPONSES: Final = frozenset({"APIResponse", "LegacyAPIResponse"})

_CACHE_UNITS: Final = "cache_"


class Usage(msgspec.Struct, frozen=True):
    """What one answer of a model reports.

    Attributes:
        input_tokens: tokens read, cached ones included.
        output_tokens: tokens written, reasoning included.
        cached_input_tokens: the part of the input served from a cache.
        cache_write_tokens: the part of the input written to a cache.
        reasoning_tokens: the part of the output that was thought and not said.
        units: what else is charged apart, above 0, as the price table calls it: parts of the input and output such as
            `input_audio_tokens` and `cache_write_1h_tokens`, and other things such as `web_searches`.
        service_tier: such as "priority", "flex" or "batch", in the provider's words.
        response_model: the model that answered (a request for an alias is answered by a dated version).
        response_id: the provider's id of the answer.
        provider: ``gen_ai.provider.name`` where the shape alone tells it; OpenAI's shape is spoken by too many.
        cost_usd: what the provider says it charged.
        cost_is_estimated: whether it is what an instrumentation has worked out instead.
        finish_reasons: why each choice ended, in the provider's words.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    units: Mapping[Unit, float] = msgspec.field(default_factory=dict)
    service_tier: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    provider: str | None = None
    cost_usd: float | None = None
    cost_is_estimated: bool = False
    finish_reasons: tuple[str, ...] = ()

    @property
    def counts_anything(self) -> bool:
        """Whether anything is known that could be charged."""
        return self.input_tokens is not None or bool(self.units)

    def without_cache(self) -> Usage:
        """Return the same tokens, none of them read from or written to a cache."""
        units = {unit: n for unit, n in self.units.items() if not unit.startswith(_CACHE_UNITS)}
        return msgspec.structs.replace(self, cached_input_tokens=0, cache_write_tokens=0, units=units)

    def completed(self, other: Usage) -> Usage:
        """Return this usage, with what it does not know from another."""
        unknown = [name for name in self.__struct_fields__ if getattr(self, name) is None]
        completing: dict[str, Any] = {name: getattr(other, name) for name in unknown}
        is_estimated = other.cost_is_estimated if self.cost_usd is None else self.cost_is_estimated
        return msgspec.structs.replace(
            self, **completing, units={**other.units, **self.units}, cost_is_estimated=is_estimated
        )

    def plus(self, other: Usage) -> Usage:
        """Return the usage of two calls that are parts of one: counts and costs add, of names the first stands."""
        both: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name)
            for name in _ADDED
            if getattr(self, name) is not None and getattr(other, name) is not None
        }
        units = {
            unit: self.units.get(unit, 0) + other.units.get(unit, 0) for unit in self.units.keys() | other.units.keys()
        }
        return msgspec.structs.replace(self.completed(other), **both, units=units)


_ADDED: Final = (
    *("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd"),
)


def read_usage(response: object) -> Usage:
    """Read what a complete answer reports about itself.

    Args:
        response: an answer of the OpenAI (chat or responses), Anthropic, Gemini, Bedrock (converse or invoke), Mistral,
            Cohere, Groq, xAI, Perplexity, Ollama or LangChain kind, or of a server that speaks one of them: a client
            library's object, its raw response, or decoded JSON.

    Returns:
        Its usage; a field that the answer does not have is ``None``. Never raises.
    """
    reader = UsageReader()
    reader.feed(response)
    return reader.usage


class UsageReader:
    """Reads the usage of a stream, chunk by chunk.

    Providers report running totals while they stream, or one total at the end; so each count is the largest seen.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self._shape = _UNKNOWN
        self._counts: dict[Path, int] = {}
        self._units: dict[tuple[Unit, Path], float] = {}
        self._tier: str | None = None
        self._model: str | None = None
        self._id: str | None = None
        self._provider: str | None = None
        self._cost_usd: float | None = None
        self._reasons: list[str] = []

    def feed(self, chunk: object) -> None:
        """Take in one chunk (or a whole answer). Never raises."""
        node = _parsed(chunk)
        self._read(node)
        for wrapper in usage_shapes.WRAPPERS:
            inner = _get(node, wrapper)
            if inner is not None:
                self._read(inner)

    @property
    def usage(self) -> Usage:
        """What is known so far."""
        shape = self._shape
        input_tokens = self._total(shape.input, shape.input_added)
        return Usage(
            input_tokens=input_tokens,
            output_tokens=self._output(shape, input_tokens),
            cached_input_tokens=self._first(shape.cached),
            cache_write_tokens=self._first(shape.written),
            reasoning_tokens=self._first(shape.reasoning),
            units=self._unit_counts(),
            service_tier=self._tier,
            response_model=self._model,
            response_id=self._id,
            provider=self._provider,
            cost_usd=self._cost_usd,
            finish_reasons=tuple(self._reasons),
        )

    def _read(self, node: object) -> None:
        self._model = self._model or _first_text(node, usage_shapes.MODELS)
        self._id = self._id or _first_text(node, usage_shapes.IDS)
        self._tier = _first_text(node, usage_shapes.TIERS) or self._tier
        self._reasons.extend(_finish_reasons(node))
        self._read_tools(node)
        for (head, *rest), shapes in usage_shapes.ROOTS:
            place = _get(node, head, _ABSENT)
            if place is None:
                return  # the field is there and not filled yet: this is its shape, so the others need no look
            place = None if place is _ABSENT else _walk(place, rest)
            if place is not None and any(self._read_counts(node, place, shape) for shape in shapes):
                return
        for shape in usage_shapes.AT_THE_TOP:
            if self._read_counts(node, node, shape):
                return

    def _read_counts(self, node: object, place: object, shape: Shape) -> bool:
        if not _has_counts(place, shape):
            return False
        if shape is not self._shape:
            self._shape, self._counts = shape, {}
        for path in shape.counts:
            count = _count(_walk(place, path), shape.as_text)
            if count is not None:
                self._counts[path] = max(count, self._counts.get(path, 0))
        for unit, path in shape.units:
            self._note(unit, path, _number(_walk(place, path)))
        for path, unit_of in shape.by_modality:
            self._read_list(path, _items(_walk(place, path)), unit_of)
        tiers = (_text(_walk(place, path)) for path in shape.tiers)
        self._tier = next((tier for tier in tiers if tier), None) or self._tier
        cost_usd = _cost_usd(place)
        self._cost_usd = self._cost_usd if cost_usd is None else cost_usd
        self._provider = self._provider or shape.provider or _marked_provider(node, place, shape)
        return True

    def _read_list(self, path: Path, items: Sequence[object], unit_of: Mapping[str, Unit]) -> None:
        for item in items:
            name = _first_text(item, (("modality",), ("ttl",)))
            unit = unit_of.get(name.upper(), unit_of.get(name)) if name else None
            if unit is not None and name is not None:
                counts = (_count(_get(item, key)) for key in ("token_count", "tokenCount", "inputTokens"))
                self._note(unit, (*path, name), next((count for count in counts if count is not None), None))

    def _read_tools(self, node: object) -> None:
        used = [_text(_get(item, "type")) for item in _items(_get(node, "output"))]
        for kind, unit in usage_shapes.TOOL_UNITS.items():
            self._note(unit, ("output", kind), float(used.count(kind)))
        candidates = _items(_get(node, "candidates"))
        queries = sum(
            len(_items(_walk(candidate, path))) for candidate in candidates for path in usage_shapes.GROUNDINGS
        )
        self._note("web_searches", ("candidates",), float(queries))

    def _note(self, unit: Unit, path: Path, count: float | None) -> None:
        if count:
            self._units[unit, path] = max(float(count), self._units.get((unit, path), 0.0))

    def _unit_counts(self) -> dict[Unit, float]:
        units: dict[Unit, float] = {}
        for (unit, _), count in self._units.items():
            units[unit] = units.get(unit, 0) + (int(count) if count.is_integer() else count)
        return units

    def _output(self, shape: Shape, input_tokens: int | None) -> int | None:
        output_tokens, total = self._total(shape.output, shape.output_added), self._counts.get(shape.total)
        if output_tokens is None or total is None or input_tokens is None:
            return output_tokens
        return max(output_tokens, total - input_tokens)

    def _total(self, main: Path, added: tuple[Path, ...]) -> int | None:
        # Gemini leaves out counts that are 0, so an answer of thoughts alone has no main count.
        known = [self._counts[path] for path in (main, *added) if path in self._counts]
        return sum(known) if known else None

    def _first(self, alternatives: tuple[Path, ...]) -> int | None:
        return next((self._counts[path] for path in alternatives if path in self._counts), None)


def _has_counts(place: object, shape: Shape) -> bool:
    """Tell whether any of the main counts is there; of a shape without tokens, any unit."""
    if shape.input:
        return any(_count(_walk(place, path), shape.as_text) is not None for path in (shape.input, shape.output))
    return any(_number(_walk(place, path)) is not None for _, path in shape.units)


def _parsed(response: object) -> object:
    """Return what a raw response of a client library holds, where reading it takes nothing from anybody."""
    try:
        parse: Callable[[], object] | None = getattr(response, "parse", None)
        if type(response).__name__ in _RAW_RESPONSES and parse is not None:
            return parse() if _walk(response, ("http_response", "is_closed")) is True else response
    except Exception:
        return response
    return response


def _get(node: object, key: str, absent: object = None) -> object:
    """The value under a key or attribute; anything that goes wrong in foreign code is an absent value."""
    try:
        if isinstance(node, Mapping):
            return node.get(key, absent)
        return getattr(node, key, absent)
    except Exception:
        return absent


def _walk(node: object, path: Sequence[str]) -> object:
    for key in path:
        if node is None:
            return None
        node = _get(node, key)
    return node


def _number(value: object) -> float | None:
    # type() and not isinstance(): a mock may claim any class, and a bool is not a number here.
    if type(value) is bool or not issubclass(type(value), int | float):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _count(value: object, as_text: bool = False) -> int | None:
    if as_text and type(value) is str:
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else None
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and number < 2**53 else None


def _text(value: object) -> str | None:
    if issubclass(type(value), Enum):
        plain = getattr(value, "value", None)
        value = plain if type(plain) is str else getattr(value, "name", None)
    return str.__str__(value) or None if isinstance(value, str) and issubclass(type(value), str) else None


def _first_text(node: object, paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        text = _text(_walk(node, path))
        if text is not None:
            return text
    return None


def _finish_reasons(node: object) -> Iterator[str]:
    for name, paths in usage_shapes.REASON_LISTS:
        choices = _get(node, name, _ABSENT)
        if choices is _ABSENT:
            continue
        for choice in _items(choices):
            reason = _first_text(choice, paths)
            if reason is not None and reason != usage_shapes.NO_REASON:
                yield reason
        return
    reason = _first_text(node, usage_shapes.REASONS)
    if reason is not None:
        yield reason


def _items(value: object) -> tuple[object, ...]:
    if not issubclass(type(value), Sequence) or issubclass(type(value), str | bytes):
        return ()
    try:
        return tuple(value)  # type: ignore[arg-type]
    except Exception:
        return ()


def _cost_usd(place: object) -> float | None:
    """What the provider charged: OpenRouter's ``cost``, Perplexity's ``cost.total_cost``.

    With a key of one's own at OpenRouter ``cost`` is its fee alone, and the model's price stands beside it.
    """
    cost = _get(place, "cost")
    cost_usd = _number(cost)
    if cost_usd is None:
        return _number(_get(cost, "total_cost"))
    if _get(place, "is_byok") is True:
        upstream_usd = _number(_walk(place, ("cost_details", "upstream_inference_cost")))
        return None if upstream_usd is None else cost_usd + upstream_usd
    return cost_usd


def _marked_provider(node: object, place: object, shape: Shape) -> str | None:
    framework = _text(_walk(node, ("response_metadata", "model_provider")))
    if framework is not None:
        return usage_shapes.PROVIDERS.get(framework)
    for name, prefix, provider in shape.marks:
        text = _text(_get(node, name))
        if text is not None and text.startswith(prefix):
            return provider
    is_openrouter = _number(_get(place, "cost")) is not None and _text(_get(node, "provider")) is not None
    return "openrouter" if is_openrouter else None
