"""The page, which needs no build step, and the other routes at the root."""
