"""OTLP in and out: the protocol's messages on one side, records and points on the other."""
