"""The page about what is read from whom, written from the tables of dialects and from the recordings.

`python -m tests.conventions.dialects_page` writes `docs/dialects.md` anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from otel_measure.conventions import agents, dialects, semconv
from otel_measure.conventions.span_dialects import PARAMETERS, SPAN_DIALECTS

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "dialects.md"
RECORDINGS: Final = ROOT / "tests" / "recordings"
_HEAD: Final = """\
# What is read from whom

`python -m tests.conventions.dialects_page` writes this page from the tables of
[`dialects.py`](../otel_measure/conventions/dialects.py),
[`span_dialects.py`](../otel_measure/conventions/span_dialects.py) and
[`agents.py`](../otel_measure/conventions/agents.py), and from the recordings in `tests/recordings`; a test fails when
it is not what they say. What becomes of what is read stands in [Any process, any language](collector.md).
"""
# What a count means, and the names under which it is read.
_COUNTS: Final[tuple[tuple[str, dialects.Names], ...]] = (
    ("input tokens, those of the cache among them", dialects.INPUT_TOKENS),
    ("output tokens, those of reasoning among them", dialects.OUTPUT_TOKENS),
    ("read from a cache", dialects.CACHED_INPUT_TOKENS),
    ("written to a cache", dialects.CACHE_WRITE_TOKENS),
    ("reasoning", dialects.REASONING_TOKENS),
    *((unit.replace("_", " "), names) for unit, names in dialects.CHARGED_UNITS.items()),
    ("service tier", dialects.SERVICE_TIER),
    ("cost in USD", dialects.COST_USD),
    ("seconds to the first chunk", dialects.TIME_TO_FIRST_CHUNK_S),
    ("provider", dialects.PROVIDER),
)
_FAILURES: Final = {
    "typed": "series of their own, with an error type",
    "inside": "among the others",
    "none": "not there, or without the name of a model: spans tell of them",
}


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_recorded(), *_spans(), *_counts(), *_metrics(), *_agents()]) + "\n"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("---",) * len(heads), *rows):
        yield "| " + " | ".join(row) + " |" if row[0] != "---" else "|" + "|".join(row) + "|"
    yield ""


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _recorded() -> Iterator[str]:
    yield "## Programs that were recorded\n"
    yield (
        "Each was run against a server that kept a ledger of its calls, with streams, prompts from a cache, tools,\n"
        "and failures (429 and 500). Whatever the order in which its requests come, and however often, the answer is\n"
        "the ledger, but for what the sender does not say.\n"
    )
    rows = []
    for file in sorted(RECORDINGS.glob("*/*/ledger.json")):
        ledger = json.loads(file.read_text(encoding="utf-8"))
        not_told = "; ".join(f"{what}: {why}" for what, why in ledger["not_told"].items())
        rows.append((ledger["emitter"], ledger["version"], not_told or "nothing"))
    yield from _table(("program", "version", "not told"), rows)


def _spans() -> Iterator[str]:
    yield "## Spans\n"
    yield (
        "The names of the OpenTelemetry GenAI conventions are read as they are, whoever writes them. These stand for\n"
        "them, where they are not given:\n"
    )
    for dialect in SPAN_DIALECTS:
        yield f"### {dialect.name}\n"
        if dialect.attributes:
            rows = ((f"`{theirs}`", f"`{ours}`") for theirs, ours in dialect.attributes.items())
            yield from _table(("its attribute", "is"), rows)
        if dialect.operations:
            yield from _table(
                ("its operation", "is"), ((_code(names), f"`{to}`") for to, names in _by(dialect.operations))
            )
    yield (
        f"From the parameters of a call in JSON ({_code(PARAMETERS)})\n"
        "the model asked for and the user are read: `model`, `user`, `metadata.user_id`.\n"
    )
    yield (
        f"Spans of the operations {_code(sorted(dialects.OPERATIONS_WITHOUT_MODEL_CALL))}\n"
        "are no calls of a model themselves.\n"
    )


def _by(operations: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return each conventional operation with the names that stand for it."""
    return [
        (to, [name for name, ours in operations.items() if ours == to]) for to in dict.fromkeys(operations.values())
    ]


def _counts() -> Iterator[str]:
    yield "## Tokens, cost and what is charged apart\n"
    yield "Of several names the first one that is given counts.\n"
    yield from _table(("what", "names"), ((what, _code(names)) for what, names in _COUNTS))
    yield (
        f"Spans of the scopes {_code(f'{scope}*' for scope in dialects.CACHE_BESIDE_INPUT_SCOPES)}\n"
        "count what a cache read and wrote beside the input; it is added.\n"
    )


def _metrics() -> Iterator[str]:
    yield "## Metrics\n"
    renamed = ((f"`{theirs}`", f"`{ours}`") for theirs, ours in dialects.RENAMED_METRICS.items())
    yield from _table(("its metric", "is"), renamed)
    yield f"Metrics of cost in USD: {_code(sorted(dialects.COST_METRICS))}.\n"
    types = ", ".join(f"`{theirs}` is `{ours}`" for theirs, ours in dialects.RENAMED_TOKEN_TYPES.items())
    yield f"Of the token types, {types}.\n"
    yield "Failed calls in the metrics of a scope, where it is known; of others the single calls show it:\n"
    rows = ((f"`{scope}*`", _FAILURES[failures]) for scope, failures in dialects.FAILURES_BY_SCOPE_PREFIX)
    yield from _table(("scope", "failed calls are"), rows)


def _agents() -> Iterator[str]:
    yield "## Events and spans of coding agents\n"
    yield "Each tells of one call; those of failures count only where an error or a failing status is given.\n"
    rows = []
    for dialect in (*agents.EVENT_DIALECTS, *agents.CALL_SPANS.values()):
        sums = (
            f"{_SHORT[count]} = {' + '.join(f'`{part}`' for part in parts)}" for count, parts in dialect.counts.items()
        )
        rows.append((f"`{dialect.name}`", "a failure" if dialect.failed else "; ".join(sums)))
    yield from _table(("event or span", "tells"), rows)


_SHORT: Final = {
    semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS: "input",
    semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS: "output",
    semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: "cached",
    semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: "written to the cache",
    semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: "reasoning",
}

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
