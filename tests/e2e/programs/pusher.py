"""A process with the plain OpenTelemetry SDK that counts and sends, several times a second. Argument: the endpoint."""

from __future__ import annotations

import sys
import time

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

exporter = OTLPMetricExporter(endpoint=f"{sys.argv[1]}/v1/metrics")
provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=200)])
meter = provider.get_meter("pusher")
done = meter.create_counter("work.done", "{item}", "What was done.")
took = meter.create_histogram("work.took", "s", "How long it took.")
while True:
    done.add(1, {"kind": "a"})
    took.record(0.02)
    time.sleep(0.005)
