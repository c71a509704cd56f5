"""Calls OpenAI as an application does: whole, streamed, from a cache, with a tool, embeddings, failures."""

import sys

import openai

client = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def chat(prompt, model="gpt-4o-mini", **given):
    """Ask once, and read a stream to its end."""
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], **given)
    return list(answer) if given.get("stream") else answer


chat("How are you?", user="ada")
chat("How are you?", user="grace")
chat("Read the long text.", user="ada")
chat("How is the weather?", tools=[TOOL])
chat("How are you?", model="gpt-4o", stream=True, stream_options={"include_usage": True}, user="ada")
chat("Read the long text.", model="gpt-4o", stream=True, stream_options={"include_usage": True})
client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
client.responses.create(model="gpt-4.1-mini", input="How are you?")
client.responses.create(model="gpt-4.1-mini", input="Read the long text.")
print(len(list(client.responses.create(model="gpt-4.1-mini", input="How are you?", stream=True))))
for prompt, model in (("There are too many requests.", "gpt-4o-mini"), ("Please break down.", "gpt-4o")):
    try:
        chat(prompt, model=model, user="grace")
    except openai.APIStatusError as error:
        print(error.status_code)
