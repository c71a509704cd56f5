// Calls OpenAI through Vercel's AI SDK: whole and streamed, from a cache, with a tool, an object, embeddings, failures.
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { embed, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const sdk = new NodeSDK({
  traceExporter: new OTLPTraceExporter(),
  metricReaders: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
});
sdk.start();
const openai = createOpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none" });
const told = (userId) => ({ maxRetries: 0, experimental_telemetry: { isEnabled: true, metadata: userId ? { userId } : {} } });
const weather = tool({
  description: "Tell how the weather is.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `It is sunny in ${city}.`,
});

const mini = openai.chat("gpt-4o-mini");
await generateText({ model: mini, prompt: "How are you?", headers: { "x-user": "ada" }, ...told("ada") });
await generateText({ model: mini, prompt: "Read the long text.", headers: { "x-user": "grace" }, ...told("grace") });
await generateText({
  model: mini, prompt: "How is the weather?", tools: { weather }, stopWhen: stepCountIs(3),
  headers: { "x-user": "ada" }, ...told("ada"),
});
const stream = streamText({ model: openai.chat("gpt-4o"), prompt: "How are you?", ...told() });
for await (const word of stream.textStream) process.stdout.write(word);
await generateText({ model: openai.responses("gpt-4.1-mini"), prompt: "How are you?", ...told() });
await embed({ model: openai.embedding("text-embedding-3-small"), value: "one", ...told() });
for (const [prompt, name] of [["There are too many requests.", "gpt-4o-mini"], ["Please break down.", "gpt-4o"]]) {
  try {
    await generateText({ model: openai.chat(name), prompt, headers: { "x-user": "grace" }, ...told("grace") });
  } catch (error) {
    console.log(error.statusCode);
  }
}
await sdk.shutdown();
