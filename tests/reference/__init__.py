"""Slow, obvious implementations of the definitions, which the product's answers are compared with."""
