"""Names: ours, those of others as data, and how labels are written."""
