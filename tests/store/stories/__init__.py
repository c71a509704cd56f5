"""Random stories for any store: facts, tellings, streams and who is who, their reports, and plain Python that judges."""
