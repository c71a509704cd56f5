"""Where the answers of models keep what they used: one table, one shape for each kind of answer.

Input tokens include cached ones, as the OpenTelemetry GenAI conventions have it. Anthropic and Bedrock count cache
reads and writes apart, so they are added; OpenAI and Gemini include them already. Output tokens include reasoning;
Gemini counts its thoughts apart, so they are added, as are xAI's and Perplexity's. Units are called as the price table
calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str, ...]
Unit: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Shape:
    """Where one kind of answer keeps its counts, as paths from the place that holds them.

    Attributes:
        input, output: the main counts.
        input_added, output_added: what they leave out.
        cached, written, reasoning: alternatives of which the first known one counts.
        total: of which the output is what the input leaves, where that is more: some leave reasoning out of it.
        units: what else is charged apart.
        by_modality: lists of counts by modality, and the unit that each modality is.
        tiers: where it says which tier of service answered, in the order in which the first one counts.
        provider: whom the shape alone tells.
        marks: (field, prefix, provider).
        as_text: counts are texts.
    """

    input: Path = ()
    output: Path = ()
    input_added: tuple[Path, ...] = ()
    output_added: tuple[Path, ...] = ()
    cached: tuple[Path, ...] = ()
    written: tuple[Path, ...] = ()
    reasoning: tuple[Path, ...] = ()
    total: Path = ()
    units: tuple[tuple[Unit, Path], ...] = ()
    by_modality: tuple[tuple[Path, Mapping[str, Unit]], ...] = ()
    tiers: tuple[Path, ...] = ()
    provider: str | None = None
    marks: tuple[tuple[str, str, str], ...] = ()
    as_text: bool = False

    @property
    def counts(self) -> tuple[Path, ...]:
        """Every path that holds a count of tokens."""
        paths = (self.input, self.output, self.total, *self.input_added, *self.output_added)
        return tuple(path for path in (*paths, *self.cached, *self.written, *self.reasoning) if path)


# Documents are charged as images are.
_INPUT_BY_MODALITY: Final = {
    "AUDIO": "input_audio_tokens",
    "IMAGE": "input_image_tokens",
    "DOCUMENT": "input_image_tokens",
    "VIDEO": "input_video_tokens",
}
_CACHED_BY_MODALITY: Final = {
    "AUDIO": "cache_audio_read_tokens",
    "IMAGE": "cache_image_read_tokens",
    "DOCUMENT": "cache_image_read_tokens",
    "VIDEO": "cache_video_read_tokens",
}
_OUTPUT_BY_MODALITY: Final = {
    "AUDIO": "output_audio_tokens",
    "IMAGE": "output_image_tokens",
    "DOCUMENT": "output_image_tokens",
    "VIDEO": "output_video_tokens",
}

_OPENAI_CHAT: Final = Shape(
    input=("prompt_tokens",),
    output=("completion_tokens",),
    output_added=(("reasoning_tokens",), ("citation_tokens",)),
    cached=(
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_prompt_text_tokens",),
        ("cached_tokens",),
    ),
    written=(("prompt_tokens_details", "cache_write_tokens"),),
    reasoning=(("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    total=("total_tokens",),
    units=(
        ("input_audio_tokens", ("prompt_tokens_details", "audio_tokens")),
        ("input_image_tokens", ("prompt_tokens_details", "image_tokens")),
        ("output_audio_tokens", ("completion_tokens_details", "audio_tokens")),
        ("output_image_tokens", ("completion_tokens_details", "image_tokens")),
        ("output_citation_tokens", ("citation_tokens",)),
        ("web_searches", ("num_search_queries",)),
        ("input_audio_seconds", ("prompt_audio_seconds",)),
    ),
    tiers=(("service_tier",),),
)
# Anthropic's messages and OpenAI's responses: the same two names, told apart by how they report the cache.
_MESSAGES: Final = Shape(
    input=("input_tokens",),
    output=("output_tokens",),
    input_added=(("cache_read_input_tokens",), ("cache_creation_input_tokens",)),
    cached=(
        ("cache_read_input_tokens",),
        ("input_tokens_details", "cached_tokens"),
        ("input_token_details", "cached_tokens"),
        ("input_tokens_details", "cache_read_input_tokens"),
    ),
    written=(("cache_creation_input_tokens",), ("input_tokens_details", "cache_write_tokens")),
    reasoning=(("output_tokens_details", "reasoning_tokens"), ("output_tokens_details", "thinking_tokens")),
    units=(
        ("cache_write_5m_tokens", ("cache_creation", "ephemeral_5m_input_tokens")),
        ("cache_write_1h_tokens", ("cache_creation", "ephemeral_1h_input_tokens")),
        ("web_searches", ("server_tool_use", "web_search_requests")),
        ("web_searches", ("tool_calls_details", "search_web", "invocation")),
        ("input_audio_tokens", ("input_token_details", "audio_tokens")),
        ("input_image_tokens", ("input_token_details", "image_tokens")),
        ("input_image_tokens", ("input_tokens_details", "image_tokens")),
        ("cache_audio_read_tokens", ("input_token_details", "cached_tokens_details", "audio_tokens")),
        ("cache_image_read_tokens", ("input_token_details", "cached_tokens_details", "image_tokens")),
        ("output_audio_tokens", ("output_token_details", "audio_tokens")),
        ("output_image_tokens", ("output_tokens_details", "image_tokens")),
    ),
    tiers=(("speed",), ("service_tier",)),
    marks=(
        ("id", "msg_bdrk_", "aws.bedrock"),
        ("id", "msg_vrtx_", "gcp.vertex_ai"),
        ("type", "message", "anthropic"),
    ),
)
# OpenAI's transcriptions by time.
_DURATION: Final = Shape(units=(("audio_seconds", ("seconds",)),))
_LANGCHAIN: Final = Shape(
    input=("input_tokens",),
    output=("output_tokens",),
    cached=(("input_token_details", "cache_read"),),
    written=(("input_token_details", "cache_creation"),),
    reasoning=(("output_token_details", "reasoning"),),
    units=(
        ("cache_write_5m_tokens", ("input_token_details", "ephemeral_5m_input_tokens")),
        ("cache_write_1h_tokens", ("input_token_details", "ephemeral_1h_input_tokens")),
        ("input_audio_tokens", ("input_token_details", "audio")),
        ("output_audio_tokens", ("output_token_details", "audio")),
    ),
)
_COHERE: Final = Shape(input=("input_tokens",), output=("output_tokens",), provider="cohere")
_COHERE_RERANK: Final = Shape(units=(("rerank_searches", ("search_units",)),), provider="cohere")
_MISTRAL_OCR: Final = Shape(units=(("input_document_pages", ("pages_processed",)),), provider="mistral_ai")
_BEDROCK_CONVERSE: Final = Shape(
    input=("inputTokens",),
    output=("outputTokens",),
    input_added=(
        *(("cacheReadInputTokens",), ("cacheWriteInputTokens",)),
        *(("cacheReadInputTokenCount",), ("cacheWriteInputTokenCount",)),
    ),
    cached=(("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
    written=(("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
    by_modality=((("cacheDetails",), {"5m": "cache_write_5m_tokens", "1h": "cache_write_1h_tokens"}),),
    provider="aws.bedrock",
)
_BEDROCK_INVOKE_HEADERS: Final = Shape(
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
_BEDROCK_INVOKE_STREAM: Final = Shape(
    input=("inputTokenCount",),
    output=("outputTokenCount",),
    input_added=(("cacheReadInputTokenCount",), ("cacheWriteInputTokenCount",)),
    cached=(("cacheReadInputTokenCount",),),
    written=(("cacheWriteInputTokenCount",),),
    provider="aws.bedrock",
)
_BEDROCK_LLAMA: Final = Shape(input=("prompt_token_count",), output=("generation_token_count",), provider="aws.bedrock")
_OLLAMA: Final = Shape(input=("prompt_eval_count",), output=("eval_count",))
_GEMINI_OBJECT: Final = Shape(
    input=("prompt_token_count",),
    output=("candidates_token_count",),
    input_added=(("tool_use_prompt_token_count",),),
    output_added=(("thoughts_token_count",),),
    cached=(("cached_content_token_count",),),
    reasoning=(("thoughts_token_count",),),
    by_modality=(
        (("prompt_tokens_details",), _INPUT_BY_MODALITY),
        (("tool_use_prompt_tokens_details",), _INPUT_BY_MODALITY),
        (("cache_tokens_details",), _CACHED_BY_MODALITY),
        (("candidates_tokens_details",), _OUTPUT_BY_MODALITY),
    ),
    provider="gcp.gen_ai",
)
_GEMINI_JSON: Final = Shape(
    input=("promptTokenCount",),
    output=("candidatesTokenCount",),
    input_added=(("toolUsePromptTokenCount",),),
    output_added=(("thoughtsTokenCount",),),
    cached=(("cachedContentTokenCount",),),
    reasoning=(("thoughtsTokenCount",),),
    by_modality=(
        (("promptTokensDetails",), _INPUT_BY_MODALITY),
        (("toolUsePromptTokensDetails",), _INPUT_BY_MODALITY),
        (("cacheTokensDetails",), _CACHED_BY_MODALITY),
        (("candidatesTokensDetails",), _OUTPUT_BY_MODALITY),
    ),
    provider="gcp.gen_ai",
)

ROOTS: Final[tuple[tuple[Path, tuple[Shape, ...]], ...]] = (
    (("usage",), (_OPENAI_CHAT, _MESSAGES, _BEDROCK_CONVERSE, _DURATION)),
    (("usage", "billed_units"), (_COHERE, _COHERE_RERANK)),
    (("meta", "billed_units"), (_COHERE, _COHERE_RERANK)),
    (("usage_metadata",), (_GEMINI_OBJECT, _LANGCHAIN)),
    (("usageMetadata",), (_GEMINI_JSON,)),
    (("usage_info",), (_MISTRAL_OCR,)),
    (("metadata", "usage"), (_BEDROCK_CONVERSE,)),
    (("amazon-bedrock-invocationMetrics",), (_BEDROCK_INVOKE_STREAM,)),
    (("ResponseMetadata", "HTTPHeaders"), (_BEDROCK_INVOKE_HEADERS,)),
    (("delta", "usage", "billed_units"), (_COHERE,)),
)
AT_THE_TOP: Final = (_BEDROCK_LLAMA, _OLLAMA)
"""Shapes of answers that keep their counts beside everything else."""
WRAPPERS: Final[Path] = ("message", "response", "chunk", "data", "x_groq")
"""Events of a stream carry the answer one level down: Anthropic's message_start, OpenAI's response.completed."""
MODELS: Final[tuple[Path, ...]] = (
    *(("model",), ("model_version",), ("modelVersion",)),
    *(("response_metadata", "model_name"), ("response_metadata", "model")),
)
IDS: Final[tuple[Path, ...]] = (("id",), ("response_id",), ("responseId",), ("ResponseMetadata", "RequestId"))
REASONS: Final[tuple[Path, ...]] = (
    ("stop_reason",),
    ("stopReason",),
    ("delta", "stop_reason"),
    ("messageStop", "stopReason"),
    ("incomplete_details", "reason"),
)
REASON_LISTS: Final[tuple[tuple[str, tuple[Path, ...]], ...]] = (
    ("choices", (("finish_reason",),)),
    ("candidates", (("finish_reason",), ("finishReason",))),
)
NO_REASON: Final = "FINISH_REASON_UNSPECIFIED"
TIERS: Final[tuple[Path, ...]] = (
    *(("service_tier",), ("serviceTier", "type"), ("serviceTier",), ("response_metadata", "service_tier")),
)
"""Where an answer says its tier of service beside its counts."""
TOOL_UNITS: Final[Mapping[str, Unit]] = {
    "web_search_call": "web_searches",
    "file_search_call": "storage_searches",
    "code_interpreter_call": "code_executions",
}
"""Type of an output item of OpenAI's responses → the unit that it is charged as."""
CHARGED_UNITS: Final = frozenset(
    {
        *("cache_write_5m_tokens", "cache_write_1h_tokens"),
        *(
            f"{unit}_tokens"
            for of_one in ("audio", "image", "video", "text")
            for unit in (f"input_{of_one}", f"output_{of_one}", f"cache_{of_one}_read", f"cache_{of_one}_write")
        ),
        *("input_tool_tokens", "output_citation_tokens", "input_characters", "input_text_messages", "input_pixels"),
        *("audio_seconds", "input_audio_seconds", "output_audio_seconds"),
        *("input_document_pages", "input_annotated_document_pages"),
        *("web_searches", "social_searches", "storage_searches", "rerank_searches", "code_executions"),
    }
)
"""What may be counted beside tokens, cached and reasoning ones."""
GROUNDINGS: Final[tuple[Path, ...]] = (
    ("grounding_metadata", "web_search_queries"),
    ("groundingMetadata", "webSearchQueries"),
)
"""Where a candidate of Gemini says what it searched the web for; each query counts as one search."""
PROVIDERS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "groq": "groq",
    "mistralai": "mistral_ai",
    "openai": "openai",
}
"""LangChain's names of providers, and the conventions'."""
