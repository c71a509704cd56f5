"""Calls Gemini as an application does: whole and streamed, from a cache, with a tool, failures."""

import sys

from google import genai
from google.genai import errors, types

client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=sys.argv[1]))
CITY = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")})
TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters=CITY)])
MODEL = "gemini-2.0-flash"

for prompt in ("How are you?", "Read the long text."):
    print(client.models.generate_content(model=MODEL, contents=prompt).text)
config = types.GenerateContentConfig(
    tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
)
client.models.generate_content(model=MODEL, contents="How is the weather?", config=config)
for prompt in ("How are you?", "Read the long text."):
    print("".join(part.text for part in client.models.generate_content_stream(model=MODEL, contents=prompt)))
for prompt in ("There are too many requests.", "Please break down."):
    try:
        client.models.generate_content(model=MODEL, contents=prompt)
    except errors.APIError as error:
        print(error.code)
