"""What is well and what is not: one judge for JSON, the page, gauges and alerts."""
