"""Calls Anthropic as a server does, in spans of its requests: one after another, and many equal ones at once."""

import asyncio
import sys

import anthropic
from opentelemetry import trace

client = anthropic.AsyncAnthropic(base_url=sys.argv[1], api_key="none", max_retries=0)
tracer = trace.get_tracer("server")
ADA, GRACE = {"user_id": "ada"}, {"user_id": "grace"}


async def ask(prompt, model="claude-sonnet-4-5", **given):
    """Ask once, and read a stream to its end; a failure is part of it."""
    try:
        answer = await client.messages.create(
            model=model, max_tokens=100, messages=[{"role": "user", "content": prompt}], **given
        )
        return [event async for event in answer] if given.get("stream") else answer
    except anthropic.APIStatusError as error:
        print(error.status_code)


async def stream(prompt, model="claude-3-5-haiku-latest"):
    """Ask by the helper for streams."""
    messages = [{"role": "user", "content": prompt}]
    async with client.messages.stream(model=model, max_tokens=100, messages=messages) as events:
        return await events.get_final_message()


async def requests():
    """Answer a few requests."""
    with tracer.start_as_current_span("GET /one-after-another"):
        await ask("How are you?", metadata=ADA)
        await ask("Take in the new text.", metadata=ADA)
        await ask("Read the long text.", metadata=GRACE)
        await ask("How are you?", model="claude-3-5-haiku-latest", stream=True, metadata=GRACE)
        await stream("Read the long text.")
        await ask("There are too many requests.", metadata=ADA)
        await ask("Please break down.", metadata=ADA)
    with tracer.start_as_current_span("GET /all-at-once"):
        await asyncio.gather(
            *(ask("How are you?", metadata=ADA) for _ in range(10)),
            *(ask("There are too many requests.", metadata=GRACE) for _ in range(5)),
            *(ask("How are you?", model="claude-3-5-haiku-latest", stream=True) for _ in range(5)),
            *(stream("How are you?") for _ in range(5)),
        )
    with tracer.start_as_current_span("GET /tokens"):
        await client.messages.count_tokens(
            model="claude-sonnet-4-5", messages=[{"role": "user", "content": "How are you?"}]
        )


asyncio.run(requests())
