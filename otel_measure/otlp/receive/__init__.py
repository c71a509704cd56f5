"""OTLP in: the protocol's messages to records and points."""
