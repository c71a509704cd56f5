"""Stores in ClickHouse: the layout, and the writer of facts; docs/scale.md says what is there and what is not yet."""
