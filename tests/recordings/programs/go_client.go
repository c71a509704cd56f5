// Calls OpenAI from Go, and tells of it by the SDK of OpenTelemetry alone, in the names of the GenAI conventions.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type answer struct {
	ID    string
	Model string
	Usage struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Details    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

type client struct {
	url      string
	tracer   trace.Tracer
	duration metric.Float64Histogram
	tokens   metric.Int64Histogram
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (c client) chat(ctx context.Context, prompt, model, user string) {
	asked := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", model),
	}
	ctx, span := c.tracer.Start(ctx, "chat "+model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(asked...))
	defer span.End()
	if user != "" {
		span.SetAttributes(attribute.String("user.id", user))
	}
	began := time.Now()
	body := must(json.Marshal(map[string]any{
		"model": model, "user": user, "messages": []any{map[string]string{"role": "user", "content": prompt}},
	}))
	response := must(http.Post(c.url+"/v1/chat/completions", "application/json", bytes.NewReader(body)))
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		failed := attribute.String("error.type", fmt.Sprint(response.StatusCode))
		span.SetAttributes(failed)
		span.SetStatus(codes.Error, response.Status)
		c.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(append(asked, failed)...))
		return
	}
	var said answer
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		panic(err)
	}
	span.SetAttributes(
		attribute.String("gen_ai.response.id", said.ID),
		attribute.String("gen_ai.response.model", said.Model),
		attribute.Int64("gen_ai.usage.input_tokens", said.Usage.Prompt),
		attribute.Int64("gen_ai.usage.output_tokens", said.Usage.Completion),
		attribute.Int64("gen_ai.usage.cache_read.input_tokens", said.Usage.Details.Cached),
	)
	asked = append(asked, attribute.String("gen_ai.response.model", said.Model))
	c.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(asked...))
	for kind, count := range map[string]int64{"input": said.Usage.Prompt, "output": said.Usage.Completion} {
		c.tokens.Record(ctx, count, metric.WithAttributes(append(asked, attribute.String("gen_ai.token.type", kind))...))
	}
}

func main() {
	ctx := context.Background()
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(must(otlptracehttp.New(ctx))))
	delta := func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	reader := sdkmetric.NewPeriodicReader(must(otlpmetrichttp.New(ctx, otlpmetrichttp.WithTemporalitySelector(delta))))
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	meter := metrics.Meter("recordings")
	c := client{
		url: os.Args[1], tracer: traces.Tracer("recordings"),
		duration: must(meter.Float64Histogram("gen_ai.client.operation.duration", metric.WithUnit("s"))),
		tokens:   must(meter.Int64Histogram("gen_ai.client.token.usage", metric.WithUnit("{token}"))),
	}
	c.chat(ctx, "How are you?", "gpt-4o-mini", "ada")
	c.chat(ctx, "Read the long text.", "gpt-4o-mini", "grace")
	c.chat(ctx, "How are you?", "gpt-4o", "")
	time.Sleep(300 * time.Millisecond)
	c.chat(ctx, "There are too many requests.", "gpt-4o-mini", "grace")
	c.chat(ctx, "Please break down.", "gpt-4o", "ada")
	if err := traces.Shutdown(ctx); err != nil {
		panic(err)
	}
	if err := metrics.Shutdown(ctx); err != nil {
		panic(err)
	}
}
