"""Calls Ollama as an application does: whole and streamed, with a tool, embeddings, failures."""

import sys

import ollama

client = ollama.Client(host=sys.argv[1])
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def ask(prompt, **given):
    """Ask once, and read a stream to its end."""
    answer = client.chat(model="llama3.2", messages=[{"role": "user", "content": prompt}], **given)
    return list(answer) if given.get("stream") else answer


ask("How are you?")
ask("How are you?")
ask("How is the weather?", tools=[TOOL])
ask("How are you?", stream=True)
client.embed(model="nomic-embed-text", input="one")
for prompt in ("There are too many requests.", "Please break down."):
    try:
        ask(prompt)
    except ollama.ResponseError as error:
        print(error.status_code)
