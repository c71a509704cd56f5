"""An agent of pydantic-ai under Logfire: a tool in the middle, a stream, a cache, failures."""

import asyncio
import sys

import logfire
import openai
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

logfire.configure(send_to_logfire=False, console=False, service_name="pydantic-ai-logfire")
logfire.instrument_pydantic_ai()
client = openai.AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)
provider = OpenAIProvider(openai_client=client)
mini = Agent(OpenAIChatModel("gpt-4o-mini", provider=provider), name="mini")
large = Agent(OpenAIChatModel("gpt-4o", provider=provider), name="large")
answering = Agent(OpenAIResponsesModel("gpt-4.1-mini", provider=provider), name="answering")


@mini.tool_plain
def weather(city: str) -> str:
    """Tell how the weather is."""
    return f"It is sunny in {city}."


async def main() -> None:
    """Ask one after the other."""
    for prompt in ("How are you?", "Read the long text.", "How is the weather?"):
        print((await mini.run(prompt)).output)
    async with large.run_stream("How are you?") as stream:
        print(await stream.get_output())
    print((await answering.run("How are you?")).output)
    for prompt in ("There are too many requests.", "Please break down."):
        try:
            await large.run(prompt)
        except ModelHTTPError as error:
            print(error.status_code)


asyncio.run(main())
logfire.force_flush()
