"""Random stories for any store, what is reported of them, and plain Python that judges the reports."""
