"""HTTP: from the bytes of a request to a route, and from what its handler returns to an answer."""
