"""Calls OpenAI and Anthropic through LiteLLM with its own callback for OpenTelemetry."""

import sys
import time

import litellm

litellm.callbacks = ["otel"]
OPENAI = {"api_base": f"{sys.argv[1]}/v1", "api_key": "none", "max_retries": 0}
ANTHROPIC = {"api_base": sys.argv[1], "api_key": "none", "max_retries": 0}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def ask(prompt, model="openai/gpt-4o-mini", where=OPENAI, **given):
    """Ask once, and read a stream to its end."""
    answer = litellm.completion(model=model, messages=[{"role": "user", "content": prompt}], **where, **given)
    return list(answer) if given.get("stream") else answer


ask("How are you?", user="ada")
ask("Read the long text.", user="grace")
ask("How is the weather?", tools=[TOOL])
ask("How are you?", model="openai/gpt-4o", stream=True, stream_options={"include_usage": True}, user="ada")
ask("How are you?", model="anthropic/claude-sonnet-4-5", where=ANTHROPIC)
ask("Read the long text.", model="anthropic/claude-sonnet-4-5", where=ANTHROPIC)
litellm.embedding(model="openai/text-embedding-3-small", input=["one"], **OPENAI)
for prompt, model in (("There are too many requests.", "openai/gpt-4o-mini"), ("Please break down.", "openai/gpt-4o")):
    try:
        ask(prompt, model=model)
    except (litellm.exceptions.InternalServerError, litellm.exceptions.RateLimitError) as error:
        print(error.status_code)
time.sleep(2)  # its callbacks run in threads of their own
