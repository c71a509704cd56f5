"""Calls OpenAI through Semantic Kernel: whole and streamed, from a cache, with a function, failures."""

import asyncio
import sys

import openai
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import kernel_function

client = openai.AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0)


class Weather:
    """A plug-in."""

    @kernel_function(name="weather")
    def weather(self, city: str) -> str:
        """Tell how the weather is."""
        return f"It is sunny in {city}."


def said(prompt):
    """Return a conversation that begins."""
    history = ChatHistory()
    history.add_user_message(prompt)
    return history


async def main() -> None:
    """Ask one after the other."""
    kernel = Kernel()
    kernel.add_plugin(Weather(), "sky")
    mini = OpenAIChatCompletion(ai_model_id="gpt-4o-mini", async_client=client)
    large = OpenAIChatCompletion(ai_model_id="gpt-4o", async_client=client)
    plain = OpenAIChatPromptExecutionSettings()
    for prompt in ("How are you?", "Read the long text."):
        print(await mini.get_chat_message_content(said(prompt), plain))
    calling = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
    print(await mini.get_chat_message_content(said("How is the weather?"), calling, kernel=kernel))
    async for _ in large.get_streaming_chat_message_content(said("How are you?"), plain):
        pass
    for prompt in ("There are too many requests.", "Please break down."):
        try:
            await large.get_chat_message_content(said(prompt), plain)
        except ServiceResponseException as error:
            print(type(error).__name__)


asyncio.run(main())
