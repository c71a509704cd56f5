"""The page, without a build step, and what else stands at the root."""
