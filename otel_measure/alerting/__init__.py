"""Alerts over time: one of the processes that share a store evaluates them, and tells whoever is to know."""
