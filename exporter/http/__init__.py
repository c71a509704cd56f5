"""HTTP: from bytes to a row of the route table, and from what its handler returns to an answer."""
