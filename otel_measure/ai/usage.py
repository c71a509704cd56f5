"""What a model's answer says about itself: tokens, model, id, cost, why it stopped.

Answers come as objects of many client libraries, as decoded JSON, whole or in chunks. One table names, for each known
shape, where its numbers stand; a shape that is not in the table gives unknowns. Reading never raises and never guesses:
what is not a plain number or text (a mock, a method, a bool) is unknown, and unknown is ``None``, not 0.

Input tokens include cached ones, as the OpenTelemetry GenAI conventions have it. Anthropic and Bedrock count cache
reads and writes apart, so they are added; OpenAI and Gemini include them already. Output tokens include reasoning;
Gemini counts its thoughts apart, so they are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer of a model reports.

    Attributes:
        input_tokens: tokens read, cached ones included.
        output_tokens: tokens written, reasoning included.
        cached_input_tokens: the part of the input served from a cache.
        cache_write_tokens: the part of the input written to a cache.
        response_model: the model that answered (a request for an alias is answered by a dated version).
        response_id: the provider's id of the answer.
        provider: ``gen_ai.provider.name`` where the shape alone tells it; OpenAI's shape is spoken by too many.
        cost_usd: what the provider says it charged.
        finish_reasons: why each choice ended, in the provider's words.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    response_model: str | None = None
    response_id: str | None = None
    provider: str | None = None
    cost_usd: float | None = None
    finish_reasons: tuple[str, ...] = ()

    def completed(self, other: Usage) -> Usage:
        """Return this usage, with what it does not know from another."""
        unknown = [field.name for field in fields(self) if getattr(self, field.name) is None]
        completing: dict[str, Any] = {name: getattr(other, name) for name in unknown}
        return replace(self, **completing)

    def plus(self, other: Usage) -> Usage:
        """Return the usage of two calls that are parts of one: counts and costs add, of names the first stands."""
        both: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name)
            for name in _ADDED
            if getattr(self, name) is not None and getattr(other, name) is not None
        }
        return replace(self.completed(other), **both)


_ADDED: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class Shape:
    """Where one kind of answer keeps its token counts, as paths from the place that holds them.

    ``input`` and ``output`` are the main counts, ``input_added`` and ``output_added`` what they leave out; ``cached``
    and ``written`` are alternatives of which the first known one counts. ``marks`` are (field, prefix, provider).
    """

    input: Path
    output: Path
    input_added: tuple[Path, ...] = ()
    output_added: tuple[Path, ...] = ()
    cached: tuple[Path, ...] = ()
    written: tuple[Path, ...] = ()
    provider: str | None = None
    marks: tuple[tuple[str, str, str], ...] = ()
    as_text: bool = False

    @property
    def counts(self) -> tuple[Path, ...]:
        """Every path that holds a count."""
        return (self.input, self.output, *self.input_added, *self.output_added, *self.cached, *self.written)


_OPENAI_CHAT = Shape(
    input=("prompt_tokens",),
    output=("completion_tokens",),
    cached=(("prompt_tokens_details", "cached_tokens"), ("prompt_cache_hit_tokens",)),
    written=(("prompt_tokens_details", "cache_write_tokens"),),
)
# Anthropic's messages and OpenAI's responses: the same two names, told apart by how they report the cache.
_MESSAGES = Shape(
    input=("input_tokens",),
    output=("output_tokens",),
    input_added=(("cache_read_input_tokens",), ("cache_creation_input_tokens",)),
    cached=(
        ("cache_read_input_tokens",),
        ("input_tokens_details", "cached_tokens"),
        ("input_token_details", "cached_tokens"),
    ),
    written=(("cache_creation_input_tokens",), ("input_tokens_details", "cache_write_tokens")),
    marks=(
        ("id", "msg_bdrk_", "aws.bedrock"),
        ("id", "msg_vrtx_", "gcp.vertex_ai"),
        ("type", "message", "anthropic"),
    ),
)
_BEDROCK_CONVERSE = Shape(
    input=("inputTokens",),
    output=("outputTokens",),
    input_added=(("cacheReadInputTokens",), ("cacheWriteInputTokens",)),
    cached=(("cacheReadInputTokens",),),
    written=(("cacheWriteInputTokens",),),
    provider="aws.bedrock",
)
_BEDROCK_INVOKE_HEADERS = Shape(
    input=("x-amzn-bedrock-input-token-count",),
    output=("x-amzn-bedrock-output-token-count",),
    input_added=(
        ("x-amzn-bedrock-cache-read-input-token-count",),
        ("x-amzn-bedrock-cache-write-input-token-count",),
    ),
    cached=(("x-amzn-bedrock-cache-read-input-token-count",),),
    written=(("x-amzn-bedrock-cache-write-input-token-count",),),
    provider="aws.bedrock",
    as_text=True,
)
_BEDROCK_INVOKE_STREAM = Shape(
    input=("inputTokenCount",),
    output=("outputTokenCount",),
    input_added=(("cacheReadInputTokenCount",), ("cacheWriteInputTokenCount",)),
    cached=(("cacheReadInputTokenCount",),),
    written=(("cacheWriteInputTokenCount",),),
    provider="aws.bedrock",
)
_BEDROCK_LLAMA = Shape(input=("prompt_token_count",), output=("generation_token_count",), provider="aws.bedrock")
_GEMINI_OBJECT = Shape(
    input=("prompt_token_count",),
    output=("candidates_token_count",),
    input_added=(("tool_use_prompt_token_count",),),
    output_added=(("thoughts_token_count",),),
    cached=(("cached_content_token_count",),),
    provider="gcp.gen_ai",
)
_GEMINI_JSON = Shape(
    input=("promptTokenCount",),
    output=("candidatesTokenCount",),
    input_added=(("toolUsePromptTokenCount",),),
    output_added=(("thoughtsTokenCount",),),
    cached=(("cachedContentTokenCount",),),
    provider="gcp.gen_ai",
)

_UNKNOWN = Shape(input=(), output=())

ROOTS: Final[tuple[tuple[Path, tuple[Shape, ...]], ...]] = (
    (("usage",), (_OPENAI_CHAT, _MESSAGES, _BEDROCK_CONVERSE)),
    (("usage_metadata",), (_GEMINI_OBJECT,)),
    (("usageMetadata",), (_GEMINI_JSON,)),
    (("metadata", "usage"), (_BEDROCK_CONVERSE,)),
    (("amazon-bedrock-invocationMetrics",), (_BEDROCK_INVOKE_STREAM,)),
    (("ResponseMetadata", "HTTPHeaders"), (_BEDROCK_INVOKE_HEADERS,)),
)
# Events of a stream carry the answer one level down: Anthropic's message_start, OpenAI's response.completed.
_WRAPPERS: Final[Path] = ("message", "response")
_MODEL: Final[tuple[Path, ...]] = (("model",), ("model_version",), ("modelVersion",))
_ID: Final[tuple[Path, ...]] = (("id",), ("response_id",), ("responseId",), ("ResponseMetadata", "RequestId"))
_REASON: Final[tuple[Path, ...]] = (
    ("stop_reason",),
    ("stopReason",),
    ("delta", "stop_reason"),
    ("messageStop", "stopReason"),
    ("incomplete_details", "reason"),
)
_REASON_LISTS: Final[tuple[tuple[str, tuple[Path, ...]], ...]] = (
    ("choices", (("finish_reason",),)),
    ("candidates", (("finish_reason",), ("finishReason",))),
)
_NO_REASON: Final = "FINISH_REASON_UNSPECIFIED"
_ABSENT: Final = object()


def read_usage(response: object) -> Usage:
    """Read what a complete answer reports about itself.

    Args:
        response: an answer of the OpenAI (chat or responses), Anthropic, Gemini or Bedrock (converse or invoke) kind,
            or of a server that speaks one of them: a client library's object or decoded JSON.

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
        self._model: str | None = None
        self._id: str | None = None
        self._provider: str | None = None
        self._cost_usd: float | None = None
        self._reasons: list[str] = []

    def feed(self, chunk: object) -> None:
        """Take in one chunk (or a whole answer). Never raises."""
        for wrapper in _WRAPPERS:
            inner = _get(chunk, wrapper)
            if inner is not None:
                self._read(inner)
        self._read(chunk)

    @property
    def usage(self) -> Usage:
        """What is known so far."""
        shape = self._shape
        return Usage(
            input_tokens=self._total(shape.input, shape.input_added),
            output_tokens=self._total(shape.output, shape.output_added),
            cached_input_tokens=self._first(shape.cached),
            cache_write_tokens=self._first(shape.written),
            response_model=self._model,
            response_id=self._id,
            provider=self._provider,
            cost_usd=self._cost_usd,
            finish_reasons=tuple(self._reasons),
        )

    def _read(self, node: object) -> None:
        self._model = self._model or _first_text(node, _MODEL)
        self._id = self._id or _first_text(node, _ID)
        self._reasons.extend(_finish_reasons(node))
        for (head, *rest), shapes in ROOTS:
            place = _get(node, head, _ABSENT)
            if place is None:
                return  # the field is there and not filled yet: this is its shape, so the others need no look
            place = None if place is _ABSENT else _walk(place, rest)
            if place is not None and any(self._read_counts(node, place, shape) for shape in shapes):
                return
        self._read_counts(node, node, _BEDROCK_LLAMA)

    def _read_counts(self, node: object, place: object, shape: Shape) -> bool:
        if _count(_walk(place, shape.input), shape.as_text) is None and (
            _count(_walk(place, shape.output), shape.as_text) is None
        ):
            return False
        if shape is not self._shape:
            self._shape, self._counts = shape, {}
        for path in shape.counts:
            count = _count(_walk(place, path), shape.as_text)
            if count is not None:
                self._counts[path] = max(count, self._counts.get(path, 0))
        cost_usd = _cost_usd(place)
        self._cost_usd = self._cost_usd if cost_usd is None else cost_usd
        self._provider = self._provider or shape.provider or _marked_provider(node, place, shape)
        return True

    def _total(self, main: Path, added: tuple[Path, ...]) -> int | None:
        # Gemini leaves out counts that are 0, so an answer of thoughts alone has no main count.
        known = [self._counts[path] for path in (main, *added) if path in self._counts]
        return sum(known) if known else None

    def _first(self, alternatives: tuple[Path, ...]) -> int | None:
        return next((self._counts[path] for path in alternatives if path in self._counts), None)


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
    for field, paths in _REASON_LISTS:
        choices = _get(node, field, _ABSENT)
        if choices is _ABSENT:
            continue
        for choice in _items(choices):
            reason = _first_text(choice, paths)
            if reason is not None and reason != _NO_REASON:
                yield reason
        return
    reason = _first_text(node, _REASON)
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
    for field, prefix, provider in shape.marks:
        text = _text(_get(node, field))
        if text is not None and text.startswith(prefix):
            return provider
    is_openrouter = _number(_get(place, "cost")) is not None and _text(_get(node, "provider")) is not None
    return "openrouter" if is_openrouter else None
