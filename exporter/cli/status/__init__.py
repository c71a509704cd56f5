"""`otel-measure status`: how everything is, on one screen."""
