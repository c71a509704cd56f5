"""The client of OpenAI under OpenLIT."""

import os
import runpy

import openlit

openlit.init(
    otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], application_name="openlit-openai", pricing_json=os.devnull
)
runpy.run_path(os.path.join(os.path.dirname(__file__), "openai_client.py"))
