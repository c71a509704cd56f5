"""Calls Anthropic as an application does: whole and streamed, into and from the cache, with a tool, failures."""

import sys

import anthropic

client = anthropic.Anthropic(base_url=sys.argv[1], api_key="none", max_retries=0)
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ADA, GRACE = {"user_id": "ada"}, {"user_id": "grace"}


def ask(prompt, model="claude-sonnet-4-5", **given):
    """Ask once, and read a stream to its end."""
    messages = [{"role": "user", "content": prompt}]
    answer = client.messages.create(model=model, max_tokens=100, messages=messages, **given)
    return list(answer) if given.get("stream") else answer


ask("How are you?", metadata=ADA)
ask("Take in the new text.", metadata=ADA)
ask("Read the long text.", metadata=GRACE)
ask("How is the weather?", tools=[TOOL])
ask("How are you?", model="claude-3-5-haiku-latest", stream=True, metadata=GRACE)
with client.messages.stream(
    model="claude-3-5-haiku-latest", max_tokens=100, messages=[{"role": "user", "content": "Read the long text."}]
) as stream:
    print(stream.get_final_message().content[0].text)
for prompt in ("There are too many requests.", "Please break down."):
    try:
        ask(prompt, metadata=ADA)
    except anthropic.APIStatusError as error:
        print(error.status_code)
