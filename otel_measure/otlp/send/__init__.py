"""OTLP out: facts from the store to an endpoint."""
