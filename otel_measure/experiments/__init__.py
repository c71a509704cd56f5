"""Experiments: who gets which variant, and what it did."""
