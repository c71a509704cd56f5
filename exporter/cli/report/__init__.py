"""`otel-measure report`: what the JSON API answers, as a table, JSON, Markdown or a page of its own."""
