"""A program that knows nothing of otel-measure: it calls a model, plain and streamed. Arguments: the API, how often."""

from __future__ import annotations

import sys

from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

client = OpenAI(base_url=sys.argv[1], api_key="none")
asked: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "How is it going?"}]
for n in range(int(sys.argv[2])):
    if n % 2:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=asked, stream=True, stream_options={"include_usage": True}
        )
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    else:
        said = client.chat.completions.create(model="gpt-4o", messages=asked).choices[0].message.content or ""
    print(said)
