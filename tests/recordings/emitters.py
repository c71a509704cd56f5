"""The programs that are recorded: what each is made of, and what it does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# What makes the distribution of OpenTelemetry for Python send what is measured.
DISTRO: Final = ("opentelemetry-distro==0.66b2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
OPENAI: Final = "openai==3.57.0"
ANTHROPIC: Final = "anthropic==0.125.0"  # later ones send spans of their own
ANTHROPIC_WITH_SPANS: Final = "anthropic==2.14.0"
# The last of OpenTelemetry for JavaScript that runs on Node.js 20.
NODE_SDK: Final = (
    "@opentelemetry/sdk-node==0.223.0",
    "@opentelemetry/sdk-metrics==2.12.1",
    "@opentelemetry/exporter-trace-otlp-proto==0.223.0",
    "@opentelemetry/exporter-metrics-otlp-proto==0.223.0",
)
LANGCHAIN: Final = ("langchain==1.5.2", "langchain-openai==1.7.4", "httpx==0.28.1")


class Emitter(NamedTuple):
    """A program that speaks OTLP and knows nothing of ours.

    Attributes:
        name: the folder of its recordings.
        packages: what it is made of; the version of the first is that of the recording.
        program: what is run, in `programs/`.
        is_instrumented: whether it is run under `opentelemetry-instrument`, which sets everything up.
        env: of the program, beside the address to send to.
        not_told: what the sender does not say, a field of the ledger → why. Nothing else is left out of the comparison.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    is_instrumented: bool = True
    env: Mapping[str, str] = {}
    not_told: Mapping[str, str] = {}

    @property
    def version(self) -> str:
        """The version of its instrumentation."""
        return self.packages[0].rpartition("==")[2]


# What is not told, and why: the reasons that several share.
NO_USER: Final = {"users": "the user that the provider is given is no attribute of its spans"}
NO_CACHE: Final = {
    "cached_input_tokens": "it says nothing of prompts that were read from a cache",
    "rebate of the cache": "so they are priced in full",
}
NO_EMBEDDINGS: Final = {"text-embedding-3-small": "it does not instrument embeddings"}
NO_RESPONSES: Final = {"gpt-4.1-mini": "it does not instrument the Responses API"}

