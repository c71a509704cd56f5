"""`/metrics`: families of series as Prometheus text."""
