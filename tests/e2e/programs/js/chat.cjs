// A program in another language that knows nothing of otel-measure: it measures calls of a model as the conventions say.
// Arguments: the endpoint, "http" (JSON) or "proto", "cumulative" or "delta", the model, how many calls.
const { MeterProvider, PeriodicExportingMetricReader, AggregationTemporality } = require("@opentelemetry/sdk-metrics");
const { resourceFromAttributes } = require("@opentelemetry/resources");

const [endpoint, encoding, temporality, model, calls] = process.argv.slice(2);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${encoding}`);

const exporter = new OTLPMetricExporter({
  url: `${endpoint}/v1/metrics`,
  temporalityPreference: temporality === "delta" ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
});
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60000 });
const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes({ "service.name": "web" }) });
const meter = provider.getMeter("web-chat");
const advice = (boundaries) => ({ advice: { explicitBucketBoundaries: boundaries } });
const duration = meter.createHistogram("gen_ai.client.operation.duration", {
  unit: "s",
  ...advice([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]),
});
const tokens = meter.createHistogram("gen_ai.client.token.usage", {
  unit: "{token}",
  ...advice([1, 4, 16, 64, 256, 1024, 4096, 16384]),
});
const pages = meter.createCounter("web.pages");

const call = {
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "openai",
  "gen_ai.request.model": model,
  "gen_ai.response.model": `${model}-2024-07-18`,
};

async function main() {
  for (let n = 0; n < Number(calls); n++) {
    duration.record(0.1 + (n % 10) / 10, call);
    tokens.record(100, { ...call, "gen_ai.token.type": "input" });
    tokens.record(20, { ...call, "gen_ai.token.type": "output" });
    pages.add(1, { path: "/" });
    if (n % 10 === 9) await reader.forceFlush();
  }
  await provider.shutdown();
}

main();