EMITTERS: Final[tuple[Emitter, ...]] = (
    Emitter(
        "openllmetry-openai", ("opentelemetry-instrumentation-openai==0.62.4", OPENAI, *DISTRO), "openai_client.py"
    ),
    Emitter(
        "openllmetry-anthropic",
        ("opentelemetry-instrumentation-anthropic==0.62.4", ANTHROPIC, *DISTRO),
        "anthropic_client.py",
        not_told={
            **NO_USER,
            "output_tokens of claude-3-5-haiku-latest": "of a stream it adds what the first event counts to the last",
            "cost_usd of claude-3-5-haiku-latest": "with one output token too many for each stream",
        },
    ),
    Emitter(
        "openllmetry-langchain",
        ("opentelemetry-instrumentation-langchain==0.62.4", *LANGCHAIN, *DISTRO),
        "langchain_client.py",
        not_told={**NO_USER, **NO_EMBEDDINGS},
    ),
    Emitter(
        "openllmetry-langchain-and-openai",
        (
            "opentelemetry-instrumentation-langchain==0.62.4",
            "opentelemetry-instrumentation-openai==0.62.4",
            *LANGCHAIN,
            *DISTRO,
        ),
        "langchain_client.py",
        not_told=NO_USER,
    ),
    Emitter(
        "openllmetry-ollama",
        ("opentelemetry-instrumentation-ollama==0.62.4", "ollama==0.6.3", "httpx==0.28.1", *DISTRO),
        "ollama_client.py",
        not_told={"nomic-embed-text": "it does not instrument embed"},
    ),
    Emitter(
        "openinference-openai", ("openinference-instrumentation-openai==0.1.66", OPENAI, *DISTRO), "openai_client.py"
    ),
    Emitter(
        "openinference-anthropic",
        ("openinference-instrumentation-anthropic==3.1.0", "anthropic==1.8.0", *DISTRO),
        "anthropic_client.py",
    ),
    Emitter(
        "opentelemetry-openai-v2",
        (
            "opentelemetry-instrumentation-openai-v2==2.4b0",
            "openai==2.54.0",
            "opentelemetry-util-genai==0.4b0",  # it imports what a later one no longer has
            *DISTRO,
        ),
        "openai_client.py",
        not_told={**NO_USER, **NO_CACHE, **NO_RESPONSES},
    ),
    Emitter(
        "opentelemetry-genai-openai",
        ("opentelemetry-instrumentation-genai-openai==1.3b0", OPENAI, *DISTRO),
        "openai_client.py",
        not_told=NO_USER,
    ),
    Emitter(
        "opentelemetry-genai-anthropic",
        ("opentelemetry-instrumentation-genai-anthropic==1.3b0", ANTHROPIC, *DISTRO),
        "anthropic_client.py",
        not_told=NO_USER,
    ),
    Emitter(
        "opentelemetry-genai-langchain",
        ("opentelemetry-instrumentation-genai-langchain==1.3b0", *LANGCHAIN, *DISTRO),
        "langchain_client.py",
        not_told={**NO_USER, **NO_EMBEDDINGS},
    ),
    Emitter(
        "opentelemetry-google-genai",
        ("opentelemetry-instrumentation-google-genai==1.3b0", "google-genai==2.34.0", *DISTRO),
        "google_client.py",
    ),
    Emitter(
        "opentelemetry-botocore",
        ("opentelemetry-instrumentation-botocore==0.66b2", "boto3==1.44.8", *DISTRO),
        "bedrock_client.py",
    ),
    Emitter(
        "pydantic-ai-logfire",
        ("pydantic-ai-slim[openai]==2.68.0", "logfire==5.4.0", OPENAI),
        "pydantic_ai_logfire.py",
        is_instrumented=False,
    ),
    Emitter("anthropic-sdk", (ANTHROPIC_WITH_SPANS, *DISTRO), "anthropic_client.py", not_told=NO_USER),
    Emitter(
        "anthropic-sdk-and-openllmetry",
        (ANTHROPIC_WITH_SPANS, "opentelemetry-instrumentation-anthropic==0.62.4", *DISTRO),
        "anthropic_requests.py",
        not_told=NO_USER,
    ),
    Emitter(
        "anthropic-sdk-and-openinference",
        (ANTHROPIC_WITH_SPANS, "openinference-instrumentation-anthropic==3.1.0", *DISTRO),
        "anthropic_requests.py",
    ),
    Emitter(
        "anthropic-sdk-and-opentelemetry-genai",
        (ANTHROPIC_WITH_SPANS, "opentelemetry-instrumentation-genai-anthropic==1.3b0", *DISTRO),
        "anthropic_requests.py",
        not_told=NO_USER,
    ),
    Emitter(
        "litellm",
        ("litellm==1.110.2", *DISTRO),
        "litellm_client.py",
        not_told={"cached_input_tokens": "its cost counts with them, but no attribute says how many"},
        is_instrumented=False,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},  # it would ask the network for prices
    ),
    Emitter(
        "openlit-openai",
        ("openlit==1.45.0", "openai==2.54.0"),
        "openlit_openai.py",
        is_instrumented=False,
        not_told={"users of failed calls": "the span of a failed call has no user"},
    ),
    Emitter(
        "semantic-kernel",
        ("semantic-kernel==1.45.0", *DISTRO),
        "semantic_kernel_client.py",
        not_told=NO_CACHE,
        env={"SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS": "true"},
    ),
    Emitter(
        "vercel-ai-sdk",
        (
            "ai==6.0.325",
            "@ai-sdk/openai==3.0.141",
            "zod==4.6.7",
            *NODE_SDK,
        ),
        "vercel_ai.mjs",
    ),
    Emitter(
        "opentelemetry-go",
        (
            "go.opentelemetry.io/otel==1.45.0",
            "go.opentelemetry.io/otel/sdk==1.45.0",
            "go.opentelemetry.io/otel/sdk/metric==1.45.0",
            "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp==1.45.0",
            "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp==1.45.0",
        ),
        "go_client.go",
    ),
)
# Those that the gate runs live: light, and of two languages.
LIVE: Final = ("openllmetry-openai", "vercel-ai-sdk")
