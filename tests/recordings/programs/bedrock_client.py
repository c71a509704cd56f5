"""Calls Amazon Bedrock as an application does: Converse whole and streamed, from a cache, with a tool, failures."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "bedrock-runtime",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="none",
    aws_secret_access_key="none",
    config=Config(retries={"total_max_attempts": 1}),
)
MODEL = "amazon.nova-lite-v1:0"
CITY = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": CITY}}]}


def said(prompt):
    """Return the messages of a conversation that begins."""
    return [{"role": "user", "content": [{"text": prompt}]}]


client.converse(modelId=MODEL, messages=said("How are you?"))
client.converse(modelId=MODEL, messages=said("Read the long text."))
client.converse(modelId=MODEL, messages=said("How is the weather?"), toolConfig=TOOLS)
for prompt in ("How are you?", "Read the long text."):
    print(len(list(client.converse_stream(modelId=MODEL, messages=said(prompt))["stream"])))
for prompt in ("There are too many requests.", "Please break down."):
    try:
        client.converse(modelId=MODEL, messages=said(prompt))
    except ClientError as error:
        print(error.response["Error"]["Code"])
