"""A hundred calls of a model at once, under our decorator, under the official instrumentation, and under both.

Argument: the API. It prints what was measured, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI

from otel_measure import Settings, configure, context, get_ai_model_service, shutdown

configure(settings=Settings(store=":memory:", auto_instrument=True))
client = OpenAI(base_url=sys.argv[1], api_key="none")
ai = get_ai_model_service()
MODEL = ("gpt-4o", "2024-08-06")


def ask(**more: Any) -> Any:
    """Call the model, under the official instrumentation."""
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "?"}], **more)


def streamed() -> Any:
    """Call the model for a stream."""
    return ask(stream=True, stream_options={"include_usage": True})


@ai.measure(*MODEL)
def decorated() -> Any:
    """Inside a decorator of ours."""
    return ask()


def inside() -> None:
    """Inside `with`, and nobody says how many tokens it took but the official instrumentation."""
    with ai.inference(*MODEL, user_id=5):
        ask()


def stream() -> None:
    """A stream that we measure while it is read."""
    for _ in ai.measure_stream(streamed(), *MODEL):
        pass


@ai.measure(*MODEL)
def generator() -> Iterator[Any]:
    """A generator inside a decorator of ours."""
    yield from streamed()


def alone() -> None:
    """Not inside anything of ours."""
    with context(user_id=9):
        ask()


with ThreadPoolExecutor(20) as pool:
    done = [pool.submit(call) for call in [decorated, inside, stream, lambda: list(generator()), alone] * 20]
for one in done:
    one.result()
models = ai.list_models()
print(
    json.dumps(
        {
            "models": [[model.model_name, model.model_version] for model in models.models],
            "inferences": models.total_inferences,
            "cost_usd": models.models[0].cost.total_usd,
            "priced_ratio": models.models[0].cost.priced_ratio,
        }
    )
)
shutdown()
