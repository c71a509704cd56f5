"""Calls OpenAI through LangChain as an application does: whole and streamed, from a cache, with a tool, failures."""

import sys

import openai
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

WHERE = {"base_url": f"{sys.argv[1]}/v1", "api_key": "none", "max_retries": 0}


@tool
def weather(city: str) -> str:
    """Tell how the weather is."""
    return f"It is sunny in {city}."


mini = ChatOpenAI(model="gpt-4o-mini", **WHERE)
large = ChatOpenAI(model="gpt-4o", stream_usage=True, **WHERE)
chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | mini
chain.invoke({"question": "How are you?"})
chain.invoke({"question": "Read the long text."})
wanted = mini.bind_tools([weather]).invoke("How is the weather?")
print(weather.invoke(wanted.tool_calls[0]["args"]))
for prompt in ("How are you?", "Read the long text."):
    print("".join(part.content for part in large.stream(prompt)))
mini.bind(user="ada").invoke("How are you?")
OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **WHERE).embed_query("one")
for prompt, model in (("There are too many requests.", mini), ("Please break down.", large)):
    try:
        model.invoke(prompt)
    except openai.APIStatusError as error:
        print(error.status_code)
